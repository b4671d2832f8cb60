"""What each training adds on test, and how much chance is in one: prints Markdown for ablation.md.

python benchmarks/ablation.py [--seeds 1 2 3]

Each training is a stage, run in a workspace of its own below work/ablation/ with another
params.yaml. Data, targets, features and pseudo-labels are the repository's, which `dvc repro`
brings up to date first. A complete training is repeated only if its stage, data or params change.
"""

import argparse
import dataclasses
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import seed_intervals
import yaml
from scipy import stats
from seed_intervals import Values

from soundjudge import params
from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts, devices
from soundjudge.scoring.ensemble import crossfit, ensemble, panel
from soundjudge.scoring.evaluation import evaluation
from soundjudge.scoring.evaluation.systems import EvaluationConfig
from soundjudge.scoring.members import members, predict
from soundjudge.scoring.members.pipeline_encodings import PipelineEncodings

ROOT = Path(__file__).resolve().parent.parent
PARAMS, WORKSPACES = ROOT / "params.yaml", ROOT / "work/ablation"
PREPARED, TARGETS = ROOT / "data/prepared", ROOT / "data/targets"
CHECKPOINTS = {  # stage and its argument -> its checkpoint
    "tune_clap": "checkpoints/clapscore",
    "caption": "checkpoints/caption",
    "likelihood": "checkpoints/likelihood",
    "fusion": "checkpoints/fusion",
    "pretrain captioned": "checkpoints/pretrain/captioned",
    "finetune full1": "checkpoints/finetune/full1",
}


class Training(NamedTuple):
    """One run of a stage."""

    command: str
    changes: dict[
        str, Any
    ]  # key -> value: of the stage's section, or dotted from params.yaml's root
    reads: tuple[str, ...] = ()  # trainings whose checkpoints it reads


ALONE = {  # finetune trains the language model itself, which reads no captioner's likelihood
    "captioner": "none",
    "trainable": "all",
    "finetune.training.optimization.learning_rate": 1.0e-4,
    "finetune.training.optimization.epochs": 6,
    "finetune.training.optimization.patience": 4,
}
TRAININGS = {  # each after those that it reads; a new language model takes its sizes from caption
    "tune-mean": Training("tune_clap", {"target": "mean"}),
    "tune-spo": Training("tune_clap", {"target": "spo"}),
    "tune-latent": Training("tune_clap", {"target": "latent"}),
    "caption": Training("caption", {}),
    "likelihood": Training("likelihood", {}, ("caption",)),
    "fusion": Training("fusion", {}, ("likelihood",)),
    "pretrain": Training("pretrain captioned", {"warm_start": "caption"}, ("caption",)),
    "pretrain-alone": Training("pretrain captioned", {"warm_start": "none"}, ("caption",)),
    "3": Training("finetune full1", {"warm_start": "none", **ALONE}, ("caption", "pretrain")),
    "2+3": Training(
        "finetune full1",
        {"warm_start": "pretrain/captioned", **ALONE},
        ("caption", "pretrain-alone"),
    ),
    "1+2+3": Training(
        "finetune full1", {"warm_start": "pretrain/captioned", **ALONE}, ("caption", "pretrain")
    ),
    "joint": Training("finetune full1", {}, ("caption", "likelihood", "pretrain")),
}
CLAP = "CLAP as it came"
ENSEMBLE = "`ensemble` of the members above that have a weight"
MEMBERS = {  # of params.yaml -> row of the table
    "zeroshot": "`zeroshot`: CLAP on pretrained towers as it is",
    "clapscore": "`clapscore`: CLAP tuned on latent scores",
    "regress": "`regress`: kernel machine on frozen CLAPs",
    "likelihood": "`likelihood`: the captioner, 1 (no human ratings)",
    "full1": "`full1`: language model, 1+2+3, and its captioner's likelihood",
    "fusion": "`fusion`: kernel machine on CLAPs and the likelihood",
}
SYSTEMS = {  # row of the table -> training; None: it does not depend on a seed
    CLAP: None,
    MEMBERS["zeroshot"]: None,
    "CLAP tuned on mean ratings": "tune-mean",
    "CLAP tuned on standardized ratings (SPO)": "tune-spo",
    MEMBERS["clapscore"]: "tune-latent",
    MEMBERS["regress"]: None,
    MEMBERS["likelihood"]: "likelihood",
    "language model, 2 (no human ratings)": "pretrain-alone",
    "language model, 1+2 (no human ratings)": "pretrain",
    "language model, 3": "3",
    "language model, 2+3": "2+3",
    "language model, 1+2+3": "1+2+3",
    MEMBERS["full1"]: "joint",
    MEMBERS["fusion"]: "fusion",
}


def train(trainings: dict[str, Training], seed: int) -> dict[str, Path]:
    """The checkpoint of each training."""
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    checkpoints: dict[str, Path] = {}
    fingerprints: dict[str, str] = {}
    for name, training in trainings.items():
        inputs = {CHECKPOINTS[trainings[n].command]: checkpoints[n] for n in training.reads}
        stage = lock[training.command.replace(" ", "@")]
        deps = [dep for dep in stage["deps"] if dep["path"] not in CHECKPOINTS.values()]
        upstream = [fingerprints[read] for read in training.reads]
        content = json.dumps([seed, training.changes, deps, stage["params"], upstream])
        fingerprints[name] = hashlib.sha256(content.encode()).hexdigest()
        workspace = WORKSPACES / f"{name}-{seed}"
        checkpoints[name] = workspace / CHECKPOINTS[training.command]
        done = workspace / "done.txt"
        if not done.is_file() or done.read_text() != fingerprints[name]:
            print(f"{name}, seed {seed}", flush=True)
            set_up(workspace, training, seed, inputs)
            script, *arguments = training.command.split()
            command = [sys.executable, str(ROOT / f"stages/{script}.py"), *arguments]
            subprocess.run(command, cwd=workspace, check=True)
            done.write_text(fingerprints[name])
    return checkpoints


def set_up(workspace: Path, training: Training, seed: int, inputs: dict[str, Path]) -> None:
    """Writes params, and links to data, encoders and checkpoints, for a stage to run."""
    values = change_params(yaml.safe_load(PARAMS.read_text(encoding="utf-8")), training, seed)
    encoders = [e if isinstance(e, str) else e["path"] for e in values["encoders"].values()]
    shared = {
        path: ROOT / path for path in ("data", *encoders, *values["fusion"]["extra_encoders"])
    }
    for path, target in (shared | inputs).items():
        link = workspace / path
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        if link != target:  # a path that starts at the root needs no link
            link.symlink_to(target)
    (workspace / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def change_params(values: dict[str, Any], training: Training, seed: int) -> dict[str, Any]:
    """The params of a training, in place; what is fitted in closed form has no seed."""
    stage, *member = training.command.split()
    stage_section = values[stage]["members"][member[0]] if member else values[stage]
    seeds = {"seed": seed} if "seed" in stage_section else {}
    for key, value in {**training.changes, **seeds}.items():
        *outer, last = key.split(".")
        section = values if outer else stage_section
        for name in outer:
            section = section[name]
        assert last in section, f"{stage} has no {key} in params.yaml"
        section[last] = value
    return values


def write_untuned() -> Path:
    """Writes the untuned CLAP as a checkpoint that can be scored."""
    clap = TransformersClap.load(ROOT / params.load("encoders.clap.path", Path, PARAMS), "cpu")
    with artifacts.atomic_folder(WORKSPACES / "untuned") as folder:
        ClapScore(clap, **artifacts.read_json(TARGETS / "global.json")).save(folder)
    return WORKSPACES / "untuned"


def score(checkpoints: dict[str, Path], split: str) -> pd.DataFrame:
    """wav_file_name, text and one column of raw scores per checkpoint."""
    prediction = params.load("predict", predict.PredictionSection, PARAMS)
    device = devices.resolve_device(params.load("device", str, PARAMS))
    clips = ClipStore(PREPARED)
    stored = PipelineEncodings(
        clips,
        ROOT / "data/clap_features",
        ROOT / prediction.features,
        params.load("encoders.audio", Path, PARAMS),
        params.load("features.frontend", AudioFrontend, PARAMS),
    )
    loader = members.MemberLoader(
        root=ROOT, device=device, window_seconds=prediction.window_seconds, stored=stored
    )
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    pairs = rated[rated["split"] == split].reset_index(drop=True)
    table = pairs[["wav_file_name", "text"]].copy()
    for name, folder in checkpoints.items():
        scores = predict.predict(loader.member(folder), clips, pairs, prediction)
        table[name] = scores["pred_score"]
    return table


def ensemble_config() -> ensemble.EnsembleConfig:
    """That of params.yaml with the members that may have a weight, as rows of the table."""
    config = params.load("ensemble", ensemble.EnsembleConfig, PARAMS)
    weighed = {name: row for name, row in MEMBERS.items() if name not in config.zero_weight}
    return dataclasses.replace(config, members=weighed, zero_weight=())


def evaluate(checkpoints: dict[str, Path]) -> evaluation.EvaluatedSplit:
    """All systems and the ensemble on test; its weights come from validation."""
    fitting = ensemble_config()
    names = {system: member for member, system in fitting.members.items()}
    targets = tables.read_table(TARGETS / "validation.csv", tables.TARGETS)
    three = {system: checkpoints[system] for system in names}
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    validation = score(three, "validation").rename(columns=names)
    fitted = crossfit.fit(
        panel.rated_scores(validation, targets, rated, list(fitting.members)), fitting
    )
    test = score(checkpoints, "test")
    test[ENSEMBLE] = panel.blend_panel(test.rename(columns=names), fitted)["pred_score"]
    ratings = tables.read_table(ROOT / "data/test_labels/ratings.parquet", tables.RATINGS)
    return evaluation.evaluate_split(
        test, ratings, params.load("evaluate", EvaluationConfig, PARAMS)
    )


def srcc_of(system: str, evaluated: list[evaluation.EvaluatedSplit]) -> tuple[list[float], Values]:
    """SRCC over seeds (S,), and on resampled pairs (R, S); S = 1 where no seed is in a system."""
    some = evaluated if SYSTEMS.get(system, "all") else evaluated[:1]
    truth = some[0].comparison.frame["average_score"].to_numpy(dtype=np.float64)
    scores = [one.comparison.frame[system].to_numpy(dtype=np.float64) for one in some]
    values = [one.metrics[system]["srcc"] for one in some]
    return values, seed_intervals.srcc_draws(scores, truth)


def srcc_of_mean(system: str, evaluated: list[evaluation.EvaluatedSplit]) -> tuple[float, Values]:
    """SRCC of the mean over seeds of standardized scores, and on resampled pairs (R, 1)."""
    truth = evaluated[0].comparison.frame["average_score"].to_numpy(dtype=np.float64)
    scores = [one.comparison.frame[system].to_numpy(dtype=np.float64) for one in evaluated]
    blended = np.mean([stats.zscore(score) for score in scores], axis=0)
    draws = seed_intervals.srcc_draws([blended], truth)
    return float(stats.spearmanr(blended, truth).statistic), draws


def page(seeds: list[int], evaluated: list[evaluation.EvaluatedSplit], note: str) -> str:
    """The table, a row per system."""
    ceilings, comparison = evaluated[0].ceilings, evaluated[0].comparison
    above = ""
    if ceilings is not None:
        above = f" Noise ceiling of the raters: SRCC {ceilings.classical.srcc:.3f}."
    lines = [
        f"# {plotting.title_with_note('What each training adds', note)}\n",
        f"Test split, {len(comparison.frame)} pairs. Mean ± standard deviation over the training "
        f"seeds {', '.join(map(str, seeds))}; brackets: 95 % over seeds and pairs.{above} "
        "1, 2, 3: `caption`, `pretrain`, `finetune`. Data, pseudo-labels and their "
        "teacher are the same for all seeds. Made by `python benchmarks/ablation.py`.\n",
        "| system | seeds | SRCC | minus the ensemble | LCC | KTAU |\n|---|---|---|---|---|---|",
    ]
    columns = {system: srcc_of(system, evaluated) for system in (*SYSTEMS, ENSEMBLE)}
    best, best_draws = columns[ENSEMBLE]
    for system, (values, draws) in columns.items():
        listed = ", ".join(f"{value:.3f}" for value in values)
        difference = ""
        if system != ENSEMBLE:
            less = list(np.subtract(values, best))
            difference = seed_intervals.cell(less, draws - best_draws, "+")
        numbers = [one.metrics[system] for one in evaluated]
        lcc, ktau = (f"{mean(row[k] for row in numbers):.3f}" for k in ("lcc", "ktau"))
        cell = seed_intervals.cell(values, draws)
        lines.append(f"| {system} | {listed} | {cell} | {difference} | {lcc} | {ktau} |")
    lines.append(
        f"\n| mean of the {len(seeds)} trainings | SRCC | minus their mean SRCC |\n|---|---|---|"
    )
    for system in (MEMBERS["likelihood"], MEMBERS["full1"], MEMBERS["fusion"]):
        value, draws = srcc_of_mean(system, evaluated)
        values, of_seeds = columns[system]
        gain = draws - of_seeds.mean(axis=1, keepdims=True)
        cells = seed_intervals.cell([value], draws)
        more = seed_intervals.cell([value - mean(values)], gain, "+")
        lines.append(f"| {system} | {cells} | {more} |")
    return "\n".join(lines) + "\n"


def trainings_table(seeds: list[int]) -> str:
    """What each training adds, on test."""
    evaluated = []
    for seed in seeds:
        trained = train(TRAININGS, seed)
        checkpoints = {system: trained[name] for system, name in SYSTEMS.items() if name}
        checkpoints[CLAP] = write_untuned()
        for name in ("zeroshot", "regress"):
            checkpoints[MEMBERS[name]] = ROOT / "checkpoints" / name
        evaluated.append(evaluate(checkpoints))
    return page(seeds, evaluated, params.load("note", str, PARAMS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=ROOT, check=True)
    print(f"{trainings_table(arguments.seeds)}\n{(time.monotonic() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
