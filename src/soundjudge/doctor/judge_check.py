"""Whether a judge's folder is whole, and what it needs beside itself."""

from pathlib import Path

from soundjudge.runtime.member_record import read_member
from soundjudge.scoring.judge import integrity
from soundjudge.scoring.judge.manifest import read_manifest
from soundjudge.scoring.members import m2d_reference


def judge_lines(folder: Path) -> list[str]:
    """What was found, ready to print; raises SoundjudgeError where the judge could not be used."""
    manifest = read_manifest(folder)
    integrity.check_folder(folder, manifest)
    blend = manifest.ensemble
    members = [folder / "members" / name for name in blend.members]
    return [
        f"{folder}: {manifest.score_id}",
        f"  {len(manifest.files)} files, {manifest.size()}: all as they were packaged",
        *(
            f"  {member.name}: {read_member(member).kind}, weight {weight:.3f}"
            for member, weight in zip(members, blend.weights, strict=True)
        ),
        m2d_reference.check_copy(folder, members),
    ]
