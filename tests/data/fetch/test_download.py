"""Downloads through the real client, from a hub on 127.0.0.1."""

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_hub
from tiny_hub import CHUNK, LoopbackHub

from soundjudge.data.fetch import catalog, download
from soundjudge.data.fetch.entries import Entry, Mirror, RemoteFile
from soundjudge.data.user_files import outputs
from soundjudge.errors import HubError, SoundjudgeError

WEIGHTS = bytes(range(256)) * 20  # five chunks
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
CONFIG = b'{"a": 1}'


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    """The hub that huggingface_hub talks to; its client does not wait before it tries again."""
    with tiny_hub.connected(monkeypatch, tmp_path) as hub:
        monkeypatch.setattr("time.sleep", lambda seconds: None)
        yield hub


def entry(sha256: str | None = DIGEST, mirrors: tuple[Mirror, ...] = ()) -> Entry:
    """A lone file of one repository."""
    return Entry(
        description="a thing",
        mirrors=mirrors or (Mirror(repository="someone/beats", kind="dataset"),),
        files=(RemoteFile(name="beats.pt", bytes=5_000, sha256=sha256),),
        license="MIT",
        path=Path("checkpoints/official/beats.pt"),
    )


def folder_entry() -> Entry:
    """A folder with weights of unknown hash."""
    return Entry(
        description="a model",
        mirrors=(Mirror(repository="someone/clap", revision="v1"),),
        files=(
            RemoteFile(name="config.json", bytes=10),
            RemoteFile(name="vocab.json", bytes=10, optional=True),
            RemoteFile(name="model.safetensors", bytes=5_000),
        ),
        license="Apache-2.0",
        path=Path("official/clap"),
    )


def fetch(wanted: Entry, lines: list[str] | None = None) -> Path:
    lines = [] if lines is None else lines
    return download.fetch("thing", wanted, wanted.path, lines.append)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def test_a_file_is_downloaded_to_its_place_and_nothing_else_is_left(hub, in_folder):
    hub.files["datasets/someone/beats"] = {"beats.pt": WEIGHTS, "other.pt": b"x"}
    path = fetch(entry())
    assert path.read_bytes() == WEIGHTS
    assert names(path.parent) == ["beats.pt"]


def test_the_license_is_shown_before_anything_is_asked_of_the_hub(hub, in_folder):
    hub.files["datasets/someone/beats"] = {"beats.pt": WEIGHTS}
    seen: list[tuple[str, int]] = []
    wanted = entry()
    tell = lambda line: seen.append((line, len(hub.requests)))  # noqa: E731
    download.fetch("thing", wanted, wanted.path, tell)
    assert seen[0] == ("thing: a thing; license: MIT", 0)
    line, requests = seen[1]
    assert line == f"1 file, 0.0 MB from datasets/someone/beats@main to {wanted.path}"
    assert requests == 1  # the list of files


def test_what_is_there_is_checked_and_not_asked_for_again(hub, in_folder):
    wanted = entry()
    wanted.path.parent.mkdir(parents=True)
    wanted.path.write_bytes(WEIGHTS)
    lines: list[str] = []
    assert fetch(wanted, lines) == wanted.path
    assert lines == [f"thing: {wanted.path} is there already"] and not hub.requests
    wanted.path.write_bytes(b"other")
    with pytest.raises(SoundjudgeError, match=f"and {DIGEST} is expected: it is another file"):
        fetch(wanted)
    assert wanted.path.read_bytes() == b"other"


def test_a_cut_connection_is_resumed_within_a_run(hub, in_folder):
    hub.files["datasets/someone/beats"] = {"beats.pt": WEIGHTS}
    hub.cuts = [2 * CHUNK]
    assert fetch(entry()).read_bytes() == WEIGHTS
    assert [asked for method, path, asked in hub.requests if method == "GET" and asked] == [
        f"bytes={2 * CHUNK}-"
    ]


def test_whole_files_of_a_download_that_failed_are_not_downloaded_again(hub, in_folder):
    files = hub.files["someone/clap"] = {"config.json": CONFIG, "model.safetensors": WEIGHTS}
    hub.cuts = [len(CONFIG), 2 * CHUNK, *[0] * 6]  # the client tries again five times
    with pytest.raises(HubError, match=r"someone/clap@v1: .*closed connection"):
        fetch(folder_entry())
    assert not Path("official/clap").exists()
    del hub.requests[:]
    hub.cuts = []
    assert (fetch(folder_entry()) / "config.json").read_bytes() == files["config.json"]
    read = [path for method, path, _ in hub.requests if method == "GET" and "resolve" in path]
    assert read == ["/someone/clap/resolve/v1/model.safetensors"]
    assert names(Path("official")) == ["clap"]


def test_a_wrong_hash_is_an_error_that_names_both_and_keeps_nothing(hub, in_folder):
    hub.files["datasets/someone/beats"] = {"beats.pt": b"forged"}
    forged = hashlib.sha256(b"forged").hexdigest()
    with pytest.raises(SoundjudgeError, match=f"has the sha256 {forged}, and {DIGEST} is expect"):
        fetch(entry())
    assert names(Path("checkpoints/official")) == []


def test_an_unknown_hash_is_recorded_and_holds_from_then_on(hub, in_folder):
    files = hub.files["someone/clap"] = {"config.json": CONFIG, "model.safetensors": WEIGHTS}
    folder = fetch(folder_entry())
    assert names(folder) == ["config.json", "model.safetensors", "model.safetensors.sha256"]
    record = (folder / "model.safetensors.sha256").read_text()
    assert record == f"{DIGEST}  model.safetensors\n"
    (folder / "model.safetensors").unlink()
    files["model.safetensors"] = b"another"
    with pytest.raises(SoundjudgeError, match=f"{DIGEST} is expected"):
        fetch(folder_entry())
    assert names(folder) == ["config.json", "model.safetensors.sha256"]
    (folder / "model.safetensors").write_bytes(b"another")
    with pytest.raises(SoundjudgeError, match=f"{DIGEST} is expected"):
        fetch(folder_entry())


@pytest.mark.parametrize("record", [b"", b"\n", b"abc  model.safetensors\n", b"\xff" * 64])
def test_a_record_that_holds_no_sha256_is_one_sentence(hub, in_folder, record):
    hub.files["someone/clap"] = {"config.json": CONFIG, "model.safetensors": WEIGHTS}
    folder = fetch(folder_entry())
    (folder / "model.safetensors.sha256").write_bytes(record)
    for weights in (WEIGHTS, None):  # there, or to be fetched
        if weights is None:
            (folder / "model.safetensors").unlink()
        with pytest.raises(SoundjudgeError, match=r"safetensors\.sha256 (holds no|is not UTF-8)"):
            fetch(folder_entry())
    (folder / "model.safetensors.sha256").unlink()
    assert (fetch(folder_entry()) / "model.safetensors").read_bytes() == WEIGHTS


@pytest.mark.parametrize("present", [None, {"other.pt": b"x"}], ids=["repository", "file"])
def test_a_mirror_that_lacks_it_is_passed_over_for_the_next(hub, in_folder, present):
    if present:
        hub.files["first/beats"] = present
    hub.files["datasets/second/beats"] = {"beats.pt": WEIGHTS}
    mirrors = (Mirror(repository="first/beats"), Mirror(repository="second/beats", kind="dataset"))
    lines: list[str] = []
    assert fetch(entry(mirrors=mirrors), lines).read_bytes() == WEIGHTS
    assert "from datasets/second/beats@main" in lines[1]


def test_where_no_mirror_has_it_every_reason_is_given(hub, in_folder):
    hub.files["first/beats"] = {"other.pt": b"x"}
    mirrors = (Mirror(repository="first/beats"), Mirror(repository="second/beats"))
    with pytest.raises(HubError) as caught:
        fetch(entry(mirrors=mirrors))
    assert "first/beats@main has no beats.pt" in str(caught.value)
    assert "second/beats@main: there is no such repository" in str(caught.value)
    assert names(in_folder) == []


def test_too_little_space_is_said_before_the_first_byte(hub, in_folder, monkeypatch):
    hub.files["datasets/someone/beats"] = {"beats.pt": WEIGHTS * 1000}
    usage = SimpleNamespace(free=2_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(SoundjudgeError, match=r"has 2\.0 MB of free space, and 5\.1 MB are needed"):
        fetch(entry())
    assert not [path for _, path, _ in hub.requests if "resolve" in path]
    assert names(in_folder) == []


def test_offline_it_says_at_once_what_would_be_fetched(hub, in_folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError) as caught:
        fetch(entry())
    message = str(caught.value)
    source = f"{hub.url}/datasets/someone/beats/tree/main"
    for words in ("HF_HUB_OFFLINE is set", "1 file, 0.0 MB (beats.pt)", "MIT", source):
        assert words in message
    assert f"to be put at {entry().path}" in message
    assert not hub.requests


def test_a_hub_out_of_reach_is_one_sentence_with_what_would_be_fetched(hub, in_folder, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(HubError, match=r"nothing could be downloaded \(datasets/someone.*1 file"):
        fetch(entry())


def test_a_folder_is_whole_with_its_optional_files_where_the_hub_has_them(hub, in_folder):
    hub.files["someone/clap"] = {
        "config.json": CONFIG, "vocab.json": b"{}", "model.safetensors": WEIGHTS, "README.md": b"x"
    }  # fmt: skip
    folder = fetch(folder_entry())
    assert (folder / "vocab.json").read_bytes() == b"{}"
    assert not (folder / "README.md").exists()


def test_the_catalog_pins_what_is_known_and_has_nothing_else():
    for name, listed in catalog.CATALOG.items():
        assert listed.mirrors and listed.license, name
        assert all(file.sha256 is None or len(file.sha256) == 64 for file in listed.files)
        assert listed.files, name
        assert not listed.is_file or len(listed.files) == 1, name
    unpinned = [
        name
        for name, listed in catalog.CATALOG.items()
        if any(mirror.revision == "main" for mirror in listed.mirrors)
    ]
    assert unpinned == ["beats", "tmu2026"]  # the second mirror of beats has its hash
    with pytest.raises(SoundjudgeError, match="there is no 'beasts' to fetch: choose of beats, "):
        catalog.find_entry("beasts")


def test_a_second_download_to_one_place_is_refused_until_the_first_ends(hub, in_folder):
    hub.files["datasets/someone/beats"] = {"beats.pt": WEIGHTS, "other.pt": b"x"}
    target = entry().path
    target.parent.mkdir(parents=True, exist_ok=True)
    staging = target.absolute().with_name(".fetch-beats.pt")
    with (
        outputs.lock(target, staging),
        pytest.raises(SoundjudgeError, match="another run .process"),
    ):
        fetch(entry())
    assert not target.exists()
    assert fetch(entry()).read_bytes() == WEIGHTS
    assert [path.name for path in target.parent.iterdir()] == ["beats.pt"]
