"""Numbers and notes as pages write them."""

import pytest

from soundjudge.html import rendering


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [
        (0.7024, "", ".702"),
        (-0.0301, "", "\u2212.030"),
        (1.0, "", "1.000"),
        (0.9996, "", "1.000"),
        (0.152, "+", "+.152"),
        (-0.003, "+", "\u2212.003"),
        (-1.2, "", "\u22121.200"),
    ],
)
def test_correlations_have_three_decimals_and_no_leading_zero(value, sign, text):
    assert rendering.correlation_text(value, sign) == text


def test_a_note_about_ratings_is_a_sentence_or_nothing():
    assert rendering.ratings_sentence("") == ""
    assert rendering.ratings_sentence("ratings of students") == "Ratings of students."
    assert "say nothing about people" in rendering.ratings_sentence("simulated ratings")
