"""What each training adds, and how much chance is in one: prints Markdown for ablation.md.

python benchmarks/ablation.py trainings | settings [--seeds 1 2 3]

`trainings` compares what is trained at all, on test; `settings` the present and the former settings
of `pretrain`, from the repository's captioner.
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
from statistics import mean, stdev
from typing import Any, NamedTuple

import pandas as pd
import yaml

from soundjudge import params
from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts, devices
from soundjudge.scoring.ensemble import crossfit, ensemble, panel
from soundjudge.scoring.evaluation import evaluation
from soundjudge.scoring.evaluation.systems import EvaluationConfig
from soundjudge.scoring.members import members, predict

ROOT = Path(__file__).resolve().parent.parent
PARAMS, WORKSPACES = ROOT / "params.yaml", ROOT / "work/ablation"
PREPARED, TARGETS = ROOT / "data/prepared", ROOT / "data/targets"
CHECKPOINTS = {  # stage and its argument -> its checkpoint
    "tune_clap": "checkpoints/clapscore",
    "caption": "checkpoints/caption",
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
    "caption": Training("caption", {}),
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
}
FORMER = {  # settings of pretrain up to version 0.2.0
    "pretrain.training.optimization.learning_rate": 1.0e-3,
    "pretrain.training.optimization.epochs": 5,
    "pretrain.training.optimization.warmup_steps": 20,
    "pretrain.training.optimization.ema_decay": None,
}
SETTINGS = {
    "present": Training("pretrain captioned", {"warm_start": "caption"}),
    "present, without the average": Training(
        "pretrain captioned",
        {"warm_start": "caption", "pretrain.training.optimization.ema_decay": None},
    ),
    "former": Training("pretrain captioned", {"warm_start": "caption", **FORMER}),
}
CLAP, SPO = "CLAP as it came", "CLAP tuned on standardized ratings (SPO)"
REGRESSOR, FULL = "regressor on CLAP features", "language model, 1+2+3"
ENSEMBLE = "ensemble of SPO, regressor and 1+2+3"
SYSTEMS = {  # row of the table -> training; None: it does not depend on a seed
    CLAP: None,
    "CLAP tuned on mean ratings": "tune-mean",
    SPO: "tune-spo",
    REGRESSOR: None,
    "language model, 2 (no human ratings)": "pretrain-alone",
    "language model, 1+2 (no human ratings)": "pretrain",
    "language model, 3": "3",
    "language model, 2+3": "2+3",
    FULL: "1+2+3",
}


def train(
    trainings: dict[str, Training], seed: int, given: dict[str, Path] | None = None
) -> dict[str, Path]:
    """The checkpoint of each training; `given` are checkpoints that they all may read."""
    lock = yaml.safe_load((ROOT / "dvc.lock").read_text(encoding="utf-8"))["stages"]
    checkpoints: dict[str, Path] = {}
    fingerprints: dict[str, str] = {}
    for name, training in trainings.items():
        inputs = {CHECKPOINTS[trainings[n].command]: checkpoints[n] for n in training.reads}
        inputs |= given or {}
        stage = lock[training.command.replace(" ", "@")]
        made = {*CHECKPOINTS.values()} - (given or {}).keys()
        deps = [dep for dep in stage["deps"] if dep["path"] not in made]
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
    shared = {path: ROOT / path for path in ("data", *encoders)}
    for path, target in (shared | inputs).items():
        link = workspace / path
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink():
            link.unlink()
        if link != target:  # a path that starts at the root needs no link
            link.symlink_to(target)
    (workspace / "params.yaml").write_text(yaml.safe_dump(values), encoding="utf-8")


def change_params(values: dict[str, Any], training: Training, seed: int) -> dict[str, Any]:
    """The params of a training, in place."""
    stage, *member = training.command.split()
    stage_section = values[stage]["members"][member[0]] if member else values[stage]
    for key, value in {**training.changes, "seed": seed}.items():
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
    loader = members.MemberLoader(
        root=ROOT, device=device, window_seconds=prediction.window_seconds
    )
    rated = tables.read_table(PREPARED / "rated.parquet", tables.RATED)
    pairs = rated[rated["split"] == split].reset_index(drop=True)
    table = pairs[["wav_file_name", "text"]].copy()
    for name, folder in checkpoints.items():
        scores = predict.predict(loader.member(folder), ClipStore(PREPARED), pairs, prediction)
        table[name] = scores["pred_score"]
    return table


def evaluate(checkpoints: dict[str, Path]) -> evaluation.EvaluatedSplit:
    """All systems and the ensemble on test; its weights come from validation."""
    fitting = params.load("ensemble", ensemble.EnsembleConfig, PARAMS)
    fitting = dataclasses.replace(fitting, members={"spo": SPO, "regress": REGRESSOR, "lm": FULL})
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


def page(seeds: list[int], evaluated: list[evaluation.EvaluatedSplit], note: str) -> str:
    """The table, a row per system."""
    ceilings, comparison = evaluated[0].ceilings, evaluated[0].comparison
    above = ""
    if ceilings is not None:
        above = f" Noise ceiling of the raters: SRCC {ceilings.classical.srcc:.3f}."
    lines = [
        f"# {plotting.title_with_note('What each training adds', note)}\n",
        f"Test split, {len(comparison.frame)} pairs. Mean ± standard deviation over the training "
        f"seeds {', '.join(map(str, seeds))}; brackets: "
        f"{comparison.config.confidence:.0%} bootstrap interval over pairs, seed {seeds[0]}."
        f"{above} 1, 2, 3: `caption`, `pretrain`, `finetune`. Data, pseudo-labels and their "
        "teacher are the same for all seeds. Made by `python benchmarks/ablation.py trainings`.\n",
        f"| system | SRCC | SRCC, seed {seeds[0]} | LCC | KTAU |\n|---|---|---|---|---|",
    ]
    numbers = [one.metrics for one in evaluated]
    for system, training in {**SYSTEMS, ENSEMBLE: ENSEMBLE}.items():
        rows = [row[system] for row in numbers]
        srcc, lcc, ktau = (
            f"{mean(row[key] for row in rows):.3f}"
            + (f" ± {stdev(row[key] for row in rows):.3f}" if training and len(rows) > 1 else "")
            for key in ("srcc", "lcc", "ktau")
        )
        interval = "{srcc:.3f} [{srcc_lo:.3f}, {srcc_hi:.3f}]".format(**rows[0])
        lines.append(f"| {system} | {srcc} | {interval} | {lcc} | {ktau} |")
    return "\n".join(lines) + "\n"


def settings_table(seeds: list[int]) -> str:
    """Each setting's SRCC with the teacher, and with listeners on validation and test."""
    caption = CHECKPOINTS["caption"]
    trained = [train(SETTINGS, seed, {caption: ROOT / caption}) for seed in seeds]
    ratings = tables.read_table(ROOT / "data/test_labels/ratings.parquet", tables.RATINGS)
    targets = tables.read_table(TARGETS / "validation.csv", tables.TARGETS)
    truths = {
        "validation": targets.set_index("wav_file_name")["mean_score"],
        "test": ratings.groupby("wav_file_name")["score"].mean(),
    }
    lines = ["| setting | " + " | ".join(("teacher", *truths)) + " |", "|---" * 4 + "|"]
    for setting in SETTINGS:
        folders = {str(seed): one[setting] for seed, one in zip(seeds, trained, strict=True)}
        metrics = [
            folder.parents[2] / "metrics/pretrain/captioned.json" for folder in folders.values()
        ]
        columns = [[artifacts.read_json(path)["validation_srcc"] for path in metrics]]
        for split, truth in truths.items():
            scores = score(folders, split).set_index("wav_file_name")
            known = scores[list(folders)].loc[scores.index.intersection(truth.index)]
            correlations = known.corrwith(truth[known.index], method="spearman")
            columns.append(correlations.tolist())
        cells = [f"{mean(c):.3f} ± {stdev(c):.3f}, {min(c):.3f} to {max(c):.3f}" for c in columns]
        lines.append(f"| {setting} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def trainings_table(seeds: list[int]) -> str:
    """What each training adds, on test."""
    evaluated = []
    for seed in seeds:
        trained = train(TRAININGS, seed)
        checkpoints = {system: trained[name] for system, name in SYSTEMS.items() if name}
        checkpoints |= {CLAP: write_untuned(), REGRESSOR: ROOT / "checkpoints/regress"}
        evaluated.append(evaluate(checkpoints))
    return page(seeds, evaluated, params.load("note", str, PARAMS))


def main() -> None:
    parser = argparse.ArgumentParser(description="What trainings and their settings add.")
    parser.add_argument("what", choices=["trainings", "settings"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    start = time.monotonic()
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=ROOT, check=True)
    table = {"trainings": trainings_table, "settings": settings_table}[arguments.what]
    print(f"{table(arguments.seeds)}\n{(time.monotonic() - start) / 60:.1f} minutes")


if __name__ == "__main__":
    main()
