"""Trained members, their encoders and the ensemble to one folder: the judge."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from soundjudge import artifacts
from soundjudge.clap.encoder import AS_IT_IS, Opening, openings
from soundjudge.scoring import judge, members
from soundjudge.scoring.ensemble import Ensemble

CARD = "README.md"
CARD_TEXT = """\
---
license: {packaging.licence}
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

Sounds may have any sample rate, number of channels and length. Windows of {window:g} s are heard
one after another and their scores averaged by length; a rest below 1 s is left out. The
calibration is {calibration}; scores are clipped to 0..10.

## Data

{packaging.data}

## Members

| member | kind | weight |
|---|---|---|
{members}

## Licences

{notes}

{report}
"""
# A licence note that nobody needs to remember.
M2D_NOTE = """\
{members}: a head alone, fitted on M2D-CLAP, whose licence (NTT, evaluation only) allows no copy \
in this folder; to score, name your own copy in the environment variable {variable}"""
# An encoder of a member: kind, path from the root, how it is opened.
Encoder = tuple[str, str, Opening]
# Points of the 0-10 scale within which the judge repeats what the pipeline predicted.
SAME_SCORE = 1e-3


class PackageError(ValueError):
    """A judge that cannot be put together, or that does not score as the pipeline did."""


@dataclass(frozen=True, kw_only=True)
class Packaging:
    """What the judge is called and what people must know about it; section `package`."""

    name: str  # of the score
    version: str  # raise it when scores change
    licence: str  # for the model card's head
    data: str  # one sentence: what it was trained on
    notes: tuple[str, ...]  # licence notes, one line each

    def __post_init__(self) -> None:
        if not self.name.replace("-", "").replace("_", "").isalnum():
            raise PackageError(f"name is {self.name!r}: use letters, digits, - and _")


def build(
    folder: Path,
    *,
    fitted: Ensemble,
    checkpoints: Mapping[str, Path],
    root: Path,
    window_seconds: float,
    packaging: Packaging,
    report: str,
    opening: Opening = AS_IT_IS,
) -> judge.Contents:
    """Fills `folder`: members, encoders, judge.json and a model card with `report` (Markdown).

    `checkpoints` names each member's folder; the paths inside of them start at `root`. A CLAP that
    no copy may hold stays where it is: the judge asks for it by its sha256.
    """
    encoders: dict[Encoder, str] = {}
    for name in fitted.members:
        if name not in checkpoints:
            raise PackageError(f"the ensemble has a member {name}, ensemble.members has not")
        _copy_member(checkpoints[name], folder / "members" / name, encoders, root, opening)
    for (kind, path, how), name in encoders.items():
        members.copy_encoder(kind, root / path, folder / "encoders" / name, how)
    return seal(
        folder,
        fitted=fitted,
        window_seconds=window_seconds,
        packaging=packaging,
        report=report,
    )


def seal(
    folder: Path,
    *,
    fitted: Ensemble,
    window_seconds: float,
    packaging: Packaging,
    report: str,
) -> judge.Contents:
    """Writes judge.json and the model card over the members and encoders in `folder`."""
    contents = judge.Contents(
        format=judge.FORMAT,
        score_id="",
        window_seconds=window_seconds,
        ensemble=fitted,
        files=_files(folder),
    )
    contents = _named(contents, packaging)
    artifacts.write_json(folder / judge.JUDGE, asdict(contents))
    (folder / CARD).write_text(_card(contents, folder, packaging, report), encoding="utf-8")
    return contents


def check(scored: float, expected: float, what: str) -> None:
    """Raises PackageError unless the judge repeats the pipeline's score."""
    if abs(scored - expected) > SAME_SCORE:
        raise PackageError(
            f"the judge gives {what} {scored}, the pipeline {expected}: "
            "run predict and ensemble again"
        )


def _copy_member(
    source: Path, target: Path, encoders: dict[Encoder, str], root: Path, opening: Opening
) -> None:
    """Copies a checkpoint and lets it name its encoders by their place in the judge."""
    values = members.read(source)
    shutil.copytree(source, target)
    for kind in members.ENCODERS[str(values["kind"])]:
        paths = members.paths(values, kind)
        each = zip(paths, openings(opening, len(paths)), strict=True)
        places = [_place((kind, path, how), encoders, root) for path, how in each]
        values[kind] = places if isinstance(values[kind], list) else places[0]
    artifacts.write_json(target / members.MEMBER, values)


def _place(encoder: Encoder, encoders: dict[Encoder, str], root: Path) -> str:
    """Where the judge finds an encoder; one that it holds gets a name in `encoders`."""
    kind, path, _ = encoder
    if outside := members.external(kind, root / path):
        return outside
    same = sum(1 for other, _, _ in encoders if other == kind)
    return f"encoders/{encoders.setdefault(encoder, f'{kind}{same + 1}' if same else kind)}"


def _files(folder: Path) -> dict[str, judge.File]:
    return {
        path.relative_to(folder).as_posix(): judge.File(
            bytes=path.stat().st_size, sha256=artifacts.sha256(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _named(contents: judge.Contents, packaging: Packaging) -> judge.Contents:
    """The same with its score id: what decides a score decides the fingerprint."""
    canonical = json.dumps(asdict(contents), sort_keys=True, allow_nan=False)
    digits = hashlib.sha256(canonical.encode()).hexdigest()[:8]
    score_id = f"{packaging.name}@{packaging.version}+{digits}"
    return judge.Contents(**(vars(contents) | {"score_id": score_id}))


def _card(contents: judge.Contents, folder: Path, packaging: Packaging, report: str) -> str:
    blend = contents.ensemble
    said = {name: members.read(folder / "members" / name) for name in blend.members}
    rows = [
        f"| {name} | {said[name]['kind']} | {weight:.3f} |"
        for name, weight in zip(blend.members, blend.weights, strict=True)
    ]
    external = {
        name: [path for path in members.paths(values, "clap") if path.startswith(members.M2D)]
        for name, values in said.items()
    }
    if len({path for paths in external.values() for path in paths}) > 1:
        raise PackageError("members stand on several M2D-CLAPs: a judge can ask for one alone")
    notes = list(packaging.notes)
    if any(external.values()):
        names = ", ".join(name for name, paths in external.items() if paths)
        notes.append(M2D_NOTE.format(members=names, variable=members.M2D_FOLDER))
    # The report's own headings become sections of this page.
    lines = [f"#{line}" if line.startswith("#") else line for line in report.splitlines()]
    return CARD_TEXT.format(
        packaging=packaging,
        score_id=contents.score_id,
        window=contents.window_seconds,
        calibration=blend.calibration.method,
        members="\n".join(rows),
        notes="\n".join(f"- {note}" for note in notes),
        report="\n".join(lines),
    )
