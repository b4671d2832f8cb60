"""Files of the catalog from the hub to their place: checked by their hashes, whole or not at all.

The hub's client resumes a file whose connection is cut. Whole files of a failed download stay in
a hidden folder beside the target, and the next one takes them from there.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from soundjudge.data.fetch.entries import Entry, Mirror, RemoteFile
from soundjudge.data.fetch.hash_records import read_record, record_path
from soundjudge.data.user_files import outputs
from soundjudge.errors import HubError, SoundjudgeError
from soundjudge.runtime import artifacts

Tell = Callable[[str], None]  # shows a line
METADATA_SECONDS = 10.0  # until a hub that does not answer is out of reach


@dataclass(frozen=True, kw_only=True)
class _Listing:
    """What a mirror has of the files that are missing here."""

    mirror: Mirror
    sizes: dict[str, int]  # by name
    digests: dict[str, str | None]  # sha256 that the hub states


def fetch(name: str, entry: Entry, target: Path, tell: Tell) -> Path:
    """The file or folder `target`, downloaded unless it is there already.

    `tell` gets the license and what is about to be downloaded, before the first byte. Raises
    SoundjudgeError for a hash that does not hold, too little space, and where no mirror is in
    reach.
    """
    missing = [file for file in entry.files if not _local_path(entry, target, file.name).is_file()]
    if not any(not file.optional for file in missing):
        _check_present(entry, target)
        tell(f"{name}: {target} is there already")
        return target
    tell(f"{name}: {entry.description}; license: {entry.license}")
    for sentence in entry.trust_sentences():
        tell(sentence)
    staging = target.absolute().with_name(f".fetch-{target.name}")
    listing = _first_listing(name, entry, target, missing)
    total = sum(listing.sizes.values())
    tell(f"{_amount(len(listing.sizes), total)} from {listing.mirror} to {target}")
    _check_space(staging, total)
    staging.parent.mkdir(parents=True, exist_ok=True)
    with outputs.lock(target, staging):
        for file in missing:
            if file.name in listing.sizes:
                _download(file, listing.mirror, staging)
                _check_hash(file, staging, listing, _local_path(entry, target, file.name))
        _move(entry, [file for file in missing if file.name in listing.sizes], staging, target)
    return target


def plan_sentence(name: str, entry: Entry, target: Path, files: Sequence[RemoteFile]) -> str:
    """What fetching would download, from where, to where."""
    from huggingface_hub import constants

    sources = " or ".join(
        f"{constants.ENDPOINT}/{mirror.page}/tree/{mirror.revision}" for mirror in entry.mirrors
    )
    amount = _amount(len(files), sum(file.bytes for file in files))
    names = ", ".join(file.name for file in files)
    return f"{name} is {amount} ({names}) from {sources}, to be put at {target}; {entry.license}"


def _amount(count: int, size: int) -> str:
    return f"{count} file{'s' if count != 1 else ''}, {size / 1e6:,.1f} MB"


def _local_path(entry: Entry, target: Path, name: str) -> Path:
    return target if entry.is_file else target / name


def _expected_sha256(file: RemoteFile, path: Path) -> str | None:
    """The sha256 that the file at `path` must have, as far as it is known."""
    if file.sha256 is None and file.is_weights and record_path(path).is_file():
        return read_record(record_path(path))
    return file.sha256


def _check_present(entry: Entry, target: Path) -> None:
    for file in entry.files:
        path = _local_path(entry, target, file.name)
        expected = _expected_sha256(file, path)
        if expected is None:
            continue
        actual = artifacts.remembered_sha256(path)
        if actual != expected:
            raise SoundjudgeError(
                f"{path} has the sha256 {actual}, and {expected} is expected: it is another file; "
                "move it away and fetch again"
            )


@contextmanager
def _hub_errors(mirror: Mirror) -> Iterator[None]:
    """Raises HubError, in one sentence, for what keeps a mirror from giving its files out."""
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise HubError(f"{mirror}: {error}") from error
    except errors.LocalEntryNotFoundError as error:
        raise HubError(f"{mirror} is out of reach") from error
    except errors.EntryNotFoundError as error:
        raise HubError(f"{mirror} has no such file") from error
    except errors.RevisionNotFoundError as error:
        raise HubError(f"{mirror}: there is no such revision") from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(f"{mirror}: there is no such repository, or it is closed") from error
    # httpx's or httpx2's, by the version of the client.
    except (errors.HTTPError, OSError) as error:  # type: ignore[attr-defined]
        if isinstance(error, OSError) and error.filename:  # of this machine's own disk
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise HubError(f"{mirror}: {reason}") from error


def _first_listing(
    name: str, entry: Entry, target: Path, missing: Sequence[RemoteFile]
) -> _Listing:
    """The listing of the first mirror that has all files."""
    from huggingface_hub import constants

    plan = plan_sentence(name, entry, target, missing)
    if constants.HF_HUB_OFFLINE:
        raise HubError(f"HF_HUB_OFFLINE is set, so nothing is downloaded; unset it: {plan}")
    failures = []
    for mirror in entry.mirrors:
        try:
            return _list_files(mirror, missing)
        except HubError as error:
            failures.append(str(error))
    raise HubError(f"nothing could be downloaded ({'; '.join(failures)}): {plan}")


def _list_files(mirror: Mirror, missing: Sequence[RemoteFile]) -> _Listing:
    from huggingface_hub import DatasetInfo, HfApi, ModelInfo, constants

    with _hub_errors(mirror):
        info = HfApi(endpoint=constants.ENDPOINT).repo_info(
            mirror.repository,
            repo_type=mirror.kind,
            revision=mirror.revision,
            files_metadata=True,
            timeout=METADATA_SECONDS,
        )
    assert isinstance(info, ModelInfo | DatasetInfo), "a mirror is a model or a data set"
    available = {sibling.rfilename: sibling for sibling in info.siblings or ()}
    if absent := [
        file.name for file in missing if not file.optional and file.name not in available
    ]:
        raise HubError(f"{mirror} has no {', '.join(absent)}")
    listed = {file.name: (file, available[file.name]) for file in missing if file.name in available}
    return _Listing(
        mirror=mirror,
        sizes={name: one.size or file.bytes for name, (file, one) in listed.items()},
        digests={name: one.lfs.sha256 if one.lfs else None for name, (_, one) in listed.items()},
    )


def _check_space(staging: Path, needed: int) -> None:
    folder = next(parent for parent in staging.parents if parent.is_dir())
    if staging.is_dir():  # what an interrupted download left
        needed -= sum(path.stat().st_size for path in staging.rglob("*") if path.is_file())
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise SoundjudgeError(
            f"{folder} has {free / 1e6:,.1f} MB of free space, and {needed / 1e6:,.1f} MB are "
            "needed: make room first"
        )


def _download(file: RemoteFile, mirror: Mirror, staging: Path) -> None:
    from huggingface_hub import constants, hf_hub_download

    staging.mkdir(parents=True, exist_ok=True)
    with _hub_errors(mirror):
        hf_hub_download(
            mirror.repository,
            file.name,
            repo_type=mirror.kind,
            revision=mirror.revision,
            local_dir=staging,
            endpoint=constants.ENDPOINT,
        )


def _check_hash(file: RemoteFile, staging: Path, listing: _Listing, path: Path) -> None:
    """Raises SoundjudgeError, keeping nothing, unless the file has the hash for `path`."""
    expected = _expected_sha256(file, path) or listing.digests[file.name]
    if expected is None:
        return
    actual = artifacts.sha256(staging / file.name)
    if actual != expected:
        shutil.rmtree(staging)
        raise SoundjudgeError(
            f"{file.name} of {listing.mirror} has the sha256 {actual}, and {expected} is expected: "
            "nothing is kept; fetch it again, and report it if that does not help"
        )


def _move(entry: Entry, files: Sequence[RemoteFile], staging: Path, target: Path) -> None:
    """Moves what was downloaded to its place, and records hashes that were not known."""
    for file in files:
        path = _local_path(entry, target, file.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        if file.is_weights and file.sha256 is None:
            record = f"{artifacts.sha256(staging / file.name)}  {path.name}\n"
            with artifacts.atomic_file(record_path(path)) as temporary:
                temporary.write_text(record, encoding="ascii")
    # The file of weights comes last: it is what the folder is recognized by.
    for file in sorted(files, key=lambda file: file.is_weights):
        (staging / file.name).replace(_local_path(entry, target, file.name))
    shutil.rmtree(staging)
