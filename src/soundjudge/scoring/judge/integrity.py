"""A judge's folder holds what its judge.json lists, byte by byte, and nothing else.

The model card may be edited, so it is not listed; no score depends on it.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import MemberRecord, read_member
from soundjudge.scoring.judge.manifest import MANIFEST, JudgeManifest, check_plain

CARD = "README.md"
# Top-level names that no score depends on: ours, and what a download from the hub leaves.
UNLISTED_FOLDERS = (".git", ".cache")
UNLISTED = (MANIFEST, CARD, ".gitattributes", *UNLISTED_FOLDERS)
# Of what a judge lists: data that no loader runs.
SUFFIXES = (".json", ".safetensors", ".txt", ".jinja")


def check_folder(folder: Path, manifest: JudgeManifest, verify: bool = True) -> None:
    """Raises SoundjudgeError unless `folder` is the judge of `manifest`.

    Without `verify` the contents of files are taken on trust: their sha256 is not computed.
    """
    present = set(_files(folder))
    for name in sorted(present - manifest.files.keys()):
        raise SoundjudgeError(
            f"{folder / name} is not listed in {MANIFEST}: delete it, or copy the judge again"
        )
    for name, file in manifest.files.items():
        path = folder / name
        if path.suffix not in SUFFIXES:
            raise SoundjudgeError(f"{path} has no place in a judge: its files are {SUFFIXES}")
        size = path.stat().st_size if name in present else None
        if size != file.bytes:
            state = "is missing" if size is None else f"has {size} bytes, not {file.bytes}"
            raise SoundjudgeError(f"{path} {state}: the judge is incomplete, copy it again")
        artifacts.check_readable(path)
        if verify and artifacts.remembered_sha256(path) != file.sha256:
            raise SoundjudgeError(f"{path} is not the file that was packaged: copy the judge again")
    for member, record in read_members(folder, manifest).items():
        _check_references(record, member, manifest)


def read_members(folder: Path, manifest: JudgeManifest) -> dict[str, MemberRecord]:
    """member.json of every member, with a weight or without."""
    return {name: read_member(folder / "members" / name) for name in manifest.ensemble.members}


def _files(folder: Path) -> Iterator[str]:
    """The paths of all files from `folder`, but for UNLISTED ones; links are refused."""
    for parent, folders, files in os.walk(folder, onerror=_refuse):
        top = Path(parent) == folder
        if top:
            folders[:] = [name for name in folders if name not in UNLISTED_FOLDERS]
        for name in (*folders, *files):
            path = Path(parent) / name
            mode = path.lstat().st_mode
            if stat.S_ISLNK(mode) and not _is_hub_link(path, folder):
                raise SoundjudgeError(
                    f"{path} is a link: a judge holds its own files, copy them (cp -rL)"
                )
            if not (stat.S_ISLNK(mode) or stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                raise SoundjudgeError(f"{path} is neither a file nor a folder: delete it")
            if top and name in folders and name in UNLISTED:
                raise SoundjudgeError(f"{path} is a folder in a file's place: delete it")
            if name in files and not (top and name in UNLISTED):
                yield path.relative_to(folder).as_posix()


def _refuse(error: OSError) -> None:
    raise SoundjudgeError(f"{error.filename} can't be read: {error.strerror}") from error


def _is_hub_link(path: Path, folder: Path) -> bool:
    """Whether the hub's cache made this link: from <name>/snapshots/<revision> to <name>/blobs."""
    snapshots = folder.absolute().parent
    blobs = snapshots.parent / "blobs"
    return snapshots.name == "snapshots" and path.resolve().parent == blobs.resolve()


def _check_references(record: MemberRecord, member: str, manifest: JudgeManifest) -> None:
    """Raises SoundjudgeError for an encoder that the judge does not hold itself.

    A CLAP without a path is the user's own copy, known by its sha256.
    """
    for kind, references in record.encoders.items():
        for reference in references:
            if reference.path is None and kind == "clap" and reference.sha256 is not None:
                continue
            path = reference.path or ""
            check_plain(path)
            if not any(name.startswith(f"{path}/") for name in manifest.files):
                raise SoundjudgeError(
                    f"member {member} needs {path!r}, which is no folder of this judge"
                )
