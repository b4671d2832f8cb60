"""Matched and mismatched pairs: who may meet whom, and that neither order nor blocks matter."""

import numpy as np
import pandas as pd
import pytest

from soundjudge.labels import negatives, pseudolabels
from soundjudge.labels.negatives import Negatives, NegativesError


def rules(**changes: object) -> Negatives:
    values = {"random": 1, "hard": 1, "similarity": (0.3, 0.95), "seed": 3}
    return Negatives(**(values | changes))


def table(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["caption_id", "clip_id", "text"])
    return frame.assign(corpus="audiocaps")


def on_circle(degrees: dict[str, float]):
    """Embeddings by caption id whose cosines are those of angles."""

    def embeddings(ids: list[str]) -> np.ndarray:
        angles = np.radians([degrees[name] for name in ids])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)

    return embeddings


CLIPS = 40


def corpus(seed: int = 0) -> tuple[pd.DataFrame, dict[str, float]]:
    """Clips with one to three captions; some texts are said twice."""
    rng = np.random.default_rng(seed)
    rows, degrees, heard = [], {}, {}
    for clip in range(CLIPS):
        for number in range(1 + clip % 3):
            text = f"text {rng.integers(60)}"
            name = f"caption{clip:02}-{number}"
            rows.append((name, f"clip{clip:02}", text))
            degrees[name] = heard.setdefault(text, float(rng.uniform(0, 360)))
    return table(rows), degrees


def joined(pairs: pd.DataFrame, captions: pd.DataFrame) -> pd.DataFrame:
    return pairs.merge(captions[["caption_id", "text"]], on="caption_id")


def test_every_caption_is_a_matched_pair_once():
    captions, degrees = corpus()
    pairs = negatives.pairs(captions, on_circle(degrees), rules(), "cpu")
    matched = pairs[pairs["matched"]][["clip_id", "caption_id"]]
    expected = captions[["clip_id", "caption_id"]].sort_values(["clip_id", "caption_id"])
    assert matched.to_numpy().tolist() == expected.to_numpy().tolist()
    assert not pairs.duplicated(["clip_id", "caption_id"]).any()


def test_a_mismatched_text_is_never_the_clips_own_nor_met_twice_nor_a_paraphrase():
    captions, degrees = corpus()
    pairs = negatives.pairs(captions, on_circle(degrees), rules(random=3, hard=2), "cpu")
    mismatched = joined(pairs[~pairs["matched"]], captions)
    assert len(mismatched) > 3 * len(captions)
    assert not mismatched.duplicated(["clip_id", "text"]).any()
    own = captions.groupby("clip_id")
    vectors = on_circle(degrees)
    for clip, caption, text in mismatched[["clip_id", "caption_id", "text"]].to_numpy():
        mine = own.get_group(clip)
        assert text not in set(mine["text"])
        assert (vectors(list(mine["caption_id"])) @ vectors([caption])[0]).max() <= 0.95 + 1e-6


def test_each_caption_gets_its_random_counterparts():
    captions, degrees = corpus()
    pairs = negatives.pairs(captions, on_circle(degrees), rules(random=4, hard=0), "cpu")
    counts = pairs[~pairs["matched"]].groupby("clip_id").size()
    assert counts.to_dict() == (4 * captions.groupby("clip_id").size()).to_dict()


def test_a_hard_counterpart_is_the_nearest_within_the_band():
    captions = table([(name, f"clip {name}", f"text {name}") for name in "abcde"])
    # From a: b is a paraphrase (cos 10 = .98), c is hard (cos 30 = .87), d less (cos 60), e far.
    degrees = {"a": 0.0, "b": 10.0, "c": 30.0, "d": 60.0, "e": 170.0}
    pairs = negatives.pairs(captions, on_circle(degrees), rules(random=0, hard=1), "cpu")
    hard = pairs[~pairs["matched"]].set_index("clip_id")["caption_id"].to_dict()
    assert hard == {"clip a": "c", "clip b": "c", "clip c": "b", "clip d": "c"}  # e has none


def test_a_paraphrase_of_the_clips_other_caption_is_not_hard():
    captions = table(
        [
            ("a", "one", "text a"),
            ("b", "one", "text b"),
            ("c", "two", "text c"),
            ("d", "three", "d"),
        ]
    )
    degrees = {"a": 0.0, "b": 40.0, "c": 38.0, "d": -60.0}
    pairs = negatives.pairs(captions, on_circle(degrees), rules(random=0, hard=1), "cpu")
    one = pairs[(pairs["clip_id"] == "one") & ~pairs["matched"]]
    assert one["caption_id"].tolist() == ["d"]  # c is nearer to a, but says what b says


def test_neither_the_order_of_rows_nor_the_blocks_change_the_pairs(monkeypatch):
    captions, degrees = corpus()
    choice = rules(random=2, hard=2)
    expected = negatives.pairs(captions, on_circle(degrees), choice, "cpu")
    shuffled = captions.sample(frac=1, random_state=5)
    pd.testing.assert_frame_equal(
        negatives.pairs(shuffled, on_circle(degrees), choice, "cpu"), expected
    )
    for name, size in (("ROWS", 7), ("COLUMNS", 11), ("COUPLES", 5)):
        monkeypatch.setattr(negatives, name, size)
    pd.testing.assert_frame_equal(
        negatives.pairs(captions, on_circle(degrees), choice, "cpu"), expected
    )


def test_another_seed_draws_other_pairs():
    captions, degrees = corpus()
    one, two = (
        negatives.pairs(captions, on_circle(degrees), rules(seed=seed), "cpu") for seed in (1, 2)
    )
    assert not one.equals(two)


def test_more_counterparts_than_there_are_texts_are_refused():
    captions = table([(name, f"clip {name}", f"text {name}") for name in "abc"])
    degrees = {"a": 0.0, "b": 100.0, "c": 200.0}
    with pytest.raises(NegativesError, match="3 distinct texts"):
        negatives.pairs(captions, on_circle(degrees), rules(random=3, hard=0), "cpu")
    both = negatives.pairs(captions, on_circle(degrees), rules(random=2, hard=0), "cpu")
    assert len(both) == 9  # each clip with each text


def test_texts_that_all_say_the_same_are_refused():
    captions = table([(name, f"clip {name}", f"text {name}") for name in "abc"])
    with pytest.raises(NegativesError, match="raise pseudolabel"):
        negatives.pairs(captions, on_circle(dict.fromkeys("abc", 5.0)), rules(hard=0), "cpu")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"random": -1}, "random"),
        ({"hard": -1}, "hard"),
        ({"similarity": (0.9, 0.3)}, "similarity"),
    ],
)
def test_impossible_rules_are_refused_by_name(changes, word):
    with pytest.raises(NegativesError, match=word):
        rules(**changes)


def test_a_pseudo_label_is_the_cosine_of_clip_and_caption(monkeypatch):
    monkeypatch.setattr(pseudolabels, "BLOCK", 2)
    pairs = pd.DataFrame(
        {"clip_id": ["x", "x", "y"], "caption_id": ["p", "q", "q"], "matched": [True, False, True]}
    )
    clips, captions = on_circle({"x": 0.0, "y": 90.0}), on_circle({"p": 60.0, "q": 90.0})
    scored = pseudolabels.clap_scores(pairs, clips, captions)
    np.testing.assert_allclose(scored["clap_score"], [0.5, 0.0, 1.0], atol=1e-6)
    summary = pseudolabels.summary(scored)
    assert (summary["matched"], summary["mismatched"], summary["auc"]) == (2, 1, 1.0)


def test_the_histogram_shows_both_kinds():
    scored = pd.DataFrame({"matched": [True, False, True], "clap_score": [0.6, 0.1, 0.4]})
    figure = pseudolabels.histogram(scored, "simulated")
    labels = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert labels == ["matched", "mismatched"]


def test_without_captions_there_are_no_pairs_and_still_a_picture():
    captions = table([])
    pairs = negatives.pairs(captions, on_circle({}), rules(), "cpu")
    scored = pseudolabels.clap_scores(pairs, on_circle({}), on_circle({}))
    assert list(scored.columns) == ["clip_id", "caption_id", "matched", "clap_score"]
    assert len(scored) == 0
    assert pseudolabels.summary(scored) == {"matched": 0, "mismatched": 0}
    assert pseudolabels.histogram(scored, "")
