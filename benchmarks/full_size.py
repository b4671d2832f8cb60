"""Every stage of a recipe on models of the published size, whose weights are random.

    python benchmarks/full_size.py --recipe tmu2026 [--device auto] [--keep DIR]

Makes a project as a user would have it: the recipe as params.yaml, weights in the official formats
(random_weights.py), and small corpora in the upstream layouts, composed from the sample's
recordings. Runs the stages that the judge needs, each in a process of its own, then scores one pair
with the judge. Prints what was changed in the recipe and a markdown table; scores mean nothing.
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
from needed_stages import needed, value

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.doctor import requirements
from soundjudge.runtime import artifacts
from soundjudge.sample.composition import scenes, upstream
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "benchmarks"
SCORE = ROOT / "src/soundjudge/cli/__main__.py"
SEED = 2026
# Few steps, few pairs: nothing that decides the size of a model, a list, a step or a sequence.
CHANGES: dict[str, dict[str, object]] = {
    "tmu2026": {
        "tune_clap.optimization.epochs": 1,
        "caption.optimization.epochs": 2,
        "pretrain.optimization.epochs": 1,
        "finetune.training.optimization.epochs": 1,
        "pseudolabel.random": 0.5,  # so few texts that 1.9 others a caption may not be there
        "pseudolabel.similarity": [-1.0, 1.0],  # random weights find all texts alike
        "ensemble.folds": 4,  # of few pairs
        "evaluate.note": "random weights",
    },
    "spo2026": {
        "tune_clap.optimization.epochs": 1,
        "ensemble.folds": 4,
        "evaluate.note": "random weights",
    },
}
SIZES = {  # sounds of train, (validation,) test: two lists a training, of 16 pairs (TMU), 32 (SPO)
    "tmu2026": upstream.Sizes(audiocaps=(12, 4, 4), vggsound=(4, 2), xacle=(32, 12, 8)),
    "spo2026": upstream.Sizes(audiocaps=(), vggsound=(), xacle=(72, 12, 8)),
}
HEADS = ("stage", "seconds", "processor seconds", "peak memory", "GPU memory")
HEADS += ("steps", "seconds a step", "processor seconds a step", "loss of the first, last step")


def main() -> None:
    parser = argparse.ArgumentParser(description="A recipe on models of the published size.")
    parser.add_argument("--recipe", choices=CHANGES, required=True)
    parser.add_argument("--device", default="auto", help="as in params.yaml")
    parser.add_argument("--keep", type=Path, help="a new folder for the project, which stays")
    options = parser.parse_args()
    project = options.keep or Path(tempfile.mkdtemp(prefix="full_size"))
    try:
        furnish(project, options.recipe, options.device)
        report(project)
    finally:
        if not options.keep:
            shutil.rmtree(project)


def furnish(project: Path, recipe: str, device: str) -> None:
    """A project with all that the recipe wants and no stage makes, but for the weights."""
    for name in ("stages", "data/none", "checkpoints/sample"):
        shutil.copytree(ROOT / name, project / name)
    values = yaml.safe_load((ROOT / f"recipes/{recipe}.yaml").read_text(encoding="utf-8"))
    for dotted, changed in (CHANGES[recipe] | {"device": device}).items():
        *above, last = dotted.split(".")
        section = value(values, ".".join(above)) if above else values
        print(f"{dotted}: {section[last]} -> {changed}")
        section[last] = changed
    path = project / "params.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    compose(project, SIZES[recipe])


def missing(project: Path) -> dict[str, Path]:
    """What `soundjudge doctor` misses: key of params.yaml -> path."""
    found = requirements.find_requirements(project / "params.yaml", root=project)
    return {
        finding.requirement.key: finding.path for finding in requirements.unmet_requirements(found)
    }


def compose(project: Path, sizes: upstream.Sizes) -> None:
    """The corpora that are missing, made as the sample's are."""
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


def report(project: Path) -> None:
    """Runs everything and prints a row each."""
    values = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    dvc = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    print(f"\n| {' | '.join(HEADS)} |\n{'|---' * len(HEADS)}|", flush=True)
    print_row("(random weights)", run(project, [str(HERE / "random_weights.py")]))
    assert not missing(project), f"soundjudge doctor misses {missing(project)}"
    seconds = busy = 0.0
    for stage in needed(dvc, values, "package"):
        if stage.name == "ensemble":
            agree(project, values["ensemble"]["members"])
        noted = run(project, stage.command)
        seconds, busy = seconds + noted["seconds"], busy + noted["busy"]
        print_row(f"`{stage.name}`", noted)
    print(f"| all stages | {seconds:.0f} | {busy:.0f} |{' |' * (len(HEADS) - 3)}")
    sound = sorted((project / values["prepare"]["xacle"] / "wav/test").iterdir())[0]
    command = [str(SCORE), "score", str(sound.resolve()), "a dog barks"]
    print_row("(`soundjudge score`)", run(project, command))


def print_row(name: str, noted: Noted) -> None:
    cells = [name, f"{noted['seconds']:.0f}", f"{noted['busy']:.0f}"]
    cells += [f"{size / 2**30:.1f} GiB" if size else "" for size in (noted["memory"], noted["gpu"])]
    steps = noted["steps"]
    if steps:
        cells += [
            str(len(steps)),
            *(f"{min(s[k] for s in steps):.1f}" for k in ("seconds", "busy")),
        ]
        cells += [f"{steps[0]['loss']:.4f}, {steps[-1]['loss']:.4f}"]
    print(f"| {' | '.join(cells)} |{' |' * (len(HEADS) - len(cells))}", flush=True)


def run(project: Path, command: list[str]) -> Noted:
    """What a script took that ran in the project; what it says goes to log.txt."""
    noted = project / "noted.json"
    with (project / "log.txt").open("a", encoding="utf-8") as log:
        log.write(f"\n> {' '.join(command)}\n")
        log.flush()
        subprocess.run(
            [sys.executable, str(HERE / "measured_run.py"), str(noted.resolve()), *command],
            cwd=project,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
            check=True,
        )
    found: Noted = artifacts.read_json(noted)
    return found


def agree(project: Path, members: Iterable[str]) -> None:
    """Deals the ratings of validation out by the members' scores, the highest to the highest.

    Random weights may rank against the listeners, and `ensemble` refuses such members.
    """
    path, pair = project / "data/targets/validation.csv", ["wav_file_name", "text"]
    targets = tables.read_table(path, tables.TARGETS)
    said = targets[pair].assign(score=0.0)
    for name in members:
        predictions = project / "data/predictions/members" / name / "validation.csv"
        found = said[pair].merge(tables.read_table(predictions, tables.PREDICTIONS), on=pair)
        said["score"] += found["pred_score"]
    places = said["score"].rank(method="first").astype(int) - 1
    targets["mean_score"] = targets["mean_score"].sort_values().to_numpy()[places]
    tables.write_table(targets, path, tables.TARGETS)


if __name__ == "__main__":
    main()
