"""The study of real raters: ratings are made as described, and its page is what it measures."""

import importlib.util
import re

import pandas as pd
import pytest
from repository import ROOT, load_benchmark

from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.study.held_out import StudyConfig

real = load_benchmark("real_listeners")
PAGE = (ROOT / "benchmarks/real_listeners.md").read_text(encoding="utf-8")


def survey():
    """Two people in place A, one in B; an answer is missing and one is off the scale."""
    frame = pd.DataFrame({name: [1.0, 5.0, 3.0] for name in real.QUESTIONS})
    frame["LocationID"] = ["A", "A", "B"]
    frame["RecordID"] = [7, 8, 7]
    frame.loc[0, "calm"] = None
    frame.loc[1, "calm"] = 0.0
    return frame


def test_a_row_of_the_survey_is_a_person_and_a_pair_is_a_question_in_a_place():
    ratings = real.sound_ratings(survey(), "LocationID")
    assert len(ratings) == 3 * 12 - 2
    assert ratings["listener_id"].nunique() == 3  # a RecordID may be of two people
    assert set(ratings["score"]) == {0.0, 10.0, 5.0}
    assert "A/calm" not in set(ratings["wav_file_name"])
    assert (ratings["wav_file_name"] == "A/pleasant").sum() == 2


def test_at_most_so_many_people_of_each_place_are_drawn_by_the_seed():
    people = pd.concat([survey()] * 5, ignore_index=True)
    drawn = real.draw_people(people, "LocationID", 4, 0)
    assert drawn["LocationID"].value_counts().to_dict() == {"A": 4, "B": 4}
    assert drawn.index.tolist() == real.draw_people(people, "LocationID", 4, 0).index.tolist()
    assert drawn.index.tolist() != real.draw_people(people, "LocationID", 4, 1).index.tolist()


def test_a_second_rating_of_a_lecturer_is_left_out():
    lectures = pd.DataFrame({"s": [1, 1, 2], "d": [9, 9, 9], "y": [5, 1, 3]})
    ratings = real.lecture_ratings(lectures)
    assert ratings["score"].tolist() == [10.0, 5.0]
    assert ratings["listener_id"].tolist() == ["1", "2"]


def test_a_pair_is_a_question_about_a_kind_of_carrots():
    carrots = pd.DataFrame({"Consumer": [5, 6], "Product": ["Major_E", "Major_E"], "Age": [1, 2]})
    carrots[real.CARROT_QUESTIONS] = [[1.0, 7.0, 4.0, None], [7.0, 1.0, 4.0, 4.0]]
    ratings = real.carrot_ratings(carrots)
    assert len(ratings) == 7 and set(ratings["listener_id"]) == {"5", "6"}
    of_sweetness = ratings[ratings["wav_file_name"] == "Major_E/Sweetness"]
    assert of_sweetness["score"].tolist() == [10.0, 0.0]


def test_an_absent_package_and_other_data_are_sentences(monkeypatch):
    monkeypatch.setitem(real.FILES, "pytest", ("__init__.py", "0" * 64))
    with pytest.raises(SystemExit, match=r"__init__\.py has sha256 .*: the figures are those of 0"):
        real.packaged_file("pytest")
    with pytest.raises(SystemExit, match="no_such_package is not installed"):
        real.packaged_file("no_such_package")


def test_what_the_page_says_stands_in_its_tables():
    text, tables = PAGE.split("<!-- measured -->")
    numbers = set(re.findall(r"(?<![\d.])\.(\d{3})\b", text.split("What these ratings say")[1]))
    shown = set(re.findall(r"-?0\.(\d{3}) ", tables))
    own = {"014", "015", "005", "007", "003", "000", "004", "001", "002"}  # differences of two
    assert numbers - own <= shown
    sections = re.findall(r"^## (.*)$", tables, re.MULTILINE)
    assert len(sections) == 8
    for license_name in ("CC BY 4.0", "BSD-3-Clause", "GPL-2", "GPL-3", "MIT"):
        assert license_name in text


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("soundscapy") is None, reason="needs soundscapy")
def test_a_cell_of_the_page_is_what_the_code_measures():
    survey = pd.read_csv(real.packaged_file("soundscapy"), low_memory=False).copy()
    few = real.draw_people(survey, "SessionID", 4, 0)
    ratings = rating_arrays.rating_arrays(real.sound_ratings(few, "SessionID"))
    result = real.study.study_ratings(ratings, real.SETTINGS, StudyConfig(splits=20, seed=0))
    section = real.section("sounds: a question in a session, 4 people of each", result)
    assert section.strip() in PAGE
