"""Scores of pairs, their summary, and captions that repeat rated texts."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from soundjudge.data.arrays import array_store
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.pairs import pseudolabels, unit_vectors
from soundjudge.labels.texts import text_overlap


def on_circle(folder: Path, degrees: dict[str, float], dtype: str = "float32") -> ArrayStore:
    angles = np.radians(list(degrees.values()))
    block = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(dtype)
    array_store.write_rows(folder, list(degrees), [block] if degrees else [])
    return ArrayStore(folder)


def scored_pairs(matched: list[float], **kinds: list[float]) -> pd.DataFrame:
    lines = [(True, score, None) for score in matched]
    lines += [(False, score, kind) for kind, scores in kinds.items() for score in scores]
    return pd.DataFrame(lines, columns=["matched", "clap_score", "kind"])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_pseudo_label_is_the_cosine_of_clip_and_caption(tmp_path, monkeypatch, dtype):
    monkeypatch.setattr(pseudolabels, "BLOCK", 2)
    pairs = pd.DataFrame(
        {"clip_id": ["y", "x", "x"], "caption_id": ["q", "p", "q"], "matched": [True, True, False]}
    )
    clips = on_circle(tmp_path / "clips", {"x": 0.0, "y": 90.0}, dtype)
    captions = on_circle(tmp_path / "captions", {"p": 60.0, "q": 90.0}, dtype)
    result = pseudolabels.score_pairs(pairs, clips, captions)
    np.testing.assert_allclose(result["clap_score"], [1.0, 0.5, 0.0], atol=1e-3)
    assert result[["clip_id", "caption_id"]].equals(pairs[["clip_id", "caption_id"]])


def test_scores_written_as_a_table_come_back(tmp_path):
    pairs = pd.DataFrame(
        {
            "clip_id": pd.Categorical.from_codes([0, 0, 1], ["x", "y"]),
            "caption_id": pd.Categorical.from_codes([0, 1, 1], ["p", "q"]),
            "matched": [True, False, True],
            "kind": pd.Categorical.from_codes([-1, 1, -1], ["hard", "random"]),
        }
    )
    clips = on_circle(tmp_path / "clips", {"x": 0.0, "y": 90.0})
    captions = on_circle(tmp_path / "captions", {"p": 0.0, "q": 90.0})
    result = pseudolabels.score_pairs(pairs, clips, captions)
    tables.write_table(result, tmp_path / "pairs.parquet", tables.PAIRS)
    back = tables.read_table(tmp_path / "pairs.parquet", tables.PAIRS)
    assert back["clip_id"].tolist() == ["x", "x", "y"]
    assert back["caption_id"].tolist() == ["p", "q", "q"]
    assert back["kind"].isna().tolist() == [True, False, True]
    assert back["kind"].iloc[1] == "random"
    np.testing.assert_allclose(back["clap_score"], [1.0, 0.0, 1.0], atol=1e-6)


def test_a_pair_without_an_embedding_is_named(tmp_path):
    pairs = pd.DataFrame({"clip_id": ["x"], "caption_id": ["gone"], "matched": [True]})
    embeddings = on_circle(tmp_path / "rows", {"x": 0.0})
    with pytest.raises(
        SoundjudgeError, match="has no row 'gone': run the stage that writes it again"
    ):
        pseudolabels.score_pairs(pairs, embeddings, embeddings)


@pytest.mark.parametrize("bad", [np.nan, np.inf, 0.0, 3.0])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_an_embedding_that_is_no_unit_vector_is_named(tmp_path, monkeypatch, bad, dtype):
    monkeypatch.setattr(array_store, "SHARD_BYTES", 16)  # the bad one lies in the second shard
    block = np.zeros((5, 4), dtype)
    block[:, 1] = 1.0
    array_store.write_rows(tmp_path / "good", list("abcde"), [block])
    unit_vectors.check_unit_vectors(ArrayStore(tmp_path / "good"))
    block[3] = bad
    array_store.write_rows(tmp_path / "bad", list("abcde"), [block])
    with pytest.raises(SoundjudgeError, match=r"'d' is no unit vector .* the stage embed again"):
        unit_vectors.check_unit_vectors(ArrayStore(tmp_path / "bad"))


def test_half_precision_moves_a_cosine_by_less_than_1e_4():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(200, 512)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    halved = unit_vectors.as_float32(vectors.astype(np.float16))
    assert halved.dtype == np.float32
    assert np.array_equal(halved, vectors.astype(np.float16).astype(np.float32))
    assert np.abs(halved @ halved.T - vectors @ vectors.T).max() < 1e-4
    assert unit_vectors.as_float32(vectors) is vectors


def test_a_summary_counts_pairs_and_says_how_well_each_kind_is_told_apart():
    summary = pseudolabels.summarize_pairs(scored_pairs([0.6, 0.4], random=[0.1, 0.3], hard=[0.5]))
    assert (summary["matched"], summary["mismatched"]) == (2, 3)
    assert summary["matched_score"] == pytest.approx(0.5)
    assert summary["mismatched_score"] == pytest.approx(0.3)
    assert summary["auc"] == pytest.approx(5 / 6)  # only 0.4 against 0.5 is wrong
    assert summary["random"] == {"pairs": 2, "score": pytest.approx(0.2), "auc": 1.0}
    assert summary["hard"] == {"pairs": 1, "score": 0.5, "auc": 0.5}
    assert "same_label" not in summary


def test_the_histogram_shows_matched_pairs_and_every_kind():
    figure = pseudolabels.plot_scores(
        scored_pairs([0.6, 0.4], random=[0.1], same_label=[0.2], hard=[0.5]), "simulated"
    )
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["matched", "hard", "random", "same_label"]


def test_without_pairs_there_is_still_a_summary_and_a_picture(tmp_path):
    nothing = pd.DataFrame({"clip_id": [], "caption_id": [], "matched": [], "kind": []})
    nothing = nothing.astype({"matched": bool, "kind": "str", "clip_id": "str"})
    embeddings = on_circle(tmp_path / "rows", {})
    result = pseudolabels.score_pairs(nothing, embeddings, embeddings)
    assert len(result) == 0
    assert pseudolabels.summarize_pairs(result) == {"matched": 0, "mismatched": 0}
    assert pseudolabels.plot_scores(result, "")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("A dog barks.", "a dog  barks"),
        ("a man speaks, then laughs", "A man speaks then laughs!"),
        ("Caf\u00e9 noise", "cafe\u0301 noise"),
        ("STRASSE", "stra\u00dfe"),
    ],
)
def test_texts_that_differ_in_case_spaces_and_signs_have_the_same_words(one, other):
    first, second = text_overlap.normalize_texts(pd.Series([one, other]))
    assert first == second


@pytest.mark.parametrize(
    ("one", "other"), [("a dog barks", "dogs bark"), ("?!", "..."), ("a b", "b a"), ("ab", "a b")]
)
def test_other_words_stay_other_words(one, other):
    first, second = text_overlap.normalize_texts(pd.Series([one, other]))
    assert first != second
    assert first


def test_the_overlap_with_rated_texts_is_counted_by_split():
    captions = text_overlap.normalize_texts(
        pd.Series(
            ["A dog barks", "a dog barks!", "barks a dog", "rain", "wind"], index=[3, 1, 4, 0, 2]
        )
    )
    rated = pd.DataFrame(
        {
            "split": ["train", "validation", "validation", "test"],
            "words": ["rain", "a dog barks", "a bell", "a dog barks"],
        }
    )
    overlap = text_overlap.count_overlap(captions, rated)
    assert list(overlap) == ["test", "train", "validation"]
    assert overlap["validation"] == {
        "rated_texts": 2,
        "rated_texts_seen": 1,
        "captions_of_equal_words": 2,
        "captions_of_equal_word_sets": 3,
    }
    assert overlap["train"]["captions_of_equal_words"] == 1
    repeated = text_overlap.repeats_rated_text(captions, rated, ("validation", "test"))
    assert repeated.to_dict() == {3: True, 1: True, 4: False, 0: False, 2: False}
    assert not text_overlap.repeats_rated_text(captions, rated, ()).any()


def test_captions_of_rated_words_are_left_out_for_the_named_splits_alone():
    captions = pd.DataFrame({"text": ["Rain!", "a dog", "A  bell."]}, index=[5, 2, 9])
    rated = pd.DataFrame({"text": ["rain", "a bell"], "split": ["test", "train"]})

    def left(*splits):
        return text_overlap.without_rated_texts(captions, rated, splits)["text"].tolist()

    assert left() == ["Rain!", "a dog", "A  bell."]
    assert left("test") == ["a dog", "A  bell."]
    assert left("test", "validation", "train") == ["a dog"]


def test_a_caption_of_5000_words_and_one_of_a_single_sign_are_texts_like_others():
    result = text_overlap.normalize_texts(pd.Series([" ".join(["word"] * 5000), "!", "..."]))
    assert (len(result[0].split()), result[1], result[2]) == (5000, "!", "...")
    assert text_overlap.word_sets(result).tolist() == ["word", "!", "..."]
