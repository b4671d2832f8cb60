"""Every stage of a recipe on models of the published size, whose weights are random.

    python benchmarks/full_size.py --recipe tmu2026 [--device auto] [--keep DIR]

Makes a project as a user would have it: the recipe as params.yaml, weights in the official formats
(random_weights.py), and small corpora in the upstream layouts, composed from the sample's
recordings. Runs the stages that the judge needs, each in a process of its own, then scores one pair
with the judge. Prints what was changed in the recipe and a markdown table; scores mean nothing.
"""

import argparse
import json
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import yaml

from soundjudge import params
from soundjudge.data import tables
from soundjudge.sample import scenes, upstream
from soundjudge.sample.simulated_listeners import Panel
from soundjudge.scoring import requirements

ROOT = Path(__file__).resolve().parent.parent
SCORE = ROOT / "src/soundjudge/cli/__main__.py"
SEED = 2026
# Two epochs of few steps, each with a validation: nothing that decides the size of a model, a list,
# a step or a sequence.
CHANGES: dict[str, dict[str, object]] = {
    "tmu2026": {
        "tune.optimisation.epochs": 2,
        "caption.optimisation.epochs": 2,
        "align.optimisation.epochs": 2,
        "finetune.training.optimisation.epochs": 2,
        "pseudolabel.random": 0.5,  # so few texts that 1.9 others a caption may not be there
        "pseudolabel.similarity": [-1.0, 1.0],  # random weights find all texts alike
        "ensemble.folds": 4,  # of few pairs
        "evaluate.note": "random weights",
    },
    "spo2026": {
        "tune.optimisation.epochs": 2,
        "ensemble.folds": 4,
        "evaluate.note": "random weights",
    },
}
SIZES = {  # sounds of train, (validation,) test; a list is 16 pairs of TMU's, 32 of SPO's
    "tmu2026": upstream.Sizes(audiocaps=(12, 4, 4), vggsound=(4, 2), xacle=(32, 12, 8)),
    "spo2026": upstream.Sizes(audiocaps=(), vggsound=(), xacle=(72, 12, 8)),
}


class Step(NamedTuple):
    """A stage of dvc.yaml, once for each of its members."""

    name: str
    command: list[str]
    deps: list[Path]
    outs: list[Path]


class Taken(NamedTuple):
    """What a process took."""

    seconds: float
    memory: int  # bytes
    gpu: int | None  # bytes


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measured(Path(sys.argv[2]), sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description="A recipe on models of the published size.")
    parser.add_argument("--recipe", choices=CHANGES, required=True)
    parser.add_argument("--device", default="auto")
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
    """A project with everything that the recipe wants and no stage makes, but the weights."""
    shutil.copytree(ROOT / "stages", project / "stages")
    for name in ("data/none", "checkpoints/sample"):
        shutil.copytree(ROOT / name, project / name)
    values = yaml.safe_load((ROOT / f"recipes/{recipe}.yaml").read_text(encoding="utf-8"))
    changes = CHANGES[recipe] | {"device": device}
    for dotted, changed in changes.items():
        above, _, last = dotted.rpartition(".")
        section = value(values, above) if above else values
        print(f"{dotted}: {section[last]} -> {changed}")
        section[last] = changed
    path = project / "params.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    compose(project, SIZES[recipe], wanted(project))
    print(f"{recipe}: {SIZES[recipe]}", flush=True)


def wanted(project: Path) -> dict[str, Path]:
    """What `soundjudge doctor` misses: key of params.yaml -> path."""
    found = requirements.findings(project / "params.yaml", root=project)
    return {one.requirement.key: one.path for one in requirements.unmet(found)}


def compose(project: Path, sizes: upstream.Sizes, missing: dict[str, Path]) -> None:
    """The missing corpora, as the sample's are composed."""
    pool = scenes.recordings(ROOT / "data/sample/clips")
    sample = ROOT / "data/sample/params.yaml"
    panels = params.load("compose.panels", dict[str, Panel], sample)
    for key, path in missing.items():
        if key == "prepare.xacle":
            upstream.write_xacle(pool, sizes.xacle, panels, project / path, SEED)
        elif key == "prepare.audiocaps":
            upstream.write_audiocaps(pool, sizes.audiocaps, project / path, SEED)
        elif key == "prepare.vggsound":
            upstream.write_vggsound(pool, sizes.vggsound, project / path, SEED)


def report(project: Path) -> None:
    """Runs everything and prints a row each."""
    values = yaml.safe_load((project / "params.yaml").read_text(encoding="utf-8"))
    dvc = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    heads = ("stage", "seconds", "peak memory", "GPU memory", "optimiser steps", "loss")
    print(f"\n| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    row("random weights", run(project, [str(ROOT / "benchmarks/random_weights.py")]))
    assert not wanted(project), f"soundjudge doctor misses {wanted(project)}"
    steps = needed(list(expanded(dvc["stages"], values)), "package")
    seconds = 0.0
    for step in steps:
        if step.name == "ensemble":
            agree(project, values["ensemble"]["members"])
        taken = run(project, step.command)
        seconds += taken.seconds
        row(step.name, taken, *history(project, step))
    row("all stages", Taken(seconds, 0, None))
    sound = sorted((project / values["prepare"]["xacle"] / "wav/test").iterdir())[0]
    command = [str(SCORE), "score", str(sound), "a dog barks", "--model", "checkpoints/judge"]
    row("`soundjudge score`", run(project, command))


def agree(project: Path, members: Iterable[str]) -> None:
    """Deals the ratings of validation out by the members' scores, the highest to the highest.

    Random weights may rank against the listeners, and `ensemble` refuses such members.
    """
    path, pair = project / "data/targets/validation.csv", ["wav_file_name", "text"]
    targets = tables.read(path, tables.TARGETS)
    said = targets[pair].assign(score=0.0)
    for name in members:
        predictions = project / "data/predictions/members" / name / "validation.csv"
        found = said[pair].merge(tables.read(predictions, tables.PREDICTIONS), on=pair)
        said["score"] += found["pred_score"]
    places = said["score"].rank(method="first").astype(int) - 1
    targets["mean_score"] = targets["mean_score"].sort_values().to_numpy()[places]
    tables.write(targets, path, tables.TARGETS)


def row(name: str, taken: Taken, *more: str) -> None:
    gigabytes = [f"{size / 2**30:.1f} GiB" if size else "" for size in taken[1:]]
    cells = [name, f"{taken.seconds:.0f}", *gigabytes, *(more or ("", ""))]
    print(f"| {' | '.join(cells)} |", flush=True)


def run(project: Path, command: list[str]) -> Taken:
    """What a script took that ran in the project; what it says goes to log.txt."""
    log, noted = project / "log.txt", project / "taken.json"
    with log.open("a", encoding="utf-8") as file:
        file.write(f"\n> {' '.join(command)}\n")
        file.flush()
        start = time.perf_counter()
        subprocess.run(
            [sys.executable, __file__, "--measure", str(noted.resolve()), *command],
            cwd=project,
            env=os.environ | {"HF_HUB_OFFLINE": "1"},
            stdout=file,
            stderr=subprocess.STDOUT,
            check=True,
        )
        seconds = time.perf_counter() - start
    return Taken(seconds, **json.loads(noted.read_text(encoding="utf-8")))


def measured(noted: Path, command: list[str]) -> None:
    """Runs a script in this process as `python` would, then writes what memory it took at most."""
    sys.argv, sys.path[0] = command, str(Path(command[0]).parent)
    try:
        runpy.run_path(command[0], run_name="__main__")
    finally:
        # ru_maxrss would count what the parent had held.
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        memory = 1024 * int(status.split("VmHWM:")[1].split()[0])
        torch = sys.modules.get("torch")
        used = torch is not None and torch.cuda.is_available()
        gpu = torch.cuda.max_memory_reserved() if used else None
        noted.write_text(json.dumps({"memory": memory, "gpu": gpu}), encoding="utf-8")


def history(project: Path, step: Step) -> tuple[str, ...]:
    """Of a training: steps of the optimiser, and the loss of its first and its last epoch."""
    for out in step.outs:
        path = project / out / "history.csv"
        if path.is_file():
            epochs = pd.read_csv(path)
            losses = epochs["loss"].dropna()
            return str(epochs["steps"].max()), f"{losses.iloc[0]:.4f} -> {losses.iloc[-1]:.4f}"
    return ()


def expanded(stages: dict[str, Any], values: dict[str, Any]) -> Iterator[Step]:
    """The stages of dvc.yaml with the values of params.yaml in their places."""
    for name, stage in stages.items():
        if "foreach" not in stage:
            yield one(name, stage, values)
            continue
        for key, item in value(values, stage["foreach"].strip("${}")).items():
            yield one(f"{name}@{key}", stage["do"], values | {"key": key, "item": item})


def one(name: str, stage: dict[str, Any], values: dict[str, Any]) -> Step:
    def filled(text: str) -> str:
        return re.sub(r"\$\{(.+?)\}", lambda found: str(value(values, found[1])), text)

    outs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    return Step(
        name=name,
        command=filled(stage["cmd"]).removeprefix("python ").split(),
        deps=[Path(filled(dep)) for dep in stage["deps"]],
        outs=[Path(filled(path)) for path in paths],
    )


def needed(steps: list[Step], last: str) -> list[Step]:
    """The step `last` and all whose outs it needs, in the order of dvc.yaml."""
    found = {last}
    while True:
        deps = [dep for step in steps if step.name in found for dep in step.deps]
        feeding = {step.name for step in steps if any(meet(o, d) for o in step.outs for d in deps)}
        if feeding <= found:
            return [step for step in steps if step.name in found]
        found |= feeding


def meet(path: Path, other: Path) -> bool:
    """Whether one is the other or lies in it."""
    return path.is_relative_to(other) or other.is_relative_to(path)


def value(values: dict[str, Any], dotted: str) -> Any:  # noqa: ANN401
    for key in dotted.split("."):
        values = values[key]
    return values


if __name__ == "__main__":
    main()
