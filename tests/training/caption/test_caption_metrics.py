"""CIDEr-D and token F1 by hand, and the page of captions beside their references."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tiny_lalm
import tiny_training
from hypothesis import given, settings
from hypothesis import strategies as st

from soundjudge.errors import SoundjudgeError
from soundjudge.training.caption import caption_report
from soundjudge.training.caption.caption_metrics import cider_d, token_f1, tokenize_caption
from soundjudge.training.caption.caption_report import Generation, ReferenceCaptions
from soundjudge.training.lalm.training_pairs import make_pairs

GENERATION = Generation(clips=2, num_beams=2, max_tokens=5, batch_size=2)
WORD = st.sampled_from(["a", "dog", "barks", "rain", "on", "roof"])
TEXT = st.lists(WORD, min_size=1, max_size=7).map(" ".join)


def test_cider_d_of_two_clips_by_hand():
    # No word is in both clips' references: every n-gram weighs log(2 / 1).
    references = [["a dog barks"], ["rain falls"]]
    # Equal to its reference: cosine 1 for n = 1, 2, 3, and no 4-grams: 10 * 3 / 4.
    # "rain": 1 of 2 words, cosine 1 / sqrt(2), no 2-grams; one word short: exp(-1 / 72).
    expected = [7.5, 10 * math.exp(-1 / 72) / math.sqrt(2) / 4]
    np.testing.assert_allclose(cider_d(["A dog barks.", "rain"], references), expected)


def test_what_all_clips_have_counts_nothing_and_what_is_rare_counts_more():
    # Of three clips all have "a", two "dog", one "cat": weights 0, log(3 / 2), log(3).
    references = [["a dog"], ["a cat"], ["a dog"]]
    scores = cider_d(["a", "a dog", "a dog"], references)
    assert scores[0] == 0
    # Second clip: "dog" is not "cat", and "a" weighs nothing, so 0 though a word is common.
    assert scores[1] == 0
    # Third: "dog" and "a dog" alone carry weight, both right: 10 * 2 / 4.
    assert scores[2] == pytest.approx(5)


def test_a_word_said_again_is_clipped_and_costs_length():
    # Weights 2w against w, clipped: w * w / (2w * w) = 1 / 2 for n = 1; the 2-gram "dog dog" is
    # in no reference, weight log(2), and the reference has no 2-gram: 0.
    expected = 10 * 0.5 / 4 * math.exp(-1 / 72)
    assert cider_d(["dog dog", "rain"], [["dog"], ["rain"]])[0] == pytest.approx(expected)


def test_several_references_count_by_their_mean():
    references = [["a dog barks", "wind blows"], ["rain falls"]]
    # 7.5 against the first, 0 against the second (no common word).
    assert cider_d(["a dog barks", "rain falls"], references)[0] == pytest.approx(7.5 / 2)


def test_a_caption_without_words_scores_nothing():
    assert cider_d(["", "rain falls"], [["a dog"], ["rain falls"]])[0] == 0
    assert token_f1(["..."], [["a dog"]]) == 0


def test_token_f1_takes_the_nearest_reference_and_counts_words_as_often_as_they_stand_there():
    # "a a dog": against "a dog" 2 common of 3 + 2 words, 2 * 2 / 5; against "rain on a" 2 / 6.
    assert token_f1(["a a dog"], [["rain on a", "a dog"]]).tolist() == [0.8]
    assert token_f1(["Dog a!"], [["a dog"]]).tolist() == [1.0]
    assert token_f1(["car"], [["a dog"]]).tolist() == [0.0]


def test_words_have_no_case_and_no_punctuation():
    tokens = tokenize_caption("A dog's bark, 2 times!  Überall")
    assert tokens == ["a", "dog's", "bark", "2", "times", "überall"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(TEXT, st.lists(TEXT, min_size=1, max_size=3)), min_size=2, max_size=5))
def test_scores_stay_on_their_scales_and_know_no_order_of_clips(rows):
    candidates, references = [row[0] for row in rows], [row[1] for row in rows]
    for metric, top in ((cider_d, 10), (token_f1, 1)):
        scores = metric(candidates, references)
        assert (scores >= 0).all() and (scores <= top + 1e-9).all()
        turned = metric(candidates[::-1], [texts[::-1] for texts in references[::-1]])
        np.testing.assert_allclose(turned[::-1], scores, atol=1e-12)


@pytest.mark.parametrize(
    ("candidates", "references", "message"),
    [
        (["a"], [["a"]], "at least 2"),
        (["a", "b"], [["a"], []], "clip 1 have no words"),
        (["a", "b"], [["a"], ["?"]], "clip 1 have no words"),
    ],
)
def test_what_cannot_be_measured_is_refused(candidates, references, message):
    with pytest.raises(SoundjudgeError, match=message):
        cider_d(candidates, references)


def test_every_caption_needs_references():
    with pytest.raises(AssertionError, match="2 captions have 1 lists"):
        cider_d(["a", "b"], [["a"]])


def validation_pairs(clips=3, captions=2):
    rows = [(f"c{i}", f"dog {i} {k}") for i in range(clips) for k in range(captions)]
    table = pd.DataFrame(rows, columns=["clip_id", "text"]).sample(frac=1, random_state=0)
    return make_pairs(table["clip_id"], table["text"], np.ones(len(table)))


def test_drawn_clips_keep_all_their_references_and_follow_the_seed():
    sample = caption_report.sample_clips(validation_pairs(20), 5, seed=1)
    assert len(set(sample.clip_ids)) == 5
    for name, texts in zip(sample.clip_ids, sample.references, strict=True):
        assert sorted(texts) == [f"dog {name[1:]} 0", f"dog {name[1:]} 1"]
    assert caption_report.sample_clips(validation_pairs(20), 5, seed=1) == sample
    assert caption_report.sample_clips(validation_pairs(20), 5, seed=2) != sample
    assert len(caption_report.sample_clips(validation_pairs(3), 5, seed=1).clip_ids) == 3


def test_one_held_out_clip_is_refused_before_anything_is_trained():
    with pytest.raises(SoundjudgeError, match=r"caption\.validation_splits"):
        caption_report.sample_clips(validation_pairs(1), 5, seed=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"clips": 1}, "clips is 1: it must be 2 to 10000000, as CIDEr-D needs"),
        ({"num_beams": 0}, "num_beams"),
        ({"max_tokens": 0}, "max_tok"),
    ],
)
def test_settings_that_say_nothing_are_refused(changes, message):
    with pytest.raises(SoundjudgeError, match=message):
        replace(GENERATION, **changes)


def test_the_figures_tell_hearing_from_knowing_the_language():
    clips = ReferenceCaptions(
        clip_ids=("a", "b", "c"), references=(("dog barks",), ("rain falls",), ("car horn",))
    )
    metrics = caption_report.score_captions(["dog barks", "rain falls", "car horn"], clips)
    assert metrics["captioned_clips"] == 3
    assert metrics["cider_d"] == pytest.approx(5)  # n = 1 and 2 of 4
    assert metrics["token_f1"] == 1
    assert metrics["cider_d_other_clip"] == metrics["token_f1_other_clip"] == 0
    constant = caption_report.score_captions(["dog barks"] * 3, clips)
    assert constant["cider_d"] == pytest.approx(constant["cider_d_other_clip"])


def test_the_page_shows_captions_from_best_to_worst_beside_their_references():
    clips = ReferenceCaptions(
        clip_ids=("x/a", "x/b", "x/c"),
        references=(("rain | falls", "rain", "rain"), ("dog barks",), ("car <horn>\nnow",)),
    )
    rows = caption_report.caption_page(["a", "dog barks", "car"], clips).splitlines()[-3:]
    assert rows[0] == "| 5.00 | dog barks | dog barks | x/b |"
    assert rows[1].endswith("| car | car &lt;horn> now | x/c |")
    assert rows[2] == "| 0.00 | a | rain \\| falls<br>rain | x/a |"


def test_a_long_page_shows_twenty_clips_best_and_worst_among_them():
    texts = [f"w{i}" for i in range(50)]
    clips = ReferenceCaptions(clip_ids=tuple(texts), references=tuple((text,) for text in texts))
    captions = [*texts[:49], "wrong"]
    page = caption_report.caption_page(captions, clips)
    rows = [row for row in page.splitlines() if "| w" in row]
    assert len(rows) == 20
    assert rows[0].startswith("| 2.50 |") and rows[-1].endswith("| w49 |")


def test_captions_do_not_depend_on_how_many_clips_are_heard_at_once(tmp_path):
    lalm = tiny_lalm.lalm(tmp_path / "llm")
    features = tiny_training.features(tmp_path / "rows", tiny_training.captioned_ids())
    table = tiny_training.captions()
    pairs = make_pairs(table["clip_id"], table["text"], np.ones(6))
    sample = caption_report.sample_clips(pairs, 5, seed=0)
    captions, *others = (
        caption_report.generate_captions(
            lalm, features, sample, replace(GENERATION, batch_size=size)
        )
        for size in (1, 2, 5)
    )
    assert others == [captions, captions]
    assert len(captions) == 5
    page = tmp_path / "metrics/caption.md"
    metrics = caption_report.write_report(lalm, features, sample, GENERATION, page)
    assert metrics == caption_report.score_captions(captions, sample)
    assert page.read_text() == caption_report.caption_page(captions, sample)
