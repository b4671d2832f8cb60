"""Each file of a judge, harmed in each way: a sentence with its name wherever a judge is read.

One surface per file and harm; with TORTURE each with each.
"""

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
import tiny_judge
from privileges import without_privileges
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.judge.judge_folder import JudgeFolder
from soundjudge.scoring.judge.manifest import read_manifest

EVERY = "TORTURE" in os.environ
SECONDS = 20  # within which a pipe must be refused, not waited for
CARD = "README.md"
TEXT = "a dog"


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[random.Random(path.name).randrange(len(content))] ^= 4
    path.write_bytes(content)


def replace(path: Path, make: Callable[[Path], object]) -> None:
    path.unlink()
    make(path)


HARMS: dict[str, Callable[[Path], object]] = {
    "deleted": Path.unlink,
    "renamed": lambda path: path.rename(path.with_name(f"old-{path.name}")),
    "half": lambda path: os.truncate(path, path.stat().st_size // 2),
    "empty": lambda path: os.truncate(path, 0),
    "flipped": flip,
    "link": lambda path: replace(path, lambda p: p.symlink_to(Path("x.wav").absolute())),
    "pipe": lambda path: replace(path, os.mkfifo),
    "folder": lambda path: replace(path, Path.mkdir),
    "closed": lambda path: path.chmod(0),
    "backup": lambda path: shutil.copy(path, f"{path}~"),
}


def command(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, words)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def call(run: Callable[[], object]) -> tuple[int, str, str]:
    try:
        return 0, str(run()), ""
    except SoundjudgeError as error:
        return 2, "", str(error)


def save() -> None:
    JudgeFolder(read_manifest(Path("judge")), Path("judge")).save_pretrained("saved")


WRITING = ("score-table",)  # not where files are closed to whoever runs it
OPTIONS = ("--model", "judge", "--device", "cpu")
TABLE = ("pairs.csv", "--audio-dir", ".", "-o", "scores.csv", "--overwrite")
SURFACES: dict[str, Callable[[], tuple[int, str, str]]] = {
    "score": lambda: command("score", "x.wav", TEXT, *OPTIONS),
    "score-table": lambda: command("score-table", *TABLE, *OPTIONS),
    "rank": lambda: command("rank", TEXT, "x.wav", *OPTIONS),
    "doctor": lambda: command("doctor", "--model", "judge"),
    "push": lambda: command("push", "judge", "owner/name", "--redistribution-allowed"),
    "save_pretrained": lambda: call(save),
    "from_pretrained": lambda: call(lambda: Judge.from_pretrained("judge", "cpu")),
}


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    return tiny_judge.build(root / "judge", root)


@pytest.fixture
def judge(good: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """judge/ and what commands need, in the folder in which they run; waiting is an error."""

    def fail(*_: object) -> None:
        raise TimeoutError("a command waits")

    monkeypatch.chdir(tmp_path)
    tmp_path.chmod(0o777)  # whom files are closed to, too, runs commands here
    tiny_judge.write_sound(Path("x.wav"))
    Path("pairs.csv").write_text(f"wav_file_name,text\nx.wav,{TEXT}\n")
    earlier = signal.signal(signal.SIGALRM, fail)
    yield Path(shutil.copytree(good, "judge"))
    signal.alarm(0)
    signal.signal(signal.SIGALRM, earlier)


@pytest.mark.parametrize("harm", HARMS)
def test_a_harmed_file_is_one_sentence_that_names_it(good: Path, judge: Path, harm: str) -> None:
    names = [p.relative_to(good).as_posix() for p in sorted(good.rglob("*")) if p.is_file()]
    names.remove(CARD)  # its words are its user's
    surfaces = [name for name in SURFACES if harm != "closed" or name not in WRITING]
    for position, name in enumerate(names):
        HARMS[harm](judge / name)
        for surface in surfaces if EVERY else [surfaces[position % len(surfaces)]]:
            check_refusal(surface, harm, name)
        shutil.rmtree(judge)
        shutil.copytree(good, judge)


@pytest.mark.parametrize("harm", ["pipe", "folder", "link"])
def test_a_card_that_is_no_file_is_refused(good: Path, judge: Path, harm: str) -> None:
    HARMS[harm](judge / CARD)
    for surface in SURFACES:
        check_refusal(surface, harm, CARD)


def test_a_card_that_cannot_be_read_is_refused_where_it_is_passed_on(judge: Path) -> None:
    (judge / CARD).chmod(0)
    for surface in ("push", "save_pretrained"):
        check_refusal(surface, "closed", CARD)


@pytest.mark.parametrize("name", ["members/one", "."])
def test_a_folder_of_a_judge_that_cannot_be_read_is_named(judge: Path, name: str) -> None:
    (judge / name).chmod(0)
    for surface in ("score", "from_pretrained", "push"):
        check_refusal(surface, "closed", name)
    (judge / name).chmod(0o755)


def test_a_file_that_is_a_second_name_of_the_original_is_the_same_file(
    good: Path, judge: Path
) -> None:
    name = "members/one/model.safetensors"
    (judge / name).unlink()
    (judge / name).hardlink_to(good / name)
    code, number, _ = SURFACES["score"]()
    assert code == 0 and 0 <= float(number) <= 10


def test_whoever_may_read_the_manifest_may_read_every_file(good: Path) -> None:
    modes = {path.stat().st_mode for path in good.rglob("*") if path.is_file()}
    assert modes == {(good / "judge.json").stat().st_mode}


def check_refusal(surface: str, harm: str, name: str) -> None:
    """One line that names the file, and code 2; no number, no file and no waiting."""
    signal.alarm(SECONDS)
    with without_privileges() if harm == "closed" else nullcontext():
        code, output, errors = SURFACES[surface]()
    signal.alarm(0)
    (line,) = errors.strip().splitlines()
    assert (code, output) == (2, ""), (surface, harm, name)
    assert Path(name).name in line, (surface, harm, name, line)
    assert not Path("saved").exists() and not Path("scores.csv").exists(), (surface, harm, name)
