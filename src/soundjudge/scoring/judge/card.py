"""The model card of a judge."""

from collections.abc import Mapping
from dataclasses import dataclass

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.member_record import MemberRecord
from soundjudge.scoring.judge.manifest import JudgeManifest, Long
from soundjudge.scoring.members.m2d_reference import ENVIRONMENT_VARIABLE

TEXT = """\
---
license: {packaging.license}
library_name: soundjudge
tags: [audio, text-to-audio, evaluation]
---
# {packaging.name} {packaging.version}

How well a sound matches an English text, as listeners would rate it: a number from 0 (does not
match at all) to 10 (matches exactly).

Score id: `{score_id}`. Cite it with every number.

```python
from soundjudge import Judge
judge = Judge.from_pretrained("path/to/this/folder")
judge.score("dog.wav", "a dog barks")
```

Sounds may have any sample rate, number of channels and length. {long} The
calibration is {calibration}; scores are clipped to 0..10. {intervals}

## Data

{packaging.data}

## Members

| member | kind | weight |
|---|---|---|
{members}

## Licenses

{notes}

{report}
"""
# What is said of sounds longer than the window.
LONG: dict[Long, str] = {
    "windows": """\
Windows of {window:g} s are scored
one after another and their scores averaged by length; a remainder below 1 s is left out.""",
    "cut": "Of a longer one the first {window:g} s are scored.",
}
INTERVALS = """\
A score's interval aims at
holding the mean rating of {learned.coverage:.0%} of pairs. It was learned from validation, by split
conformal prediction scaled by the members' spread, for pairs and listeners like those. Scores that
differ by less than {learned.difference:.1f} points do not tell which pair listeners prefer."""
# License notes that follow from a judge's members.
M2D_HEADS = "{members}: a head alone, fitted on M2D-CLAP"
M2D_DELTAS = (
    "{members}: what tuning changed in M2D-CLAP, as differences that say nothing without it"
)
M2D_NOTE = """\
M2D-CLAP's license (NTT, evaluation only) allows no copy of its weights in this folder, and there \
is none; to score, name your own copy, whose checkpoint has the sha256 {sha256}, in the \
environment variable {variable}"""


Records = Mapping[str, MemberRecord]  # by member


@dataclass(frozen=True, kw_only=True)
class Packaging:
    """What the judge is called and what people must know about it; section `package`."""

    name: str  # of the score
    version: str  # raise it when scores change
    license: str  # for the model card's head
    data: str  # one sentence: what it was trained on
    notes: tuple[str, ...]  # license notes, one line each

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").replace("_", "").isalnum():
            raise SoundjudgeError(f"name is {self.name!r}: use letters, digits, - and _")


def card_text(manifest: JudgeManifest, records: Records, packaging: Packaging, report: str) -> str:
    """The card, with `report` (Markdown) as its last sections."""
    blend = manifest.ensemble
    rows = [
        f"| {name} | {records[name].kind} | {weight:.3f} |"
        for name, weight in zip(blend.members, blend.weights, strict=True)
    ]
    notes = [*packaging.notes, *_m2d_notes(records)]
    # The report's own headings become sections of this page.
    lines = [f"#{line}" if line.startswith("#") else line for line in report.splitlines()]
    return TEXT.format(
        packaging=packaging,
        score_id=manifest.score_id,
        long=LONG[manifest.long].format(window=manifest.window_seconds),
        calibration=blend.calibration.method,
        intervals=_interval_sentences(manifest),
        members="\n".join(rows),
        notes="\n".join(f"- {note}" for note in notes),
        report="\n".join(lines),
    )


def _interval_sentences(manifest: JudgeManifest) -> str:
    if manifest.intervals is None:
        return "No interval of a score was learned."
    return INTERVALS.format(learned=manifest.intervals)


def _m2d_notes(records: Records) -> list[str]:
    """What must be known of members that stand on M2D-CLAP."""
    own = {
        name: [ref for ref in record.encoders.get("clap", ()) if ref.path is None]
        for name, record in records.items()
    }
    files = {reference.sha256 for references in own.values() for reference in references}
    if not files:
        return []
    if len(files) > 1:
        raise SoundjudgeError(
            "members stand on several M2D-CLAPs, and a judge can ask its user for one alone: "
            "package members that share one"
        )
    deltas = [name for name, record in records.items() if record.kind == "clapscore-deltas"]
    heads = [name for name in records if own[name] and name not in deltas]
    notes = [
        note.format(members=", ".join(names))
        for note, names in ((M2D_HEADS, heads), (M2D_DELTAS, deltas))
        if names
    ]
    return [*notes, M2D_NOTE.format(sha256=files.pop(), variable=ENVIRONMENT_VARIABLE)]
