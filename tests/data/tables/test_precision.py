"""CSV between stages holds six digits, so that processors which differ in the twelfth agree."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundjudge.data.tables import tables
from soundjudge.runtime.rounding import FLOAT32_DIGITS, round_float

SCORES = [6.123456789012345, -0.000123456789, 10.0, 2.5]


def targets(scores) -> pd.DataFrame:
    """A TARGETS table with these scores in every column of floats."""
    names = [f"{number}.wav" for number in range(len(scores))]
    columns = ["mean_score", "spo_score", "latent_score", "latent_se"]
    frame = pd.DataFrame({"wav_file_name": names, "text": "a dog barks"})
    return frame.assign(**dict.fromkeys(columns, scores), ratings=4, split="train")


def test_numbers_that_differ_in_the_twelfth_digit_give_the_same_bytes(tmp_path):
    for name, scores in (("one", SCORES), ("other", np.array(SCORES) * (1 + 3e-12))):
        tables.write_table(targets(scores), tmp_path / f"{name}.csv", tables.TARGETS)
    assert (tmp_path / "one.csv").read_bytes() == (tmp_path / "other.csv").read_bytes()


def test_the_rounded_numbers_come_back(tmp_path):
    tables.write_table(targets(SCORES), tmp_path / "x.csv", tables.TARGETS)
    back = tables.read_table(tmp_path / "x.csv", tables.TARGETS)
    assert back["spo_score"].tolist() == [6.12346, -0.000123457, 10.0, 2.5]
    assert back["ratings"].tolist() == [4] * 4
    assert "6.12346,6.12346,6.12346,6.12346,4,train" in (tmp_path / "x.csv").read_text()
    tables.write_table(back, tmp_path / "again.csv", tables.TARGETS)
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "x.csv").read_bytes()


def test_parquet_stays_exact(tmp_path):
    tables.write_table(targets(SCORES), tmp_path / "x.parquet", tables.TARGETS)
    back = tables.read_table(tmp_path / "x.parquet", tables.TARGETS)
    assert back["latent_score"].tolist() == SCORES


def predictions_as_read(folder, scores) -> list[float]:
    """What a table of predictions with these scores holds."""
    predictions = targets(scores)[["wav_file_name", "text"]].assign(pred_score=scores)
    tables.write_table(predictions, folder / "x.csv", tables.PREDICTIONS)
    return tables.read_table(folder / "x.csv", tables.PREDICTIONS)["pred_score"].tolist()


def test_predictions_keep_nine_digits(tmp_path):
    expected = [6.12345679, -0.000123456789, 10.0, 2.5]
    assert predictions_as_read(tmp_path, SCORES) == expected
    assert predictions_as_read(tmp_path, np.array(SCORES) * (1 + 3e-12)) == expected


@given(number=st.floats(width=32, min_value=-128, max_value=128))
def test_two_predictions_of_32_bits_never_become_one(number):
    above = np.nextafter(np.float32(number), np.float32(np.inf))
    one, other = (round_float(float(value), FLOAT32_DIGITS) for value in (number, above))
    assert one < other or abs(number) < 1e-11
    assert np.float32(one) == number or abs(number) < 1e-11


@given(st.floats(allow_nan=False, allow_infinity=False).filter(lambda value: abs(value) > 1e-12))
def test_six_digits_are_kept_of_any_float(value):
    rounded = round_float(value)
    assert rounded == pytest.approx(value, rel=5.1e-6)
    assert round_float(rounded) == rounded
    assert len(f"{rounded!r}".split("e")[0].replace(".", "").strip("-0")) <= 6


@pytest.mark.parametrize("value", [-1e-17, -0.0, 3e-13])
def test_what_cancellation_leaves_is_zero(value):
    assert str(round_float(value)) == "0.0"


def test_numbers_that_are_none_stay():
    assert np.isnan(round_float(np.nan))
    assert round_float(-np.inf) == -np.inf
