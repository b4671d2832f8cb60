"""Every sound gets the score of its own prompt, whatever the batches."""

from pathlib import Path

import numpy as np
import pytest
import tiny_systems

from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.systems import system_files, system_scores
from soundjudge.scoring.systems.system_scores import SystemScores


@pytest.fixture
def folders(tmp_path: Path) -> list[Path]:
    peaks = [0.1, 0.2, 0.3, 0.4, 0.5]
    return [
        tiny_systems.write_system(tmp_path / "up", peaks),
        tiny_systems.write_system(tmp_path / "down", peaks[::-1]),
    ]


def score(
    folders: list[Path], size: int, on_missing: str, told: list | None = None
) -> SystemScores:
    prompts = system_files.read_prompts(tiny_systems.write_prompts(folders[0].parent))
    return system_scores.score_systems(
        tiny_systems.Loudness(),
        system_files.read_systems(folders, prompts),
        prompts,
        on_missing=on_missing,
        batch_size=size,
        progress=lambda done, total: (told if told is not None else []).append((done, total)),
    )


@pytest.mark.parametrize("size", [1, 2, 5, 32])
def test_scores_stay_with_their_prompts_in_batches_of_any_size(folders, size):
    told: list[tuple[int, int]] = []
    scores = score(folders, size, "fail", told)
    assert scores.values == pytest.approx(
        np.array([[1, 5], [2, 4], [3, 3], [4, 2], [5, 1]]), abs=0.01
    )
    assert [[path.stem for path in row] for row in scores.sounds] == [[p, p] for p in "01234"]
    assert told[-1] == (10, 10)
    assert told == sorted(told)


@pytest.mark.parametrize("size", [1, 2, 32])
def test_an_unreadable_sound_takes_its_own_prompt_away_and_no_other(folders, size):
    (folders[0] / "1.wav").write_bytes(b"no sound")
    (folders[1] / "4.wav").unlink()
    scores = score(folders, size, "skip")
    assert scores.ids == ["0", "2", "3"]
    assert scores.values == pytest.approx(np.array([[1, 5], [3, 3], [4, 2]]), abs=0.01)
    reasons = {prompt.id: prompt.reason for prompt in scores.left_out}
    assert reasons["4"] == "down has no sound"
    assert "1.wav is undecodable" in reasons["1"]


def test_nothing_left_is_an_error(folders):
    for number in range(5):
        (folders[number % 2] / f"{number}.wav").write_bytes(b"no sound")
    with pytest.raises(SoundjudgeError, match="no prompt of .* has a sound of every system"):
        score(folders, 2, "skip")
