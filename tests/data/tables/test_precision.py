"""CSV between stages holds six digits, so that processors which differ in the twelfth agree."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soundjudge.data.tables import tables
from soundjudge.runtime.rounding import round_float

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


def test_parquet_and_predictions_stay_exact(tmp_path):
    tables.write_table(targets(SCORES), tmp_path / "x.parquet", tables.TARGETS)
    back = tables.read_table(tmp_path / "x.parquet", tables.TARGETS)
    assert back["latent_score"].tolist() == SCORES
    predictions = targets(SCORES)[["wav_file_name", "text"]].assign(pred_score=SCORES)
    tables.write_table(predictions, tmp_path / "x.csv", tables.PREDICTIONS)
    back = tables.read_table(tmp_path / "x.csv", tables.PREDICTIONS)
    assert back["pred_score"].tolist() == SCORES


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
