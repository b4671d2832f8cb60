"""The stages of dvc.yaml that one of them needs, templates filled in from params.yaml.

It is what `dvc repro STAGE` would run, without DVC.
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


def needed_stages(dvc: dict[str, Any], values: dict[str, Any], last: str) -> list[Stage]:
    """The stage `last` and all that it depends on, in the order of dvc.yaml."""
    stages = list(expand_stages(dvc, values))
    names = {last}
    while True:
        deps = [dep for stage in stages if stage.name in names for dep in stage.deps]
        upstream = {s.name for s in stages if any(overlap(o, d) for o in s.outs for d in deps)}
        if upstream <= names:
            return [stage for stage in stages if stage.name in names]
        names |= upstream


def expand_stages(dvc: dict[str, Any], values: dict[str, Any]) -> Iterator[Stage]:
    """All stages, those with foreach once per item."""
    for name, stage in dvc["stages"].items():
        if "foreach" not in stage:
            yield _fill_in(name, stage, values)
            continue
        items = lookup(values, stage["foreach"].strip("${}"))
        named = items if isinstance(items, dict) else {str(item): item for item in items}
        for key, item in named.items():
            yield _fill_in(f"{name}@{key}", stage["do"], values | {"key": key, "item": item})


def lookup(values: dict[str, Any], dotted: str) -> Any:  # noqa: ANN401
    """The value of a dotted key."""
    for key in dotted.split("."):
        values = values[key]
    return values


def overlap(path: Path, other: Path) -> bool:
    """Whether one path is the other or lies inside it."""
    return path.is_relative_to(other) or other.is_relative_to(path)


def _fill_in(name: str, stage: dict[str, Any], values: dict[str, Any]) -> Stage:
    def fill(text: str) -> str:
        return re.sub(r"\$\{(.+?)\}", lambda match: str(lookup(values, match[1])), text)

    outs = [out for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
    paths = [out if isinstance(out, str) else next(iter(out)) for out in outs]
    return Stage(
        name=name,
        command=fill(stage["cmd"]).removeprefix("python ").split(),
        deps=[Path(fill(dep)) for dep in stage["deps"]],
        outs=[Path(fill(path)) for path in paths],
    )
