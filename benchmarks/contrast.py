"""Does a captioner that is trained to tell sounds apart make a better likelihood? (simulated)

    python benchmarks/contrast.py [--seeds 1 2 3] [--training full | lora] [--rate 5e-4] [--test]

From the repository's captioner, without any rating: in groups of four captioned training clips
that sound alike, each text is scored behind each of the four sounds, and the loss is the
cross-entropy of the right sound given the text, and, by half, of the right text given the sound
(maximum mutual information), beside a share of the captioner's own loss. What comes of it is scored
as the member `likelihood` is, and kept for `pretraining.py train "after contrast"`.
G = groups, C = clips in a group.
"""

import argparse
import logging

import numpy as np
import pandas as pd
import seed_intervals
import torch
from pretraining import CPU, ROOT, Sample, evidence, srcc
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR
from torch import Tensor
from torch.nn import functional

from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.adaptation import LlmTraining, Lora
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.likelihood.likelihood import load_likelihood
from soundjudge.model.likelihood.text_log_probs import text_log_probs
from soundjudge.training.lalm.training_pairs import gather_features
from soundjudge.training.loop.weight_average import WeightAverage

CLIPS, GROUP, EPOCHS, WARMUP, EMA = 16, 4, 3, 50, 0.98  # clips per step, and C
CAPTION_SHARE, TEXT_SHARE = 0.2, 0.5
WORK = ROOT / "work/contrast"
TRAININGS = {
    "full": LlmTraining(training="full"),
    "lora": LlmTraining(
        training="lora", lora=Lora(rank=16, alpha=32, targets=("q_proj", "k_proj", "v_proj"))
    ),
    "frozen": LlmTraining(training="frozen"),
}


def training_captions(sample: Sample) -> dict[str, list[str]]:
    """The captions of each training clip."""
    split = sample.captions["clip_id"].map(sample.clips.set_index("clip_id")["split"])
    groups = sample.captions[split == "train"].groupby("clip_id")["text"]
    return {str(clip): list(texts) for clip, texts in groups}


def similar_groups(sample: Sample, clips: list[str], rng: np.random.Generator) -> list[str]:
    """The clips in an order in which C consecutive ones sound alike to CLAP: (G * C,)."""
    sounds = sample.sounds.gather(clips).astype(np.float64)
    cosines = sounds @ sounds.T
    free, groups = np.ones(len(clips), dtype=bool), []
    for clip in rng.permutation(len(clips)):
        if not free[clip] or free.sum() < GROUP:
            continue
        free[clip] = False
        nearest = np.where(free, cosines[clip], -np.inf).argsort()[::-1][: GROUP - 1]
        free[nearest] = False
        groups.append([clip, *nearest])
    return [clips[i] for group in rng.permutation(np.array(groups)) for i in group]


def contrastive_loss(lalm: Lalm, sounds: Tensor, texts: list[str]) -> Tensor:
    """Of clips (G * C), C by C, with a text each."""
    groups = [texts[start : start + GROUP] for start in range(0, len(texts), GROUP)]
    behind = [text for group in groups for _ in group for text in group]
    log_probs, lengths = text_log_probs(lalm, sounds, behind)
    scores = (log_probs / lengths**0.5).view(-1, GROUP, GROUP)  # group, sound, text
    codes = torch.from_numpy(pd.factorize(np.array(texts))[0]).view(-1, GROUP)
    same = (codes[:, :, None] == codes[:, None, :]) & ~torch.eye(GROUP, dtype=torch.bool)
    scores = scores.masked_fill(same, -1e9)
    right = torch.arange(GROUP).repeat(len(groups))
    own = (log_probs / lengths).view(-1, GROUP, GROUP).diagonal(dim1=1, dim2=2)
    by_sound = functional.cross_entropy(scores.transpose(1, 2).reshape(-1, GROUP), right)
    by_text = functional.cross_entropy(scores.reshape(-1, GROUP), right)
    return by_sound + TEXT_SHARE * by_text - CAPTION_SHARE * own.mean()


def train(sample: Sample, lalm: Lalm, seed: int, rate: float, splits: list[str]) -> None:
    """Trains in place, and prints a line per epoch, which none of them selects."""
    torch.manual_seed(seed)
    rng, texts = np.random.default_rng(seed), training_captions(sample)
    clips = list(texts)
    steps = len(clips) // CLIPS
    full = lalm.llm_training is not None and lalm.llm_training.training == "full"
    trained = [p for p in lalm.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.01)
    average, done = WeightAverage(lalm, EMA), 0
    for epoch in range(EPOCHS):
        order = similar_groups(sample, clips, rng)
        lalm.train()
        for start in range(0, steps * CLIPS, CLIPS):
            decay = 0.01 + 0.99 * 0.5 * (1 + np.cos(np.pi * done / (steps * EPOCHS)))
            for group in optimizer.param_groups:
                group["lr"] = rate * min(1, (done + 1) / WARMUP) * decay
            batch = order[start : start + CLIPS]
            chosen = [str(rng.choice(texts[clip])) for clip in batch]
            loss = contrastive_loss(lalm, gather_features(sample.features, batch), chosen)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, 1.0)
            optimizer.step()
            done += 1
            average.update(done)
        lalm.eval()
        with average.substitute():
            report(sample, lalm, f"seed {seed}, epoch {epoch + 1}", splits)
            if epoch + 1 == EPOCHS and full:
                checkpoint.save_lalm(WORK / f"seed-{seed}", lalm, "", {"epoch": EPOCHS})


def report(sample: Sample, lalm: Lalm, name: str, splits: list[str]) -> None:
    """SRCC of the likelihood by its alpha, and of a kernel machine on its evidence."""
    member = load_likelihood(ROOT / "checkpoints/likelihood", CPU)
    member.lalm = lalm
    by_split = {}
    for split in ["train", *splits]:
        pairs, ratings = sample.rated_pairs(split)
        rows = np.arange(len(pairs))
        clip_ids, texts = pairs.clip_ids_of(rows), pairs.texts_of(rows)
        by_split[split] = evidence(member, sample.features, clip_ids, texts), ratings
    WORK.mkdir(parents=True, exist_ok=True)
    np.savez(WORK / f"{name}.npz", **{split: values for split, (values, _) in by_split.items()})
    machine = make_pipeline(StandardScaler(), SVR(C=0.5, epsilon=0.08))
    machine.fit(by_split["train"][0], by_split["train"][1] / 5 - 1)
    for split, (values, ratings) in by_split.items():
        own = [srcc(values[:, 0] - a * values[:, 1], ratings) for a in (0, 0.25, 0.5, 0.75, 1)]
        fitted = srcc(machine.predict(values), ratings)
        cells = " | ".join(f"{value:.3f}" for value in [*own, fitted])
        print(f"| {name} | {split} | {cells} |", flush=True)


def print_differences(sample: Sample, seeds: list[int], splits: list[str]) -> None:
    """SRCC at alpha .5 after the last epoch, minus that of the captioner as it is."""
    names = ["as it is", *(f"seed {seed}, epoch {EPOCHS}" for seed in seeds)]
    stored = [np.load(WORK / f"{name}.npz") for name in names]
    print("\n| split | as it is | after | difference |\n" + "|---" * 4 + "|")
    for split in splits:
        ratings = sample.rated_pairs(split)[1]
        scores = [one[split][:, 0] - 0.5 * one[split][:, 1] for one in stored]
        first, *after = [srcc(score, ratings) for score in scores]
        draws = seed_intervals.srcc_draws(scores, ratings)
        change = seed_intervals.cell(
            [value - first for value in after], draws[:, 1:] - draws[:, :1], "+"
        )
        listed = ", ".join(f"{value:.3f}" for value in after)
        print(f"| {split} | {first:.3f} | {listed} | {change} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--training", choices=TRAININGS, default="full")
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--test", action="store_true")
    options = parser.parse_args()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    sample, splits = Sample(), ["validation", *(["test"] if options.test else [])]
    print(
        "| training | split | alpha 0 | .25 | .5 | .75 | 1 | kernel machine |\n" + "|---" * 8 + "|"
    )
    for seed in options.seeds:
        lalm = checkpoint.load_lalm(ROOT / "checkpoints/caption")
        if seed == options.seeds[0]:
            report(sample, lalm, "as it is", splits)
        lalm.prepare_for_training(TRAININGS[options.training])
        train(sample, lalm, seed, options.rate, splits)
    print_differences(sample, options.seeds, ["train", *splits])


if __name__ == "__main__":
    main()
