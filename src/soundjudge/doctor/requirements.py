"""What a params.yaml needs and no stage makes, and what of it is there."""

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from soundjudge import params
from soundjudge.clap.encoders.source import Opening, Pinned
from soundjudge.data.fetch import hub
from soundjudge.doctor.catalog import REQUIREMENTS, Requirement
from soundjudge.runtime import artifacts

SAMPLE_FOLDERS = (Path("data/sample"), Path("checkpoints/sample"))

LAION_CLAP = ("laion_clap", "laion")  # the package, and the extra that brings it

Status = Literal["there", "comes with the sample", "not used", "incomplete", "missing"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was found of one requirement."""

    requirement: Requirement
    path: Path
    status: Status
    lacking: tuple[str, ...]
    bytes: int
    alternatives: tuple[Requirement, ...] = ()
    "other kinds of it that would do, where nothing is there"


def find_requirements(path: Path, root: Path = Path()) -> list[Finding]:
    """Every requirement of the params in `path`; their paths start at `root`."""
    kinds: dict[str, list[Requirement]] = {}
    for requirement in REQUIREMENTS:
        kinds.setdefault(requirement.key, []).append(requirement)
    opening = params.load("encoders.opening", Opening, path)
    found = []
    for key, choices in kinds.items():
        if key == "encoders.clap":
            needed = (LAION_CLAP,) if opening.backend == "laion-clap" else ()
            clap = Pinned(path=params.load(key, Path, path), sha256=opening.sha256)
            found.append(_clap(choices, clap, root, needed))
        else:
            found.append(_finding(choices, params.load(key, Path, path), root, ()))
    further = params.load("regress.extra_claps", tuple[Path | Pinned, ...], path)
    for number, named in enumerate(further):
        key = f"regress.extra_claps[{number}]"
        choices = [replace(kind, key=key, stages=("regress",)) for kind in kinds["encoders.clap"]]
        clap = named if isinstance(named, Pinned) else Pinned(path=named, sha256=None)
        found.append(_clap(choices, clap, root, ()))
    return found


def unmet_requirements(found: list[Finding]) -> list[Finding]:
    """Those that keep a stage from running."""
    return [finding for finding in found if finding.status in ("incomplete", "missing")]


def report_lines(found: list[Finding]) -> list[str]:
    """The report, ready to print."""
    report = []
    for finding in found:
        need = finding.requirement
        size = f", {finding.bytes / 1e6:,.1f} MB" if finding.bytes else ""
        report.append(f"{need.key}: {need.what}")
        report.append(f"  {finding.path}: {finding.status}{size}")
        if finding.status in ("incomplete", "missing"):
            if finding.lacking:
                report.append(f"  lacks    {', '.join(finding.lacking)}")
            report.append(f"  blocks   {', '.join(need.stages)} and every stage that follows them")
            report.append(f"  get it   {need.source} ({need.size})")
            report.append(f"  license  {need.license}")
        for other in finding.alternatives:
            report.append(f"  or       {other.what}")
            report.append(f"           {other.source} ({other.size}; license: {other.license})")
    missing = unmet_requirements(found)
    if missing:
        report.append(f"{len(missing)} of {len(found)} needs are not met")
    else:
        report.append("nothing is missing: dvc repro can run")
    return report


def _clap(
    choices: list[Requirement], clap: Pinned, root: Path, packages: tuple[tuple[str, str], ...]
) -> Finding:
    """A CLAP's: it may be named by its id on the hub, and pinned."""
    name = clap.path.as_posix()
    if hub.is_hub_id(name):
        command, place = hub.download_command(name)
        source = f"{command}; then name {place} in its place: DVC watches folders alone"
        choices = [replace(kind, source=source) for kind in choices[:1]]
    found = _finding(choices, clap.path, root, packages)
    files = sorted((root / clap.path).glob(found.requirement.weights)) or [root / clap.path]
    if clap.sha256 is None or not files[0].is_file():
        return found
    has = artifacts.sha256(files[0])
    if has == clap.sha256.lower():
        return found
    lacking = (f"the sha256 {clap.sha256} of {files[0].name}, which has {has}",)
    return replace(found, status="incomplete", lacking=found.lacking + lacking)


def _finding(
    choices: list[Requirement], path: Path, root: Path, packages: tuple[tuple[str, str], ...]
) -> Finding:
    place = root / path
    requirement = next((kind for kind in choices if _is(kind, place)), choices[0])
    status, lacking = _status(requirement, path, root)
    wanted = requirement.packages + packages
    absent = tuple(
        f"the package {name} (pip install 'soundjudge[{extra}]')"
        for name, extra in wanted
        if importlib.util.find_spec(name) is None
    )
    if absent and status == "there":
        status = "incomplete"
    return Finding(
        requirement=requirement,
        path=path,
        status=status,
        lacking=lacking + absent,
        bytes=_bytes(place),
        alternatives=tuple(choices[1:]) if status == "missing" else (),
    )


def _is(requirement: Requirement, place: Path) -> bool:
    inside = [entry.name for entry in place.iterdir()] if place.is_dir() else []
    return any(
        name.startswith(mark) or name.endswith(mark)
        for mark in requirement.marks
        for name in [place.name, *inside]
    )


def _status(requirement: Requirement, path: Path, root: Path) -> tuple[Status, tuple[str, ...]]:
    place = root / path
    built = any(path.is_relative_to(folder) for folder in SAMPLE_FOLDERS)
    if place.is_file():
        if not place.stat().st_size:
            return "incomplete", ("any content",)
        place = place.parent
        lacking = _lacking(requirement, place) if requirement.beside else ()
        return ("incomplete" if lacking else "there"), lacking
    if not place.is_dir():
        return ("comes with the sample" if built else "missing"), ()
    if requirement.optional and {entry.name for entry in place.iterdir()} <= {"README.md"}:
        return "not used", ()
    lacking = _lacking(requirement, place)
    if lacking:
        return ("comes with the sample" if built else "incomplete"), () if built else lacking
    return "there", ()


def _lacking(requirement: Requirement, folder: Path) -> tuple[str, ...]:
    return tuple(
        " or ".join(names)
        for names in requirement.pieces
        if not any(any(folder.glob(name)) for name in names)
    )


def _bytes(place: Path) -> int:
    if place.is_file():
        return place.stat().st_size
    return sum(file.stat().st_size for file in place.rglob("*") if file.is_file())
