"""Every stage of a recipe on models of the published size with random weights.

    python benchmarks/full_size.py --recipe tmu2026 [--device auto] [--keep DIR]

Sets up a user's project: the recipe as params.yaml, weights in the official formats
(random_weights.py), and small corpora in the upstream layouts, composed from the sample's
recordings. Runs the stages that the judge needs, each in a process of its own, then scores one pair
with the judge. Prints the changes of the recipe and a markdown table; scores mean nothing.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import yaml
from measured_run import Noted
from needed_stages import lookup, needed_stages

from soundjudge import params, recipes
from soundjudge.data.tables import tables
from soundjudge.doctor import requirements
from soundjudge.runtime import artifacts
from soundjudge.sample.composition import scenes, upstream
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
SCORE = ROOT / "src/soundjudge/__main__.py"
SEED = 2026
LOG_LINES = 40  # of a stage that failed
# Fewer steps and pairs, the same sizes of models, lists, steps and sequences. To compile the layers
# would take minutes, for two steps.
CHANGES: dict[str, dict[str, object]] = {
    "tmu2026": {
        "tune_clap.optimization.epochs": 1,
        "caption.llm.compile": False,
        "pretrain.training.llm.compile": False,
        "finetune.training.llm.compile": False,
        "caption.optimization.epochs": 2,
        "pretrain.training.optimization.epochs": 1,
        "finetune.training.optimization.epochs": 1,
        "pseudolabel.num_random": 0.5,  # there are too few texts for 1.9 per caption
        "pseudolabel.hard_similarity_range": [-1.0, 1.0],  # random weights find all texts alike
        "ensemble.folds": 4,  # of few pairs
        "note": "random weights",
    },
    "spo2026": {
        "tune_clap.optimization.epochs": 1,
        "ensemble.folds": 4,
        "note": "random weights",
    },
}
SIZES = {  # sounds of train, (validation,) test: two lists per training, of 16 (TMU) or 32 pairs
    "tmu2026": upstream.Sizes(audiocaps=(12, 4, 4), vggsound=(4, 2), xacle=(32, 12, 8)),
    "spo2026": upstream.Sizes(audiocaps=(), vggsound=(), xacle=(72, 12, 8)),
}
HEADER = ["stage", "seconds", "processor seconds", "peak memory", "GPU memory", "steps"]
HEADER += ["seconds per step", "processor seconds per step", "loss of the first, last step"]


def main() -> None:
    parser = argparse.ArgumentParser(description="A recipe on models of the published size.")
    parser.add_argument("--recipe", choices=CHANGES, required=True)
    parser.add_argument("--device", default="auto", help="as in params.yaml")
    parser.add_argument("--keep", type=Path, help="a new folder for the project, which stays")
    options = parser.parse_args()
    project = options.keep or Path(tempfile.mkdtemp(prefix="full_size"))
    try:
        set_up(project, options.recipe, options.device)
        run_all(project)
    finally:
        if not options.keep:
            shutil.rmtree(project)


def set_up(project: Path, recipe: str, device: str) -> None:
    """Writes a project with all inputs of the recipe's stages, except for the weights."""
    for name in ("stages", "data/none", "checkpoints/sample"):
        shutil.copytree(ROOT / name, project / name)
    values = yaml.safe_load(recipes.recipe_text(recipe, ROOT / "recipes"))
    for dotted, value in (CHANGES[recipe] | {"device": device}).items():
        *outer, key = dotted.split(".")
        section = lookup(values, ".".join(outer)) if outer else values
        print(f"{dotted}: {section[key]} -> {value}")
        section[key] = value
    path = project / "params.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    compose(project, SIZES[recipe])


def missing(project: Path) -> dict[str, Path]:
    """The inputs that `soundjudge doctor` misses: key of params.yaml -> path."""
    findings = requirements.find_requirements(project / "params.yaml", root=project)
    unmet = requirements.unmet_requirements(findings)
    return {finding.requirement.key: finding.path for finding in unmet}


def compose(project: Path, sizes: upstream.Sizes) -> None:
    """Composes the missing corpora as those of the sample."""
    pool = scenes.load_recordings(ROOT / "data/sample/clips")
    sample = ROOT / "data/sample/params.yaml"
    panels = params.load("compose.panels", dict[str, SimulatedPanel], sample)
    for key, path in missing(project).items():
        folder = project / path
        if key == "prepare.xacle":
            upstream.write_xacle(pool, sizes.xacle, panels, folder, SEED)
        elif key == "prepare.audiocaps":
            upstream.write_audiocaps(pool, sizes.audiocaps, folder, SEED)
        elif key == "prepare.vggsound":
            upstream.write_vggsound(pool, sizes.vggsound, folder, SEED)


def run_all(project: Path) -> None:
    """Runs the stages and prints a row for each."""
    values = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    dvc = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    print(f"\n| {' | '.join(HEADER)} |\n{'|---' * len(HEADER)}|", flush=True)
    print_row("(random weights)", run(project, [str(HERE / "random_weights.py")]))
    assert not missing(project), f"soundjudge doctor misses {missing(project)}"
    seconds = busy = 0.0
    for stage in needed_stages(dvc, values, "package"):
        if stage.name == "ensemble":
            permute_ratings(project, values["ensemble"]["members"])
        cost = run(project, stage.command)
        seconds, busy = seconds + cost["seconds"], busy + cost["busy"]
        print_row(f"`{stage.name}`", cost)
    print(f"| all stages | {seconds:.0f} | {busy:.0f} |{' |' * (len(HEADER) - 3)}")
    sound = sorted((project / values["prepare"]["xacle"] / "wav/test").iterdir())[0]
    command = [str(SCORE), "score", str(sound.resolve()), "a dog barks"]
    print_row("(`soundjudge score`)", run(project, command))


def print_row(name: str, cost: Noted) -> None:
    cells = [name, f"{cost['seconds']:.0f}", f"{cost['busy']:.0f}"]
    cells += [f"{size / 2**30:.1f} GiB" if size else "" for size in (cost["memory"], cost["gpu"])]
    steps = cost["steps"]
    if steps:
        cells += [
            str(len(steps)),
            *(f"{min(s[k] for s in steps):.1f}" for k in ("seconds", "busy")),
        ]
        cells += [f"{steps[0]['loss']:.4f}, {steps[-1]['loss']:.4f}"]
    print(f"| {' | '.join(cells)} |{' |' * (len(HEADER) - len(cells))}", flush=True)


def run(project: Path, command: list[str]) -> Noted:
    """Runs a script in the project, its output to log.txt, and returns its cost.

    Where it fails, the end of its output is printed: the project may be deleted.
    """
    noted, log = project / "noted.json", project / "log.txt"
    with log.open("w", encoding="utf-8") as output:
        ended = subprocess.run(
            [sys.executable, str(HERE / "measured_run.py"), str(noted.resolve()), *command],
            cwd=project,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    if ended.returncode:
        last = log.read_text(encoding="utf-8").splitlines()[-LOG_LINES:]
        sys.exit("\n".join([f"{' '.join(command)}: exit code {ended.returncode}", *last]))
    cost: Noted = artifacts.read_json(noted)
    return cost


def permute_ratings(project: Path, members: Iterable[str]) -> None:
    """Permutes the mean ratings of validation so that they rank the pairs as the members do.

    Random weights may rank against the listeners, and `ensemble` refuses such members.
    """
    path, pair = project / "data/targets/validation.csv", ["wav_file_name", "text"]
    targets = tables.read_table(path, tables.TARGETS)
    sums = targets[pair].assign(score=0.0)
    for name in members:
        predictions = project / "data/predictions/members" / name / "validation.csv"
        scores = sums[pair].merge(tables.read_table(predictions, tables.PREDICTIONS), on=pair)
        sums["score"] += scores["pred_score"]
    ranks = sums["score"].rank(method="first").astype(int) - 1
    targets["mean_score"] = targets["mean_score"].sort_values().to_numpy()[ranks]
    tables.write_table(targets, path, tables.TARGETS)


if __name__ == "__main__":
    main()
