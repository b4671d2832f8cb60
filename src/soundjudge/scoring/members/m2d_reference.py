"""A CLAP that a judge stands on and must not hold: M2D-CLAP, in its user's own copy.

The member.json of a judge names no path of it, but the sha256 of its file of weights.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import EncoderReference, MemberRecord, read_member

# The environment variable that says where the user's own copy lies.
ENVIRONMENT_VARIABLE = "SOUNDJUDGE_M2D"


def m2d_reference(path: Path) -> EncoderReference | None:
    """What a judge's member.json says of the CLAP at `path`; None if the judge may hold a copy."""
    from soundjudge.clap.encoders import checkpoints, m2d_copy

    if checkpoints.KINDS[checkpoints.clap_kind(path)].may_copy:
        return None
    return EncoderReference(path=None, sha256=artifacts.sha256(m2d_copy.find_checkpoint(path)))


def own_copies(records: Mapping[str, MemberRecord]) -> dict[str, list[str | None]]:
    """The sha256 of each CLAP that a judge's members ask their user for; others are left out."""
    listed = {
        name: [ref.sha256 for ref in record.encoders.get("clap", ()) if ref.path is None]
        for name, record in records.items()
    }
    return {name: files for name, files in listed.items() if files}


def first_m2d(folders: Iterable[Path], root: Path) -> Path | None:
    """The first CLAP that members in `folders` name and no judge may hold, if there is one."""
    references = [ref for folder in folders for ref in read_member(folder).encoders.get("clap", ())]
    return next((p for p in (ref.locate(root) for ref in references) if m2d_reference(p)), None)


def locate_copy(reference: EncoderReference, folder: Path | None) -> Path:
    """The user's own copy: `folder`, or what the environment variable names."""
    named = folder or os.environ.get(ENVIRONMENT_VARIABLE)
    if not named:
        raise SoundjudgeError(
            "this judge stands on M2D-CLAP, which NTT's license does not let it carry: put "
            "portable_m2d.py and the folder of the weights (https://github.com/nttcslab/m2d), "
            f"whose checkpoint-*.pth has the sha256 {reference.sha256}, into one folder, and name "
            f"that in the environment variable {ENVIRONMENT_VARIABLE}"
        )
    return Path(named)


def check_copy(judge: Path, members: Iterable[Path]) -> str:
    """One sentence on the copy that a judge's members ask for; raises what loading it would."""
    from soundjudge.clap.encoders import m2d_copy, weight_files

    references = [ref for path in members for ref in read_member(path).encoders.get("clap", ())]
    own = next((ref for ref in references if ref.path is None), None)
    if own is None:
        return f"{judge} needs nothing but its own folder"
    assert own.sha256 is not None, "a judge knows the user's own copy by its sha256"
    file = m2d_copy.find_checkpoint(locate_copy(own, None))
    weight_files.check_sha256(file, own.sha256)
    return f"{judge} stands on M2D-CLAP, and {file} is the one that it asks for"
