"""What is of the hub and what is a folder: a typo downloads nothing."""

import os
import shutil
from pathlib import Path

import pytest
import tiny_judge
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.data.hub import hub
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.judge import Judge

Requests = list[tuple[str, str | None]]


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    return tiny_judge.build(root / "judge", root)


@pytest.fixture
def requests(judge: Path, in_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Requests:
    """The hub has the judge; what it was asked for. Its cache has links, as huggingface_hub's."""
    repository = in_folder / "cache/models--someone--judge"
    snapshot = repository / "snapshots/0a1b2c"
    (repository / "blobs").mkdir(parents=True)
    for number, file in enumerate(path for path in judge.rglob("*") if path.is_file()):
        blob, link = repository / f"blobs/{number}", snapshot / file.relative_to(judge)
        shutil.copy(file, blob)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    asked: Requests = []

    def download(name: str, revision: str | None, allow_patterns: object) -> str:
        asked.append((name, revision))
        return str(snapshot)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    return asked


@pytest.mark.parametrize(
    ("name", "request_"),
    [
        ("someone/judge", ("someone/judge", None)),
        ("someone/judge@v1", ("someone/judge", "v1")),
        ("hf://someone/judge", ("someone/judge", None)),
        ("hf://someone/judge@v1", ("someone/judge", "v1")),
    ],
)
def test_in_python_a_text_that_is_no_folder_is_of_the_hub(requests, name, request_):
    judge = Judge.from_pretrained(name, "cpu")
    assert requests == [request_]
    assert 0 <= judge.score((tiny_judge.noise(1.0, 1), 16_000), "a dog") <= 10


@pytest.mark.parametrize(
    "name",
    [Path("someone/judge"), "checkpoints/judge", "data/judge", "judge", "./judge", "a/b/c", "/a/b"],
)
def test_in_python_a_path_or_a_folder_of_ours_is_never_of_the_hub(requests, name):
    with pytest.raises(SoundjudgeError, match="is no folder: name the folder of a judge"):
        Judge.from_pretrained(name, "cpu")
    assert not requests


def test_a_link_out_of_the_hubs_cache_is_refused(requests):
    (linked,) = Path("cache").rglob("members/one/member.json")
    shutil.copy(linked, "elsewhere.json")
    linked.unlink()
    linked.symlink_to(Path("elsewhere.json").absolute())
    with pytest.raises(SoundjudgeError, match="is a link"):
        Judge.from_pretrained("someone/judge", "cpu")


@pytest.mark.parametrize(
    ("model", "environment", "folder"),
    [
        (None, None, "checkpoints/judge"),
        (None, "their/judge", "their/judge"),
        ("someone/judge", "their/judge", "someone/judge"),
        ("hf:/someone/judge", None, "hf:/someone/judge"),
    ],
)
def test_a_command_asks_the_hub_for_nothing_that_does_not_say_so(
    requests, in_folder, model, environment, folder
):
    tiny_judge.write_sound(Path("dog.wav"))
    words = ["score", "dog.wav", "a dog", *(["--model", model] if model else [])]
    result = CliRunner().invoke(app, words, env={"SOUNDJUDGE_MODEL": environment})
    assert result.exit_code == 2 and not requests
    assert f"{in_folder / folder} is no folder" in result.stderr
    for words in ("--model", "SOUNDJUDGE_MODEL", "hf://owner/name@revision", "dvc repro package"):
        assert words in result.stderr


def test_a_command_asks_the_hub_for_what_says_so(requests):
    tiny_judge.write_sound(Path("dog.wav"))
    words = ["score", "dog.wav", "a dog", "--model", "hf://someone/judge@v1"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert requests == [("someone/judge", "v1")]


def test_the_command_that_downloads_has_no_scheme():
    command = "hf download someone/clap --revision v1 --local-dir checkpoints/official/clap"
    assert hub.download_command("hf://someone/clap@v1") == (command, "checkpoints/official/clap")
