"""Trained members, their encoders and the ensemble to one folder: the judge."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from soundjudge import artifacts
from soundjudge.clap.opening import AS_IT_IS, Opening
from soundjudge.scoring import card, judge, members, own_m2d
from soundjudge.scoring.card import Packaging as Packaging
from soundjudge.scoring.ensemble import Ensemble

# An encoder of a member: kind, path from the root, how it is opened.
Encoder = tuple[str, str, Opening]
# Points of the 0-10 scale within which the judge repeats what the pipeline predicted.
SAME_SCORE = 1e-3


class PackageError(ValueError):
    """A judge that cannot be put together, or that does not score as the pipeline did."""


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
    said = {name: members.read(folder / "members" / name) for name in fitted.members}
    (folder / card.FILE).write_text(card.text(contents, said, packaging, report), encoding="utf-8")
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
        if values["kind"] == "regress":
            each = members.clap_openings(values, opening)
            values["more_sha256"] = [None] * (len(each) - 1)  # the copies are other files
        else:
            each = [(path, opening) for path in members.paths(values, kind)]
        places = [_place((kind, path, how), encoders, root) for path, how in each]
        values[kind] = places if isinstance(values[kind], list) else places[0]
    artifacts.write_json(target / members.MEMBER, values)


def _place(encoder: Encoder, encoders: dict[Encoder, str], root: Path) -> str:
    """Where the judge finds an encoder; one that it holds gets a name in `encoders`."""
    kind, path, _ = encoder
    if kind == "clap" and (outside := own_m2d.reference(root / path)):
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
