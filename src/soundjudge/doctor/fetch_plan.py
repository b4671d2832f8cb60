"""Which entries of the catalog a params.yaml asks for, and where it looks for them."""

from dataclasses import dataclass
from pathlib import Path

from soundjudge.data.fetch.catalog import CATALOG
from soundjudge.data.hub import hub
from soundjudge.doctor.requirements import Finding, find_requirements, unmet_requirements


@dataclass(frozen=True, kw_only=True)
class FetchPlan:
    """What can be fetched of what a params.yaml lacks."""

    targets: dict[str, Path]
    "where each entry is put, by its name"
    others: tuple[Finding, ...]
    "what the catalog has not"


def plan_fetch(path: Path, root: Path = Path()) -> FetchPlan:
    """The entries for all that the params in `path` lack; their paths start at `root`."""
    names = {entry.path.name: name for name, entry in CATALOG.items() if not entry.in_cache}
    targets, others = {}, []
    for finding in unmet_requirements(find_requirements(path, root)):
        name = names.get(finding.path.name)
        # A CLAP may be an id of the hub, and that is no folder.
        if name and (CATALOG[name].is_file or not hub.is_hub_id(finding.path.as_posix())):
            targets[name] = root / finding.path
        else:
            others.append(finding)
    return FetchPlan(targets=targets, others=tuple(others))
