"""One id in two spellings is refused with both; different ids are left alone."""

import pandas as pd
import pytest

from soundjudge.data.tables import spellings
from soundjudge.data.tables.spellings import normal_form
from soundjudge.errors import SoundjudgeError

SAME = [
    ("L0", "L0 "), ("L0", " L0"), ("L0", "l0"), ("L0", "L0\u00a0"), ("L0", "\tL0"),
    ("Zo\u00eb", "Zoe\u0308"), ("L0", "\uff2c\uff10"), ("L0", "L0\u200b"), ("L0", "\ufeffL0"),
    ("7", "7.0"), ("7", "7."), ("7", "007"), ("7.00", "7 "), ("a b", "a  b"),
    ("stra\u00dfe", "STRASSE"),
]  # fmt: skip
OTHER = [("L0", "L1"), ("7", "70"), ("7", "7.5"), ("a b", "ab"), ("e", "\u00e9"), ("1e1", "10")]


@pytest.mark.parametrize(("first", "second"), SAME)
@pytest.mark.parametrize("name", ["listener_id", "wav_file_name"])
def test_two_spellings_of_an_id_are_refused_with_both_and_their_rows(first, second, name):
    frame = pd.DataFrame({name: ["x", first, first, second]})
    with pytest.raises(SoundjudgeError) as error:
        spellings.check_ids(frame, "ratings.csv")
    words = str(error.value)
    assert words.startswith(f"ratings.csv, row 4: {name} {second!r} differs only in its spelling")
    assert f"{first!r} in row 2: write both in one way" in words


@pytest.mark.parametrize(("first", "second"), OTHER)
def test_different_ids_are_taken(first, second):
    spellings.check_ids(pd.DataFrame({"listener_id": [first, second]}), "here")
    assert normal_form(first) != normal_form(second)


def test_a_category_of_no_row_is_no_spelling():
    ids = pd.Categorical(["a", "b"], categories=["a", "A", "b"])
    spellings.check_ids(pd.DataFrame({"listener_id": ids}), "here")


def test_empty_cells_are_left_to_other_checks():
    spellings.check_ids(pd.DataFrame({"model_id": [None, "a", None]}), "here")
