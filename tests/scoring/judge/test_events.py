"""A text's events are told apart by the words between them, and each is scored by itself."""

from collections.abc import Sequence

import numpy as np
import pytest

from soundjudge.data.audio.audio import Sound, sound_from_samples
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.files.pair_reports import event_lines, events_json
from soundjudge.scoring.judge.events import score_events, split_events
from soundjudge.scoring.judge.pair_score import PairScore

SCORES = {
    "A dog barks": 8.0, "Rain falls": 2.0, "A bell rings": 5.0,
    "A dog barks, then rain falls": 6.0, "Rain falls, then a dog barks": 7.0,
}  # fmt: skip


class TextJudge:
    """A judge whose score stands in SCORES."""

    def score_sounds(
        self, sounds: Sequence[Sound], texts: Sequence[str], batch_size: int
    ) -> list[PairScore]:
        empty = {"members": {}, "spread": 0.0, "windows": (), "interval": None, "flags": ()}
        return [PairScore(value=SCORES[text], **empty) for text in texts]


SOUND = sound_from_samples(np.full(1600, 0.1), 16_000)


@pytest.mark.parametrize(
    ("text", "events"),
    [
        ("A dog barks, then rain falls", ["A dog barks", "rain falls"]),
        ("Rain falls followed by a bell, and then a dog.", ["Rain falls", "a bell", "a dog"]),
        ("A man speaks as a dog barks while it rains", ["A man speaks", "a dog barks", "it rains"]),
        ("A bell and at the same time a horn", ["A bell", "a horn"]),
        ("Animals such as cows moo before a bang", ["Animals such as cows moo", "a bang"]),
    ],
)
def test_events_are_split_at_words_of_time(text, events):
    assert split_events(text)[0] == events


@pytest.mark.parametrize("text", ["a dog and a cat", "then a dog", "Authenticity", "a dog, then "])
def test_a_text_without_several_events_is_refused(text):
    with pytest.raises(SoundjudgeError, match="cannot be split into events"):
        split_events(text)


def test_the_lowest_event_is_named_and_two_orders_are_compared():
    scored = score_events(TextJudge(), SOUND, "A dog barks, then rain falls.")
    assert scored.scores == (8.0, 2.0) and scored.lowest == "rain falls"
    assert scored.orders == (6.0, 7.0)
    assert event_lines(scored)[-2:] == [
        "lowest rain falls", "order not as in the text: 6.0000, else 7.0000",
    ]  # fmt: skip
    assert events_json(scored)["events"][0] == {"text": "A dog barks", "score": 8.0}


def test_events_at_the_same_time_have_no_order():
    scored = score_events(TextJudge(), SOUND, "A dog barks while a bell rings")
    assert scored.orders is None
    assert event_lines(scored) == ["event 8.0000 A dog barks", "event 5.0000 a bell rings",
                                   "lowest a bell rings"]  # fmt: skip
