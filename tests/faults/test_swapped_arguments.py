"""A sound and a text in each other's place are one sentence that says so, and no number."""

from pathlib import Path

import numpy as np
import pytest
import tiny_judge
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.judge import Judge

DOG = "a dog barks"
SCORE = "write soundjudge score SOUND TEXT"
RANK, TEXTS = "write soundjudge rank TEXT SOUND SOUND", "write soundjudge rank SOUND --texts FILE"


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    return tiny_judge.build(root / "judge", root)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """x.wav, y.wav, texts, names of sounds, and a folder and a file that are called like texts."""
    monkeypatch.chdir(tmp_path)
    for name in ("x.wav", "y.wav", "bell.wav"):
        tiny_judge.write_sound(Path(name))
    Path("bell.wav").rename("bell")
    Path("rain").mkdir()
    Path("texts.txt").write_text(f"{DOG}\nrain\n")
    Path("sounds.txt").write_text("x.wav\ny.wav\n")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["score", DOG, "x.wav"], SCORE),
        (["score", DOG, "missing.wav"], SCORE),
        (["score", "rain", "x.wav"], None),  # a folder is there, which is no sound either
        (["score", DOG, "bell"], SCORE),
        (["rank", "x.wav", DOG], RANK),
        (["rank", "x.wav", DOG, "rain on a roof"], RANK),
        (["rank", "missing.wav", DOG], RANK),
        (["rank", DOG, "--texts", "texts.txt"], TEXTS),
        (["rank", "texts.txt", "--texts", "x.wav"], TEXTS),
        (["rank", DOG, "--texts", "sounds.txt"], TEXTS),
    ],
)
def test_swapped_arguments_are_named(folder: Path, judge: Path, words, usage) -> None:
    line = refused(judge, words)
    if usage is not None:
        assert usage in line


@pytest.mark.parametrize(
    ("words", "usage"),
    [
        (["score", "x.wav", "y.wav"], SCORE),
        (["rank", "x.wav", "y.wav"], RANK),
        (["rank", "x.wav", "--texts", "sounds.txt"], TEXTS),
    ],
)
def test_a_sound_in_the_place_of_a_text_is_not_scored_as_a_text(
    folder: Path, judge: Path, words, usage
) -> None:
    line = refused(judge, words)
    assert usage in line and "is a sound's file that is here" in line


@pytest.mark.parametrize("text", ["rain", "bell", "the end of song.wav", DOG])
def test_a_text_that_happens_to_name_something_is_a_text(folder: Path, judge: Path, text) -> None:
    result = CliRunner().invoke(app, ["score", "x.wav", text, "--model", str(judge)])
    assert result.exit_code == 0, result.output
    assert 0 <= float(result.stdout) <= 10


@pytest.mark.parametrize("words", [["score", "missing.wav", DOG], ["rank", DOG, "missing.wav"]])
def test_a_sound_that_is_missing_is_not_taken_for_a_text(folder: Path, judge: Path, words) -> None:
    line = refused(judge, words)
    assert "missing.wav is missing" in line and "swapped" not in line


def test_python_names_them_too(folder: Path, judge: Path) -> None:
    loaded = Judge.from_pretrained(judge, "cpu")
    with pytest.raises(SoundjudgeError, match="look swapped, write sounds first"):
        loaded.score(DOG, "x.wav")
    with pytest.raises(SoundjudgeError, match="look swapped, write sounds first"):
        loaded.score_pairs([DOG, "rain"], ["x.wav", "y.wav"])
    with pytest.raises(SoundjudgeError, match="is a sound's file that is here: write sounds first"):
        loaded.score("x.wav", "y.wav")
    samples = np.zeros(16_000, np.float32) + np.float32(0.1)
    with pytest.raises(SoundjudgeError, match="is a sound's file that is here: write sounds first"):
        loaded.score_pairs([(samples, 16_000)], ["y.wav"])
    assert 0 <= loaded.score("x.wav", DOG) <= 10


def refused(judge: Path, words: list[str]) -> str:
    result = CliRunner().invoke(app, [*words, "--model", str(judge)])
    (line,) = result.stderr.splitlines()
    assert (result.exit_code, result.stdout) == (2, "")
    return line
