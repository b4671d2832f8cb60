"""What `doctor` prints: each requirement, what it blocks, and how to get it."""

from collections.abc import Sequence

from soundjudge.doctor.requirements import FETCH, Finding, unmet_requirements

MEGABITS = 50  # per second: a common line, for how long a download takes
# The sum of docs/scaling.md; of the recipe frozen2027 no more is known.
LANGUAGE_MODELS = (
    "trainings: 17 to 56 hours of a GPU for the recipe tmu2026, reckoned, none measured: "
    "docs/scaling.md#what-it-costs"
)
FROZEN = "trainings: minutes of a GPU or hours of a CPU, reckoned, none measured"


def report_lines(findings: list[Finding], problems: Sequence[str] = ()) -> list[str]:
    """The report, ready to print; `problems` are those of the params themselves."""
    report = [f"problem: {problem}" for problem in problems]
    for finding in findings:
        requirement = finding.requirement
        is_there = finding.bytes and finding.status != "not used"
        size = f", {finding.bytes / 1e6:,.1f} MB" if is_there else ""
        report.append(f"{requirement.key}: {requirement.description}")
        report.append(f"  {finding.path}: {finding.status}{size}")
        if finding.status in ("incomplete", "missing"):
            if finding.lacking:
                report.append(f"  lacks    {', '.join(finding.lacking)}")
            stages = ", ".join(requirement.stages)
            report.append(f"  blocks   {stages} and every stage that follows them")
            size = requirement.size + _duration(requirement.bytes)
            report.append(f"  get it   {requirement.source} ({size})")
            report.append(f"  license  {requirement.license}")
            report += [f"  trust    {line}" for line in finding.trust]
        for other in finding.alternatives:
            report.append(f"  or       {other.description}")
            report.append(f"           {other.source} ({other.size}; license: {other.license})")
    unmet = unmet_requirements(findings)
    if any(finding.requirement.source.startswith(FETCH) for finding in unmet):
        report.append(f"'{FETCH} --for params.yaml' puts weights where params.yaml looks")
    if unmet:
        report.append(FROZEN if _is_without_captions(findings) else LANGUAGE_MODELS)
    if unmet:
        report.append(f"{len(unmet)} of {len(findings)} requirements are not met")
    if problems:
        report.append(f"problems of the params, listed first: {len(problems)}")
    if not unmet and not problems:
        report.append(f"nothing is missing: {_command(findings)} can run")
    return report


def _duration(count: int) -> str:
    """How long a download of so many bytes takes; nothing for an unknown number."""
    minutes = 8 * count / (1e6 * MEGABITS) / 60
    time = f"{minutes / 60:.1f} h" if minutes > 90 else f"{max(minutes, 1):.0f} min"
    return f", {time} at {MEGABITS} Mbit/s" if count else ""


def _is_without_captions(findings: list[Finding]) -> bool:
    corpora = [finding for finding in findings if finding.requirement.optional]
    return all(finding.status == "not used" for finding in corpora)


def _command(findings: list[Finding]) -> str:
    # A bare dvc repro would go on to the trainings that need captions.
    return "dvc repro package" if _is_without_captions(findings) else "dvc repro"
