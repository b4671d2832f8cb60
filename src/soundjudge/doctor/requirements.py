"""What a params.yaml needs and no stage makes, and what of it is there."""

import importlib.util
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from soundjudge import params
from soundjudge.clap.encoders.checkpoints import clap_kind
from soundjudge.clap.encoders.source import ClapSource, as_source
from soundjudge.data.fetch.catalog import CATALOG
from soundjudge.data.hub import hub
from soundjudge.doctor.catalog import REQUIREMENTS, SENTENCE, Requirement
from soundjudge.runtime import artifacts

SAMPLE_FOLDERS = (Path("data/sample"), Path("checkpoints/sample"))
CLAP, ZEROSHOT = "encoders.clap", "zeroshot"
FETCH = "soundjudge fetch"
# The catalog's entries that params.yaml can name, by the name of their file or folder.
ENTRIES = {entry.path.name: name for name, entry in CATALOG.items() if not entry.in_cache}
FOLDERS = ("prepare.", "encoders.llm")  # keys of what is never a lone file
WEIGHTS = (".pt", ".pth")  # how lone files of weights end
LAION_PACKAGE = ("laion_clap", "laion")  # and the extra that brings it

Status = Literal["there", "comes with the sample", "not used", "incomplete", "missing"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The state of one requirement."""

    requirement: Requirement
    path: Path
    status: Status
    lacking: tuple[str, ...]
    bytes: int
    alternatives: tuple[Requirement, ...] = ()
    "other kinds of it that would do, where it is missing"

    @property
    def entry(self) -> str | None:
        """What `soundjudge fetch` calls it; None for what the catalog has not."""
        # A CLAP may be an id of the hub, and that is no file or folder.
        name = ENTRIES.get(self.path.name)
        if name and not CATALOG[name].is_file and hub.is_hub_id(self.path.as_posix()):
            return None
        return name

    @property
    def trust(self) -> tuple[str, ...]:
        """A sentence per file of the entry that no published sha256 vouches for."""
        return CATALOG[self.entry].trust_sentences() if self.entry else ()


def find_requirements(path: Path, root: Path = Path()) -> list[Finding]:
    """The state of every requirement of the params in `path`; their paths start at `root`."""
    claps = [requirement for requirement in REQUIREMENTS if requirement.key == CLAP]
    findings = []
    for requirement in REQUIREMENTS:
        if requirement.key != CLAP:
            findings.append(_check(requirement, params.load(requirement.key, Path, path), root))
        elif requirement == claps[0]:  # all kinds of CLAP are one requirement
            findings.append(_check_clap(claps, params.load(CLAP, ClapSource, path), root))
    untuned = params.load(ZEROSHOT, ClapSource, path)
    if untuned != params.load(CLAP, ClapSource, path):
        kinds = [replace(kind, key=ZEROSHOT, stages=(ZEROSHOT,)) for kind in claps]
        findings.append(_check_clap(kinds, untuned, root))
    for stage in ("regress", "fusion"):
        extra = params.load(f"{stage}.extra_encoders", tuple[Path | ClapSource, ...], path)
        for number, entry in enumerate(extra):
            key = f"{stage}.extra_encoders[{number}]"
            kinds = [replace(kind, key=key, stages=("clap_features", stage)) for kind in claps]
            findings.append(_check_clap(kinds, as_source(entry), root))
    return [_as_published(finding) for finding in findings]


def unmet_requirements(findings: list[Finding]) -> list[Finding]:
    """Those that keep a stage from running."""
    return [finding for finding in findings if finding.status in ("incomplete", "missing")]


def plan_fetch(path: Path) -> tuple[dict[str, Path], list[Finding]]:
    """What the params in `path` lack: where to put each entry of the catalog, and all the rest."""
    unmet = unmet_requirements(find_requirements(path))
    targets = {finding.entry: finding.path for finding in unmet if finding.entry}
    return targets, [finding for finding in unmet if not finding.entry]


def _check_clap(kinds: list[Requirement], source: ClapSource, root: Path) -> Finding:
    """A CLAP may be named by its id on the hub, and must have its sha256."""
    kind = clap_kind(root / source.path)
    requirement = next(one for one in kinds if one.kind == kind)
    alternatives = tuple(one for one in kinds if one.kind not in (kind, SENTENCE))
    name = source.path.as_posix()
    if hub.is_hub_id(name):
        command, folder = hub.download_command(name)
        download = f"{command}; then name {folder} in its place: DVC watches folders alone"
        requirement, alternatives = replace(requirement, source=download), ()
    if source.backend == "laion-clap":
        requirement = replace(requirement, packages=(*requirement.packages, LAION_PACKAGE))
    finding = _check(requirement, source.path, root)
    if finding.status == "missing":
        finding = replace(finding, alternatives=alternatives)
    files = sorted((root / source.path).glob(requirement.weights)) or [root / source.path]
    if source.sha256 is None or not files[0].is_file():
        return finding
    actual = artifacts.sha256(files[0])
    if actual == source.sha256.lower():
        return finding
    lacking = (f"the sha256 {source.sha256} of {files[0].name}, which has {actual}",)
    return replace(finding, status="incomplete", lacking=finding.lacking + lacking)


def _as_published(finding: Finding) -> Finding:
    """What is missing and in the catalog, as the catalog has it, without alternatives."""
    if finding.entry is None or not unmet_requirements([finding]):
        return finding
    entry = CATALOG[finding.entry]
    total = entry.bytes + (CATALOG[entry.companion].bytes if entry.companion else 0)
    requirement = replace(
        finding.requirement,
        description=entry.description,
        size=f"about {total / 1e9:.2g} GB",
        bytes=total,
        license=entry.license,
        source=f"{FETCH} {finding.entry}",
    )
    return replace(finding, requirement=requirement, alternatives=())


def _check(requirement: Requirement, path: Path, root: Path) -> Finding:
    status, lacking = _status(requirement, path, root)
    absent = tuple(
        f"the package {name} (pip install 'soundjudge[{extra}]')"
        for name, extra in requirement.packages
        if importlib.util.find_spec(name) is None
    )
    if absent and status == "there":
        status = "incomplete"
    return Finding(
        requirement=requirement,
        path=path,
        status=status,
        lacking=lacking + absent,
        bytes=_bytes(root / path),
    )


def _status(requirement: Requirement, path: Path, root: Path) -> tuple[Status, tuple[str, ...]]:
    full = root / path
    built = any(path.is_relative_to(folder) for folder in SAMPLE_FOLDERS)
    if full.is_file():
        if not full.stat().st_size:
            return "incomplete", ("any content",)
        if requirement.key.startswith(FOLDERS):
            return "incomplete", ("a folder: this is a file",)
        if full.suffix not in WEIGHTS:
            return "incomplete", (f"weights, a file that ends in {' or '.join(WEIGHTS)}",)
        lacking = _lacking(requirement, full.parent) if requirement.needs_folder else ()
        return ("incomplete" if lacking else "there"), lacking
    if not full.is_dir():
        return ("comes with the sample" if built else "missing"), ()
    if requirement.optional and {entry.name for entry in full.iterdir()} <= {"README.md"}:
        return "not used", ()
    lacking = _lacking(requirement, full)
    if lacking and built:
        return "comes with the sample", ()
    return ("incomplete" if lacking else "there"), lacking


def _lacking(requirement: Requirement, folder: Path) -> tuple[str, ...]:
    return tuple(
        " or ".join(names)
        for names in requirement.files
        if not any(any(folder.glob(name)) for name in names)
    )


def _bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
