"""What `soundjudge fetch --for` downloads of what a params.yaml lacks."""

from dataclasses import dataclass
from pathlib import Path

from soundjudge.doctor.requirements import Finding, find_requirements, unmet_requirements


@dataclass(frozen=True, kw_only=True)
class FetchPlan:
    """What can be fetched of what a params.yaml lacks."""

    targets: dict[str, Path]
    "where each entry is put, by its name"
    others: tuple[Finding, ...]
    "what the catalog has not"


def plan_fetch(path: Path) -> FetchPlan:
    """The entries for all that the params in `path` lack, which start at this folder."""
    targets, others = {}, []
    for finding in unmet_requirements(find_requirements(path)):
        if finding.entry:
            targets[finding.entry] = finding.path
        else:
            others.append(finding)
    return FetchPlan(targets=targets, others=tuple(others))
