"""What a captioner's likelihood adds to language models of several seeds: prints Markdown.

    python benchmarks/pretraining.py train present && python benchmarks/joint.py [--test]

Every student below work/pretraining/ stays as it is; an offset of its score learns ratings as
`finetune` with `captioner: likelihood` and `trainable: offset` does, once per member of
params.yaml. The captioner is that of `dvc repro`. Test is read with --test alone. Brackets are 95 %
intervals over seeds and pairs, of the last split. P = pairs, R = resamples.
"""

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import seed_intervals
import torch
from pretraining import CPU, PREPARED, ROOT, WORK, Sample, Values, evidence, srcc

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.model.joint.offset import LikelihoodOffset
from soundjudge.model.likelihood.likelihood import load_likelihood
from soundjudge.runtime import devices
from soundjudge.training.finetune import finetune
from soundjudge.training.loop import loop
from soundjudge.training.loop.objective import Indices, ListLoss
from soundjudge.training.ranking.lists import random_lists
from soundjudge.training.ranking.ranking import list_loss

PARAMS, TARGETS = ROOT / "params.yaml", ROOT / "data/targets"
SPLITS = ("train", "validation", "test")


class Evidence:
    """What the captioner says of every rated pair, and the ratings."""

    def __init__(self, sample: Sample) -> None:
        captioner = load_likelihood(ROOT / "checkpoints/likelihood", CPU)
        self.alpha = captioner.config.alpha
        self.of, self.ratings = {}, {}
        for split in SPLITS:
            pairs, self.ratings[split] = sample.rated_pairs(split)
            rows = np.arange(len(pairs))
            columns = pairs.clip_ids_of(rows), pairs.texts_of(rows)
            self.of[split] = torch.from_numpy(evidence(captioner, sample.features, *columns))

    def likelihood(self, split: str) -> Values:
        """The score of the member `likelihood`: (P,)."""
        own, prior, _ = self.of[split].unbind(1)
        return (own - self.alpha * prior).numpy()


def join(
    students: dict[str, Values], captioner_evidence: Evidence, name: str
) -> tuple[int, dict[str, Values]]:
    """The selected epoch, and scores (P,) of a student's own by split with a member's offset."""
    config = params.load("finetune.training", finetune.FinetuneConfig, PARAMS)
    member = params.load(f"finetune.members.{name}", finetune.FinetuneMember, PARAMS)
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    order = rated["wav_file_name"][rated["split"] == "train"]
    targets = tables.read_table(TARGETS / "train.csv", tables.TARGETS)
    targets = targets.set_index("wav_file_name", drop=False).loc[order]
    pairs = finetune.make_rated_pairs(targets, member.with_choice(TARGETS).target)
    compute_loss = list_loss(config, pairs.targets)
    torch.manual_seed(member.seed)
    offset = LikelihoodOffset()
    own = {split: torch.from_numpy(values) for split, values in students.items()}
    offset.standardize_by(own["train"], captioner_evidence.of["train"])

    def read(items: Indices) -> tuple[torch.Tensor, torch.Tensor]:
        return own["train"][items], captioner_evidence.of["train"][items]

    def loss(scores: torch.Tensor, items: Indices) -> torch.Tensor:
        return compute_loss(scores, *pairs.targets_of(items, scores.device))

    @torch.no_grad()
    def joint_scores(split: str) -> Values:
        return offset(own[split], captioner_evidence.of[split]).double().numpy()

    with tempfile.TemporaryDirectory() as work:
        result = loop.train_module(
            offset,
            random_lists(len(pairs), config.list_size),
            ListLoss(
                read=read,
                scores=lambda module, inputs, _: module(*inputs),
                loss=loss,
                list_size=config.list_size,
            ),
            optimization=config.optimization,
            seed=member.seed,
            validate=lambda: srcc(
                joint_scores("validation"), captioner_evidence.ratings["validation"]
            ),
            work=Path(work),
            device="cpu",
            log=lambda line: None,
            epoch_zero=True,
        )
    return result.best_epoch, {split: joint_scores(split) for split in own}


def print_table(
    captioner_evidence: Evidence, folders: Sequence[Path], splits: Sequence[str]
) -> None:
    """A row per student and way of asking, and the mean over seeds."""
    names = list(params.load("finetune.members", dict[str, object], PARAMS))
    print("| student | asked | " + " | ".join(splits) + " |")
    print("|---" * (2 + len(splits)) + "|")
    rows: dict[str, list[list[float]]] = {}
    last: dict[str, list[Values]] = {}
    for folder in folders:
        stored = np.load(folder / "scores.npz")
        students = {split: stored[split] for split in SPLITS}
        ways = {"score alone": students}
        for name in names:
            epoch, scores = join(students, captioner_evidence, name)
            ways[f"with likelihood, {name}"] = scores
            print(f"<!-- {folder.name}, {name}: epoch {epoch} -->")
        for way, scores in ways.items():
            values = [srcc(scores[split], captioner_evidence.ratings[split]) for split in splits]
            rows.setdefault(way, []).append(values)
            last.setdefault(way, []).append(scores[splits[-1]])
            print(f"| {folder.name} | {way} | " + " | ".join(f"{v:.3f}" for v in values) + " |")
    alone = captioner_evidence.likelihood(splits[-1])
    intervals = describe_intervals(last, alone, captioner_evidence.ratings[splits[-1]])
    for way, of_seeds in rows.items():
        columns = list(zip(*of_seeds, strict=True))
        cells = [f"{mean(c):.3f}" + (f" ± {stdev(c):.3f}" if len(c) > 1 else "") for c in columns]
        cells[-1] = intervals[way]
        print(f"| mean of {len(of_seeds)} | {way} | " + " | ".join(cells) + " |")
    values = [
        srcc(captioner_evidence.likelihood(split), captioner_evidence.ratings[split])
        for split in splits
    ]
    print("| | likelihood alone | " + " | ".join(f"{v:.3f}" for v in values) + " |")


def describe_intervals(
    scores: dict[str, list[Values]], alone: Values, ratings: Values
) -> dict[str, str]:
    """Cells of each way's mean SRCC over seeds, and of its difference to the likelihood alone."""
    columns = [alone, *(one for seeds in scores.values() for one in seeds)]  # each (P,)
    draws = seed_intervals.srcc_draws(columns, ratings)  # (R, columns)
    result, start, single = {}, 1, srcc(alone, ratings)
    for way, seeds in scores.items():
        values = [srcc(one, ratings) for one in seeds]
        of_way = draws[:, start : start + len(seeds)]
        start += len(seeds)
        more = seed_intervals.cell([value - single for value in values], of_way - draws[:, :1], "+")
        result[way] = f"{seed_intervals.cell(values, of_way)}; above the likelihood {more}"
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variant", default="present")
    parser.add_argument("--test", action="store_true")
    options = parser.parse_args()
    devices.make_deterministic()
    folders = sorted(path.parent for path in WORK.glob(f"{options.variant}-*/scores.npz"))
    splits = SPLITS if options.test else SPLITS[:2]
    print_table(Evidence(Sample()), folders, splits)


if __name__ == "__main__":
    main()
