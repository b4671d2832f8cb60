"""The benchmark of unknown recordings: what it counts, by hand, and what it leaves out."""

import sys

import numpy as np
import pytest
import repository
from repository import ROOT

sys.path.append(str(ROOT / "checkpoints/sample"))
sys.path.append(str(ROOT / "benchmarks"))


@pytest.fixture(scope="module")
def unseen():
    pytest.importorskip("aisfx")
    return repository.load_benchmark("unseen_recordings")


def test_a_win_rate_is_the_share_of_other_labels_texts_below_the_own_one(unseen) -> None:
    scores = np.array([[5.0, 1.0, 5.0, 7.0], [0.0, 2.0, 1.0, 3.0]])
    own = np.array([0, 1])
    differ = np.array([[False, True, True, True], [True, False, True, False]])
    # The first beats 1, ties 5, loses to 7; the second beats both that count.
    assert unseen.win_rates(scores, own, differ) == pytest.approx([0.5, 1.0])


@pytest.mark.slow
def test_a_project_holds_whole_takes_out_and_nothing_that_is_trained(unseen, tmp_path) -> None:
    unseen.write_project(tmp_path, fold=0)
    clips = tmp_path / unseen.CLIPS
    kept = unseen.pd.read_csv(clips / "manifest.csv")
    held_out = unseen.pd.read_csv(tmp_path / "held_out.csv")
    assert len(kept) + len(held_out) == 407 and len(held_out) == 89
    assert not set(kept["group"]) & set(held_out["group"])
    assert {path.stem for path in (clips / "ogg").iterdir()} == set(kept["clip_id"])
    assert not any((tmp_path / unseen.STANDINS / name).exists() for name in unseen.TRAINED)
    assert (tmp_path / unseen.STANDINS / "standin_clap.py").is_file()


def test_rated_scenes_are_of_the_recordings_alone_and_every_call_gives_the_same(
    unseen, monkeypatch
) -> None:
    monkeypatch.setattr(unseen, "PAIRS", 12)
    clips = ROOT / unseen.CLIPS
    table = unseen.pd.read_csv(clips / "manifest.csv").iloc[::40]
    table["path"] = [str(clips / f"ogg/{clip}.ogg") for clip in table["clip_id"]]
    waves, texts, ratings = unseen.rated_scenes(table)
    assert len(waves) == len(texts) == len(ratings) == 12
    assert ((ratings >= 0) & (ratings <= 10)).all() and np.allclose(ratings * 8 % 1, 0)
    captions = [caption.lower() for caption in table["caption"]]
    assert all(any(caption in text.lower() for caption in captions) for text in texts)
    again = unseen.rated_scenes(table)
    assert again[1] == texts and np.array_equal(again[2], ratings)
