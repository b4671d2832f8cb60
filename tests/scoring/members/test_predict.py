"""Pairs to raw scores: windows, batches, and the stage."""

import dataclasses
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast
from unittest import mock

import numpy as np
import pandas as pd
import pytest
import tiny_judge
import yaml
from repository import STAGES
from tiny_clips import write_clips

from soundjudge.data.clips import clip_store
from soundjudge.data.clips.clip_levels import ClipLevels, write_levels
from soundjudge.data.corpora.clip_writer import Clip, to_pcm
from soundjudge.data.tables import tables
from soundjudge.data.tables.tables import PREDICTIONS
from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, progress
from soundjudge.scoring.ensemble import ensemble
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.judge.card_data import METRICS
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.members import predict
from soundjudge.scoring.members.predict import raw_scores
from soundjudge.scoring.members.windows import PredictionConfig, split_windows

RATE = 16_000


class Loudness:
    """A member whose score is the mean sample plus the length of the text."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def encode_sounds(self, waves: Sequence[np.ndarray]) -> list[np.ndarray]:
        self.batches.append([len(wave) for wave in waves])
        return list(waves)

    def encode_texts(self, texts: Sequence[str]) -> list[str]:
        return list(texts)

    def scores(self, waves: Sequence[np.ndarray], texts: Sequence[str]) -> np.ndarray:
        return np.array([w.mean() + len(t) for w, t in zip(waves, texts, strict=True)])

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        return [False for _ in texts]


def prediction(window: float = 1.0, batch: int = 3) -> PredictionConfig:
    return PredictionConfig(window_seconds=window, batch_size=batch)


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.4, [(0, 0.4)]),
        (10.0, [(0, 10.0)]),
        (10.9, [(0, 10.0)]),
        (11.0, [(0, 10.0), (10.0, 11.0)]),
        (25.5, [(0, 10.0), (10.0, 20.0), (20.0, 25.5)]),
    ],
)
def test_a_sound_is_heard_in_consecutive_windows_and_a_short_rest_is_left_out(seconds, expected):
    cuts = split_windows(round(seconds * RATE), 10 * RATE)
    assert [(cut.start / RATE, cut.stop / RATE) for cut in cuts] == expected


def test_window_scores_are_averaged_by_length():
    # windows of 2 s: 2 s of 1.0, then 1 s of 4.0 -> (2 * 1 + 1 * 4) / 3 = 2; the text adds 1
    wave = np.concatenate([np.full(2 * RATE, 1.0), np.full(RATE, 4.0)]).astype(np.float32)
    scores = raw_scores([Loudness()], [wave], ["t"], prediction(window=2.0))
    assert scores.tolist() == [[pytest.approx(3.0)]]


def test_scores_come_back_in_the_order_of_the_pairs_whatever_the_batches():
    waves = [np.full(round(s * RATE), s, dtype=np.float32) for s in (0.9, 0.1, 2.5, 0.5)]
    texts = ["xxxx", "x", "xx", "xxx"]
    for batch in (1, 2, 100):
        scores = raw_scores([Loudness()], waves, texts, prediction(batch=batch))
        assert scores[:, 0] == pytest.approx([4.9, 1.1, 4.5, 3.5])


def test_how_far_scoring_is_counts_distinct_texts_and_then_windows():
    waves = [np.zeros(length, dtype=np.float32) for length in (5, 2 * RATE, 1)]
    shown: list[tuple[int, int]] = []
    raw_scores(
        [Loudness()], waves, ["a", "b", "a"], prediction(batch=2), lambda *now: shown.append(now)
    )
    # two texts in a batch; then windows of 1, 5, and twice 1 s in batches of two
    assert shown == [(2, 6), (4, 6), (6, 6)]


def test_predictions_of_a_table_show_how_many_pairs_are_scored(monkeypatch, capsys):
    class Store:
        def wave(self, _: str) -> np.ndarray:
            return np.ones(RATE, dtype=np.float32)

    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    pairs = pd.DataFrame({"wav_file_name": list("abcd"), "text": ["t", "tt", "ttt", "t"]})
    store = cast("clip_store.ClipStore", Store())
    table = predict.predict(Loudness(), store, pairs, prediction(batch=2))
    assert table["pred_score"].tolist() == [2.0, 3.0, 4.0, 2.0]
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "1 of 4 pairs, scored"  # 2 of 3 texts and 4 windows
    assert lines[-1].startswith("4 of 4 pairs, scored, ") and lines[-1].endswith(" left")


def test_windows_of_one_length_share_a_batch_and_no_batch_is_larger_than_asked():
    member = Loudness()
    waves = [np.zeros(length, dtype=np.float32) for length in (5, 3, 4, 2 * RATE, 1)]
    raw_scores([member], waves, ["t"] * 5, prediction(batch=2))
    assert member.batches == [[1, 3], [4, 5], [RATE, RATE]]


def test_a_number_that_is_not_finite_is_an_error_and_no_score():
    with pytest.raises(SoundjudgeError, match="no finite score for 'a dog'"):
        wave = np.full(10, np.nan, dtype=np.float32)
        raw_scores([Loudness()], [wave], ["a dog"], prediction())


@pytest.mark.parametrize("text", ["dog\n", " dog", "\tdog\r\n", "\u2003dog\u2028"])
def test_blanks_and_line_ends_at_the_edges_of_a_text_do_not_change_its_score(text):
    wave = np.zeros(RATE, dtype=np.float32)
    assert raw_scores([Loudness()], [wave], [text], prediction()).tolist() == [[3.0]]


def test_a_text_has_one_score_in_either_unicode_form():
    assert clean_text("cafe\u0301") == clean_text("caf\u00e9") == "caf\u00e9"
    assert clean_text("ﬁve ½") == "ﬁve ½"  # equal in meaning alone: another text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a dog \udce9", "half a character"),
        ("a\0dog", "NUL"),
        (" \n", "empty"),
        (None, "empty"),
        (b"a dog", "empty"),
    ],
)
def test_what_no_text_can_hold_is_a_sentence(text, reason):
    with pytest.raises(SoundjudgeError, match=reason) as caught:
        raw_scores([Loudness()], [np.zeros(RATE, dtype=np.float32)], [text], prediction())
    str(caught.value).encode("utf-8")  # it can be printed


def test_every_sound_needs_a_text():
    with pytest.raises(SoundjudgeError, match="1 sounds have 2 texts"):
        raw_scores([Loudness()], [np.zeros(5, dtype=np.float32)], ["a", "b"], prediction())


@pytest.mark.parametrize(("window", "batch"), [(0.5, 1), (10.0, 0)])
def test_settings_that_mean_nothing_are_refused(window, batch):
    with pytest.raises(SoundjudgeError):
        prediction(window, batch)


def test_predictions_of_another_checkpoint_are_not_packaged(tmp_path):
    checkpoint, predictions = tmp_path / "clapscore", tmp_path / "one"
    checkpoint.mkdir()
    predictions.mkdir()
    (checkpoint / "weights").write_text("1")
    predict.write_provenance(predictions, checkpoint)
    predict.check_provenance(predictions, checkpoint)
    (checkpoint / "weights").write_text("2")
    with pytest.raises(SoundjudgeError, match="run the stage predict@one again"):
        predict.check_provenance(predictions, checkpoint)


def write_prepared(folder: Path, splits: dict[str, int]) -> pd.DataFrame:
    """data/prepared with so many random sounds a split; returns its rated pairs."""
    (folder / "data/prepared").mkdir(parents=True)
    rows = [(split, number) for split, count in splits.items() for number in range(count)]
    waves, texts = tiny_judge.pairs(len(rows))
    rated = pd.DataFrame(
        {
            "wav_file_name": [f"{split}{number}.wav" for split, number in rows],
            "text": texts,
            "split": [split for split, _ in rows],
            "model_id": None,
        }
    )
    clips = [
        Clip(
            clip_id=tables.rated_clip_id(name),
            corpus="xacle",
            split=split,
            pcm=to_pcm(wave),
        )
        for name, split, wave in zip(rated["wav_file_name"], rated["split"], waves, strict=True)
    ]
    table = write_clips(folder / "data/prepared", clips, 10**6)
    tables.write_table(table, folder / "data/prepared/clips.parquet", tables.CLIPS)
    levels = ClipLevels(silence_dbfs=-60.0, level_dbfs=None, silent=())
    write_levels(folder / "data/prepared", levels)
    tables.write_table(rated, folder / "data/prepared/rated.parquet", tables.RATED)
    return rated


def write_params(folder: Path) -> None:
    values = {
        "device": "cpu",
        "encoders": {"audio": "checkpoints/encoders/beats.pt"},
        "features": {"frontend": {"audio_tokens": 4, "window_seconds": tiny_judge.SECONDS}},
        "predict": {
            "window_seconds": tiny_judge.SECONDS,
            "batch_size": 4,
            "features": "data/none",
        },
        "ensemble": {
            "members": {
                name: path.removeprefix("checkpoints/")
                for name, path in tiny_judge.CHECKPOINTS.items()
            }
        },
        "package": {
            "name": "tiny",
            "version": "1.0",
            "license": "mit",
            "data": "Nothing.",
            "notes": [],
        },
        "note": "simulated ratings",
    }
    (folder / "params.yaml").write_text(yaml.safe_dump(values))


def stage(name: str, *arguments: str) -> None:
    with mock.patch.object(sys, "argv", [name, *arguments]):
        runpy.run_path(str(STAGES / f"{name}.py"), run_name="__main__")


@pytest.mark.slow
def test_the_stages_predict_and_package_a_judge_that_scores_alike(in_folder):
    tiny_judge.write_checkpoints(in_folder)
    rated = write_prepared(in_folder, {"train": 1, "validation": 9, "test": 4})
    write_params(in_folder)
    for name in tiny_judge.CHECKPOINTS:
        stage("predict", name)
    predictions = in_folder / "data/predictions"
    frames = {
        name: tables.read_table(predictions / "members" / name / "validation.csv", PREDICTIONS)
        for name in tiny_judge.CHECKPOINTS
    }
    test = tables.read_table(predictions / "members/one/test.csv", PREDICTIONS)
    assert test["wav_file_name"].tolist() == [f"test{n}.wav" for n in range(4)]
    assert frames["one"]["text"].tolist() == rated["text"][1:10].tolist()

    blend = tiny_judge.ensemble(in_folder)
    raw = np.stack([frame["pred_score"] for frame in frames.values()], axis=1)
    scores = ensemble.apply_ensemble(blend, raw)
    ensemble_path = in_folder / "checkpoints/ensemble.json"
    artifacts.write_json(ensemble_path, dataclasses.asdict(blend), digits=None)
    blended = frames["one"].assign(pred_score=scores)
    tables.write_table(blended, predictions / "ensemble/validation.csv", PREDICTIONS)
    learned = Intervals(coverage=0.9, floor=1.0, slope=0.5, quantile=2.0, difference=3.0)
    intervals_path = predictions / "ensemble/intervals.json"
    artifacts.write_json(intervals_path, dataclasses.asdict(learned), digits=None)
    (in_folder / "metrics").mkdir()
    (in_folder / "metrics/evaluate.md").write_text("# Agreement (simulated ratings)\n")
    numbers = {f"{metric}{end}": 0.5 for metric in METRICS for end in ("", "_lo", "_hi")}
    details = {"confidence": 0.9, "test": {"ensemble": numbers | {"pairs": 7}}}
    artifacts.write_json(in_folder / "metrics/details/evaluate.json", details)
    stage("package")
    judge = Judge.from_pretrained("checkpoints/judge", device="cpu")
    clips = clip_store.ClipStore(in_folder / "data/prepared")
    waves = [clips.wave(tables.rated_clip_id(name)) for name in blended["wav_file_name"]]
    assert judge.score_waves(waves, list(blended["text"]), 5) == pytest.approx(scores, abs=1e-4)

    assert (judge.note, judge.intervals) == ("simulated ratings", learned)
    card = (in_folder / "checkpoints/judge/README.md").read_text()
    assert "aims at\nholding the mean rating of 90% of pairs" in card
    (result,) = yaml.safe_load(card.split("---")[1])["model-index"][0]["results"]
    assert result["metrics"][3]["args"] == {"interval": [0.5, 0.5], "confidence": 0.9, "pairs": 7}
    (pair,) = judge.score_pairs([(waves[0], 16_000)], [blended["text"][0]], details=True)
    low, high = learned.bounds(np.array([pair.value]), np.array([pair.spread]))
    assert pair.interval == pytest.approx((low[0], high[0]))
    assert pair.interval[0] < pair.value < pair.interval[1]

    first = artifacts.sha256(in_folder / "checkpoints/judge")
    stage("package")
    assert artifacts.sha256(in_folder / "checkpoints/judge") == first
    tables.write_table(
        blended.assign(pred_score=scores - 0.1),
        predictions / "ensemble/validation.csv",
        PREDICTIONS,
    )
    with pytest.raises(ValueError, match="the pipeline"):
        stage("package")
    assert artifacts.sha256(in_folder / "checkpoints/judge") == first


def test_without_test_pairs_their_predictions_are_an_empty_table(in_folder):
    tiny_judge.write_checkpoints(in_folder)
    write_prepared(in_folder, {"validation": 2})
    write_params(in_folder)
    stage("predict", "clapscore")
    folder = in_folder / "data/predictions/members/clapscore"
    assert len(tables.read_table(folder / "test.csv", PREDICTIONS)) == 0
    assert len(tables.read_table(folder / "validation.csv", PREDICTIONS)) == 2
    with pytest.raises(ValueError, match="stranger"):
        stage("predict", "stranger")
