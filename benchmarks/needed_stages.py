"""The stages of dvc.yaml that one of them needs, with the values of params.yaml in their places.

What `dvc repro STAGE` would run, where there is no DVC.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Stage(NamedTuple):
    """A stage, once for each of its members."""

    name: str
    command: list[str]  # without python
    deps: list[Path]
    outs: list[Path]


def needed(dvc: dict[str, Any], values: dict[str, Any], last: str) -> list[Stage]:
    """The stage `last` and all whose outs it needs, in the order of dvc.yaml."""
    stages = list(expanded(dvc, values))
    found = {last}
    while True:
        deps = [dep for stage in stages if stage.name in found for dep in stage.deps]
        feeding = {s.name for s in stages if any(meet(o, d) for o in s.outs for d in deps)}
        if feeding <= found:
            return [stage for stage in stages if stage.name in found]
        found |= feeding


def expanded(dvc: dict[str, Any], values: dict[str, Any]) -> Iterator[Stage]:
    """All stages."""
    for name, stage in dvc["stages"].items():
        if "foreach" not in stage:
            yield _filled(name, stage, values)
            continue
        for key, item in value(values, stage["foreach"].strip("${}")).items():
            yield _filled(f"{name}@{key}", stage["do"], values | {"key": key, "item": item})


def value(values: dict[str, Any], dotted: str) -> Any:  # noqa: ANN401
    """What stands at a dotted key."""
    for key in dotted.split("."):
        values = values[key]
    return values


def meet(path: Path, other: Path) -> bool:
    """Whether one is the other or lies in it."""
    return path.is_relative_to(other) or other.is_relative_to(path)


def _filled(name: str, stage: dict[str, Any], values: dict[str, Any]) -> Stage:
    def filled(text: str) -> str:
        return re.sub(r"\$\{(.+?)\}", lambda found: str(value(values, found[1])), text)

    outs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    return Stage(
        name=name,
        command=filled(stage["cmd"]).removeprefix("python ").split(),
        deps=[Path(filled(dep)) for dep in stage["deps"]],
        outs=[Path(filled(path)) for path in paths],
    )
