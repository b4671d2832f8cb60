"""Trained members, their encoders and the ensemble to one folder: the judge."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from soundjudge.clap.encoders.source import AS_IT_IS, Opening
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.judge import card, judge
from soundjudge.scoring.judge.card import Packaging as Packaging
from soundjudge.scoring.members import members, own_m2d

# An encoder of a member: kind, path from the root, how it is opened.
Encoder = tuple[str, str, Opening]
# Points of the 0-10 scale within which the judge repeats what the pipeline predicted.
SAME_SCORE = 1e-3


def build_judge(
    folder: Path,
    *,
    fitted: Ensemble,
    checkpoints: Mapping[str, Path],
    root: Path,
    window_seconds: float,
    packaging: Packaging,
    report: str,
    opening: Opening = AS_IT_IS,
) -> judge.JudgeManifest:
    """Fills `folder`: members, encoders, judge.json and a model card with `report` (Markdown).

    `checkpoints` names each member's folder; the paths inside of them start at `root`. A CLAP that
    no copy may hold stays where it is: the judge asks for it by its sha256.
    """
    encoders: dict[Encoder, str] = {}
    for name in fitted.members:
        if name not in checkpoints:
            raise SoundjudgeError(f"the ensemble has a member {name}, ensemble.members has not")
        _copy_member(checkpoints[name], folder / "members" / name, encoders, root, opening)
    for (kind, path, how), name in encoders.items():
        members.copy_encoder(kind, root / path, folder / "encoders" / name, how)
    return write_manifest(
        folder,
        fitted=fitted,
        window_seconds=window_seconds,
        packaging=packaging,
        report=report,
    )


def write_manifest(
    folder: Path,
    *,
    fitted: Ensemble,
    window_seconds: float,
    packaging: Packaging,
    report: str,
) -> judge.JudgeManifest:
    """Writes judge.json and the model card over the members and encoders in `folder`."""
    contents = judge.JudgeManifest(
        format=judge.FORMAT_VERSION,
        score_id="",
        window_seconds=window_seconds,
        ensemble=fitted,
        files=_files(folder),
    )
    contents = _named(contents, packaging)
    artifacts.write_json(folder / judge.MANIFEST, asdict(contents))
    said = {name: members.read_member(folder / "members" / name) for name in fitted.members}
    (folder / card.FILE).write_text(
        card.card_text(contents, said, packaging, report), encoding="utf-8"
    )
    return contents


def check_score(scored: float, expected: float, what: str) -> None:
    """Raises PackageError unless the judge repeats the pipeline's score."""
    if abs(scored - expected) > SAME_SCORE:
        raise SoundjudgeError(
            f"the judge gives {what} {scored}, the pipeline {expected}: "
            "run predict and ensemble again"
        )


def _copy_member(
    source: Path, target: Path, encoders: dict[Encoder, str], root: Path, opening: Opening
) -> None:
    """Copies a checkpoint and lets it name its encoders by their place in the judge."""
    values = members.read_member(source)
    shutil.copytree(source, target)
    for kind in members.ENCODERS[str(values["kind"])]:
        if values["kind"] == "regress":
            each = members.clap_openings(values, opening)
            values["more_sha256"] = [None] * (len(each) - 1)  # the copies are other files
        else:
            each = [(path, opening) for path in members.encoder_paths(values, kind)]
        places = [_place((kind, path, how), encoders, root) for path, how in each]
        values[kind] = places if isinstance(values[kind], list) else places[0]
    artifacts.write_json(target / members.MEMBER, values)


def _place(encoder: Encoder, encoders: dict[Encoder, str], root: Path) -> str:
    """Where the judge finds an encoder; one that it holds gets a name in `encoders`."""
    kind, path, _ = encoder
    if kind == "clap" and (outside := own_m2d.m2d_reference(root / path)):
        return outside
    same = sum(1 for other, _, _ in encoders if other == kind)
    return f"encoders/{encoders.setdefault(encoder, f'{kind}{same + 1}' if same else kind)}"


def _files(folder: Path) -> dict[str, judge.FileRecord]:
    return {
        path.relative_to(folder).as_posix(): judge.FileRecord(
            bytes=path.stat().st_size, sha256=artifacts.sha256(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _named(contents: judge.JudgeManifest, packaging: Packaging) -> judge.JudgeManifest:
    """The same with its score id: what decides a score decides the fingerprint."""
    canonical = json.dumps(asdict(contents), sort_keys=True, allow_nan=False)
    digits = hashlib.sha256(canonical.encode()).hexdigest()[:8]
    score_id = f"{packaging.name}@{packaging.version}+{digits}"
    return judge.JudgeManifest(**(vars(contents) | {"score_id": score_id}))
