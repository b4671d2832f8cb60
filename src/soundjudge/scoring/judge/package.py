"""Trained members, their encoders and the ensemble to one folder: the judge."""

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from soundjudge.clap.encoders.checkpoints import copy_encoder
from soundjudge.clap.encoders.source import referenced_clap
from soundjudge.data.clips.clip_levels import ClipLevels
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.audio_encoder import kind_of
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import EncoderReference, read_member, write_member
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.judge import card, card_data, integrity
from soundjudge.scoring.judge.card import Packaging as Packaging
from soundjudge.scoring.judge.manifest import (
    FORMAT_VERSION,
    MANIFEST,
    FileRecord,
    JudgeManifest,
    Long,
)
from soundjudge.scoring.members import members
from soundjudge.scoring.members.m2d_reference import m2d_reference

# The encoders of a judge by kind and identity: where each was first found, and its copy's name.
Encoders = dict[tuple[str, EncoderReference], tuple[EncoderReference, str]]
# Points of the 0-10 scale within which the judge repeats what the pipeline predicted.
SAME_SCORE = 1e-3


def build_judge(
    folder: Path,
    *,
    ensemble: Ensemble,
    window_seconds: float,
    packaging: Packaging,
    report: str,
    checkpoints: Mapping[str, Path] | None = None,
    root: Path = Path(),
    long: Long = "windows",
    intervals: Intervals | None = None,
    note: str = "",
    levels: ClipLevels | None = None,
    evaluation: Mapping[str, Any] | None = None,
) -> JudgeManifest:
    """Fills `folder`: members, encoders, judge.json and a model card with `report` (Markdown).

    `checkpoints` are the members' folders, whose references start at `root`; None: members and
    encoders lie in `folder` already. A CLAP that the judge may not hold stays where it is: the
    judge asks its user for a copy, by its sha256. `levels` are those of the clips that the members
    were trained on; None: sounds as they are. `evaluation` is metrics/details/evaluate.json, for
    the head of the card.
    """
    if checkpoints is not None:
        _copy_members(folder, ensemble, checkpoints, root)
    unnamed = JudgeManifest(
        format=FORMAT_VERSION,
        score_id="",
        window_seconds=float(window_seconds),  # LAION's files write 10, which is read as 10.0
        ensemble=ensemble,
        files=_file_records(folder),
        long=long,
        intervals=intervals,
        note=note,
        silence_dbfs=levels.silence_dbfs if levels else None,
        level_dbfs=levels.level_dbfs if levels else None,
    )
    score_id = f"{packaging.name}@{packaging.version}+{unnamed.fingerprint()}"
    manifest = replace(unnamed, score_id=score_id)
    artifacts.write_json(folder / MANIFEST, manifest.contents(), digits=None)
    records = integrity.read_members(folder, manifest)
    head = card_data.card_data(packaging, evaluation or {}).to_yaml()
    text = card.card_text(folder, manifest, records, packaging, report, head)
    (folder / integrity.CARD).write_text(text, encoding="utf-8")
    for name in manifest.files:  # safetensors writes files that their owner alone may read
        shutil.copymode(folder / MANIFEST, folder / name)
    return manifest


def check_score(scored: float, expected: float, name: str) -> None:
    """Raises SoundjudgeError unless the judge repeats the pipeline's score."""
    if abs(scored - expected) > SAME_SCORE:
        raise SoundjudgeError(
            f"the judge gives {name} {scored}, the pipeline {expected}: "
            "run predict and ensemble again"
        )


def _copy_members(
    folder: Path, ensemble: Ensemble, checkpoints: Mapping[str, Path], root: Path
) -> None:
    encoders: Encoders = {}
    for name in ensemble.members:
        if name not in checkpoints:
            raise SoundjudgeError(
                f"the ensemble has a member {name}, ensemble.members has not: run the stage "
                "ensemble again"
            )
        _copy_member(checkpoints[name], folder / "members" / name, encoders, root)
    for (kind, _), (reference, name) in encoders.items():
        _copy_encoder(kind, reference, root, folder / "encoders" / name)


def _copy_member(source: Path, target: Path, encoders: Encoders, root: Path) -> None:
    """Copies a checkpoint and lets it name its encoders by their paths in the judge."""
    record = read_member(source, *members.KINDS)
    shutil.copytree(source, target)
    references = {
        kind: tuple(_judge_reference(kind, reference, encoders, root) for reference in listed)
        for kind, listed in record.encoders.items()
    }
    write_member(target, replace(record, encoders=references))


def _judge_reference(
    kind: str, reference: EncoderReference, encoders: Encoders, root: Path
) -> EncoderReference:
    """What the judge's member.json says of an encoder; a copy gets a name in `encoders`."""
    if kind == "clap" and (own := m2d_reference(reference.locate(root))):
        return own
    same = sum(1 for other, _ in encoders if other == kind)
    new = (reference, f"{kind}{same + 1}" if same else kind)
    _, name = encoders.setdefault((kind, _identity(reference)), new)
    return EncoderReference(path=f"encoders/{name}")


def _identity(reference: EncoderReference) -> EncoderReference:
    """One encoder at two paths, or with a sha256 in one place, has one name, and one copy."""
    return replace(reference, path=None, sha256=None) if reference.name else reference


def _copy_encoder(kind: str, reference: EncoderReference, root: Path, target: Path) -> None:
    """An official checkpoint as a folder of safetensors: loaded strictly, and saved."""
    source = reference.locate(root)
    if kind == "audio":
        kind_of(source).copy(source, target)
    else:
        copy_encoder(referenced_clap(reference, source), target)


def _file_records(folder: Path) -> dict[str, FileRecord]:
    return {
        path.relative_to(folder).as_posix(): FileRecord(
            bytes=path.stat().st_size, sha256=artifacts.sha256(path)
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
