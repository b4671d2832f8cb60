"""The model card of a judge."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from soundjudge.clap.encoders import tower_checks, towers
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.member_record import MemberRecord
from soundjudge.scoring.judge.manifest import JudgeManifest, Long
from soundjudge.scoring.members.m2d_reference import ENVIRONMENT_VARIABLE, own_copies

TEXT = """\
---
{head}
---
# {packaging.name} {packaging.version}

How well a sound matches an English text, as listeners would rate it: a number from 0 (does not
match at all) to 10 (matches exactly).

Score id: `{score_id}`. Cite it with every number.

```python
from soundjudge import Judge
judge = Judge.from_pretrained("path/to/this/folder")  # or, on the hub, "owner/name"
judge.score("dog.wav", "a dog barks")
```

Sounds may have any sample rate, number of channels and length. {long} {level}The
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
# The sentence of the card about sounds longer than the window.
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
# What is said of silence and of the level.
SILENCE = """\
A sound whose peak lies
below {silence:g} dBFS scores {score:g}, whatever its text. """
LEVEL = """\
Every sound that is not silent is brought
to a root mean square of {level:g} dBFS, or less where its peak would exceed full scale, before it
is scored: the volume of a file does not matter. """
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

NAME, VERSION = "[A-Za-z0-9_-]*[A-Za-z0-9][A-Za-z0-9_-]*", "[A-Za-z0-9][A-Za-z0-9._-]*"


@dataclass(frozen=True, kw_only=True)
class Packaging:
    """What the judge is called and what people must know about it; section `package`."""

    name: str  # of the score
    version: str  # raise it when scores change
    license: str  # for the model card's head
    data: str  # one sentence: what it was trained on
    notes: tuple[str, ...]  # license notes, one line each
    datasets: tuple[str, ...] = ()  # ids on the hub, owner/name, of what it was trained on

    def __post_init__(self) -> None:
        if not re.fullmatch(NAME, self.name):
            raise SoundjudgeError(f"name is {self.name!r}: use letters, digits, - and _")
        if not re.fullmatch(VERSION, self.version):  # it stands between @ and + in the score id
            raise SoundjudgeError(f"version is {self.version!r}: use letters, digits, ., - and _")
        if not re.fullmatch(VERSION, self.license):
            raise SoundjudgeError(f"license is {self.license!r}: write its id on the hub, as mit")
        if not self.data.strip() or not all(note.strip() for note in self.notes):
            raise SoundjudgeError("data or one of notes is empty: say what people must know")
        for dataset in self.datasets:
            if not re.fullmatch(f"({NAME}/)?{VERSION}", dataset):
                raise SoundjudgeError(f"datasets names {dataset!r}: write its id, owner/name")


def card_text(
    folder: Path,
    manifest: JudgeManifest,
    records: Records,
    packaging: Packaging,
    report: str,
    head: str,
) -> str:
    """The card of the judge in `folder`: `head` is its YAML, `report` (Markdown) its end."""
    blend = manifest.ensemble
    rows = [
        f"| {name} | {records[name].kind} | {weight:.3f} |"
        for name, weight in zip(blend.members, blend.weights, strict=True)
    ]
    notes = [*packaging.notes, *_attributions(folder), *_m2d_notes(records)]
    # The report's own headings become sections of this page.
    lines = [f"#{line}" if line.startswith("#") else line for line in report.splitlines()]
    return TEXT.format(
        head=head,
        packaging=packaging,
        score_id=manifest.score_id,
        long=LONG[manifest.long].format(window=manifest.window_seconds),
        level=_level_text(manifest),
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


def _level_text(manifest: JudgeManifest) -> str:
    """What the judge does with silence and with the level of a sound."""
    score, level, text = manifest.ensemble.silent_score, manifest.level_dbfs, ""
    if score is not None:
        text += SILENCE.format(silence=manifest.silence_dbfs, score=score)
    if level is not None:
        text += LEVEL.format(level=level)
    return text


def _attributions(folder: Path) -> list[str]:
    """What the licenses of pretrained towers inside the judge ask to be told."""
    copies = sorted(folder.rglob(towers.CONFIG))
    lines = (line for copy in copies for line in tower_checks.read_attributions(copy))
    return list(dict.fromkeys(lines))


def _m2d_notes(records: Records) -> list[str]:
    """What must be known of members that stand on M2D-CLAP."""
    own = own_copies(records)
    files = {sha256 for listed in own.values() for sha256 in listed}
    if not files:
        return []
    if len(files) > 1:
        raise SoundjudgeError(
            "members stand on several M2D-CLAPs, and a judge can ask its user for one alone: "
            "package members that share one"
        )
    deltas = [name for name, record in records.items() if record.kind == "clapscore-deltas"]
    heads = [name for name in own if name not in deltas]
    notes = [
        note.format(members=", ".join(names))
        for note, names in ((M2D_HEADS, heads), (M2D_DELTAS, deltas))
        if names
    ]
    return [*notes, M2D_NOTE.format(sha256=files.pop(), variable=ENVIRONMENT_VARIABLE)]
