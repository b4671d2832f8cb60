"""Screening, next to plain loops over all pairs of ratings and over listeners."""

import math
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import STAGES
from scipy import stats

from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import check_table
from soundjudge.errors import SoundjudgeError
from soundjudge.labels.ratings import carelessness, listener_indicators, rating_arrays, screening
from soundjudge.labels.ratings.screening import Screening
from soundjudge.runtime import artifacts
from soundjudge.sample.composition import simulated_listeners
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel


def ratings(*rows, split="train"):
    """(wav, listener, score) rows as a RATINGS table."""
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    frame = frame.assign(text="t", split=split, model_id=None, score=frame["score"].astype(float))
    return frame[list(tables.RATINGS.columns)].astype({"model_id": "object"})


def rules(method="rating", tolerance=5.0, splits=("train", "validation"), **changes):
    values = {"method": method, "tolerance": tolerance, "splits": splits}
    return Screening(**values | {"careless": 0.5, "constant": 8} | changes)


def agreeing(frame, tolerance):
    return screening.is_confirmed(rating_arrays.rating_arrays(frame), tolerance).tolist()


def naive(frame, tolerance):
    """The published rule, a loop over all pairs of ratings, in exact arithmetic."""
    exact = [
        (name, Fraction(repr(float(score))).limit_denominator(10**6))
        for name, score in zip(frame["wav_file_name"], frame["score"], strict=True)
    ]
    reach = Fraction(repr(float(tolerance)))
    return [
        any(
            j != i and exact[j][0] == name and a - reach <= exact[j][1] <= a + reach
            for j in range(len(exact))
        )
        for i, (name, a) in enumerate(exact)
    ]


def rows_of(score):
    return st.lists(st.tuples(st.sampled_from("abc"), score), max_size=30)


SCORES = st.one_of(
    st.integers(0, 10).map(float),
    st.integers(0, 40).map(lambda n: n / 4),
    st.integers(0, 100).map(lambda n: n / 10),
    st.integers(0, 1000).map(lambda n: n / 100),
)
TOLERANCES = st.sampled_from([0.0, 0.1, 0.3, 0.5, 2.0, 5.0, 20.0])


@settings(deadline=None, max_examples=200)
@given(rows_of(SCORES), TOLERANCES)
def test_screening_keeps_exactly_what_the_published_rule_keeps(rows, tolerance):
    frame = ratings(*[(wav, f"l{i}", score) for i, (wav, score) in enumerate(rows)])
    assert agreeing(frame, tolerance) == naive(frame, tolerance)


@pytest.mark.parametrize("score_type", [np.float64, np.float32])
def test_floating_point_does_not_decide(score_type):
    tenths = [(a / 10, b / 10) for a in range(101) for b in range(a, 101)]
    for tolerance in (0.3, 0.7, 5.0):
        close = [round(10 * (b - a)) <= round(10 * tolerance) for a, b in tenths]
        rows = [(f"{i}.wav", who, s) for i, pair in enumerate(tenths) for who, s in enumerate(pair)]
        frame = ratings(*rows).astype({"score": score_type})
        assert agreeing(frame, tolerance)[::2] == close
    assert 0.8 - 0.1 > 0.7  # though nobody would say so


@settings(deadline=None, max_examples=50)
@given(rows_of(st.floats(0, 10)), TOLERANCES)
def test_screening_ratings_that_were_screened_changes_nothing(rows, tolerance):
    frame = ratings(*[(wav, f"l{i}", score) for i, (wav, score) in enumerate(rows)])
    kept = frame[np.array(agreeing(frame, tolerance), dtype=bool)]
    assert all(agreeing(kept, tolerance))


def test_screening_by_hand():
    frame = ratings(
        ("b.wav", "l1", 9),  # 9 and 4 are 5 apart: both stay
        ("a.wav", "l1", 0),  # nobody within 5: goes
        ("b.wav", "l2", 4),
        ("a.wav", "l2", 6),
        ("a.wav", "l3", 10),
        ("c.wav", "l4", 7),  # alone: goes, and its pair with it
    )
    kept = screening.screen_ratings(frame, rules())
    assert kept["score"].tolist() == [9, 4, 6, 10]
    assert list(kept.columns) == list(frame.columns)
    dropped = screening.dropped_ratings(frame, rules())
    check_table(dropped, screening.DROPPED, "test")
    assert dropped[["wav_file_name", "reason", "pair_lost"]].values.tolist() == [
        ["a.wav", "isolated", False],
        ["c.wav", "isolated", True],
    ]


def test_one_sound_with_two_texts_is_two_pairs():
    frame = ratings(("a.wav", "l1", 3), ("a.wav", "l2", 3)).assign(text=["x", "y"])
    assert agreeing(frame, 5) == [False, False]


def test_categorical_ids_give_the_same_as_text():
    frame = ratings(("b", "l1", 1), ("a", "l1", 9), ("b", "l2", 2), ("a", "l3", 0))
    ids = ["wav_file_name", "text", "listener_id"]
    coarse = frame.astype(dict.fromkeys(ids, "category")).iloc[[0, 2, 3]]  # one category unused
    numbers, plain = (
        rating_arrays.rating_arrays(coarse),
        rating_arrays.rating_arrays(frame.iloc[[0, 2, 3]]),
    )
    assert numbers.pair.tolist() == plain.pair.tolist() == [0, 0, 1]
    assert numbers.names[numbers.listener].tolist() == ["l1", "l2", "l3"]
    assert agreeing(coarse, 5) == [True, True, False]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=12))
def test_pairs_are_numbered_in_order_of_first_appearance(ids):
    frame = pd.DataFrame(ids, columns=rating_arrays.PAIR, dtype=object)
    seen = list(dict.fromkeys(ids))
    expected = [seen.index(pair) for pair in ids]
    for table in (frame, frame.astype("category")):
        found = rating_arrays.pair_codes(table)
        assert found.tolist() == expected
        assert rating_arrays.first_rows(found, len(seen)).tolist() == [
            ids.index(pair) for pair in seen
        ]


VALIDATION_APART = ratings(("v.wav", "l3", 0), ("v.wav", "l4", 9), split="validation")


def test_splits_that_are_not_named_and_method_none_stay_whole():
    both = pd.concat([ratings(("a.wav", "l1", 0), ("a.wav", "l2", 9)), VALIDATION_APART])
    assert screening.kept_mask(both, rules(splits=("validation",))).tolist() == [1, 1, 0, 0]
    assert screening.kept_mask(both, rules("none")).all()


def test_a_split_that_loses_every_rating_is_an_error_with_the_remedy():
    with pytest.raises(SoundjudgeError, match=r"validation ratings.*raise screen\.tolerance"):
        screening.screen_ratings(VALIDATION_APART, rules())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tolerance": -1.0}, "0 or more"),
        ({"tolerance": math.nan}, "0 or more"),
        ({"splits": ("test",)}, "only train and validation"),
        ({"careless": 1.0}, "between 0 and 1"),
        ({"constant": 1}, "2 or more"),
    ],
)
def test_wrong_screening_is_refused(values, message):
    with pytest.raises(SoundjudgeError, match=message):
        rules(**values)


def simulated(pairs=500, seed=0, spread=3.2, **changes):
    """Simulated ratings of one split; true values have about that standard deviation."""
    values = {"ratings_per_pair": 4, "ratings_per_listener": 13, "careless": 0.1}
    values |= {"bias_sd": 0.9, "scale_sd": 0.2, "noise_sd": 1.3}
    panel = SimulatedPanel(**values | changes)
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.normal(6, spread, pairs), 0, 10)
    rows = simulated_listeners.simulate_ratings(truth, panel, "l", rng)
    return ratings(*[(f"{pair}.wav", who, score) for pair, who, score in rows])


def planted(frame, share, seed=1, choose=lambda rng, n: rng.integers(0, 11, n)):
    """The same with every so many listener's ratings made up, and the ids of those."""
    rng = np.random.default_rng(seed)
    ids = frame["listener_id"].unique()
    made_up = set(rng.choice(ids, round(share * len(ids)), replace=False))
    score = frame["score"].to_numpy().copy()
    for who in sorted(made_up):
        rows = (frame["listener_id"] == who).to_numpy()
        score[rows] = choose(rng, rows.sum())
    return frame.assign(score=score), made_up


@pytest.mark.parametrize(
    "choose",
    [lambda rng, n: rng.integers(0, 11, n), lambda rng, n: np.clip(rng.normal(6, 1, n), 0, 10)],
    ids=["anywhere", "about the same"],
)
def test_listener_screening_finds_careless_listeners_and_hardly_any_others(choose):
    frame, made_up = planted(simulated(careless=0.0), 0.1, choose=choose)
    found = screening.careless_listeners(frame, rules("listener"))
    assert len(found & made_up) >= 0.8 * len(made_up)
    assert len(found - made_up) <= 3
    reason = screening.drop_reasons_by_split(frame, rules("listener"))
    assert set(frame["listener_id"][reason != 0]) == found


def test_nobody_is_excluded_from_a_panel_without_careless_listeners():
    frame = simulated(careless=0.0, noise_sd=0.8)
    assert len(screening.careless_listeners(frame, rules("listener"))) <= 1


def test_likelihoods_beat_the_correlation_with_the_others():
    frame, made_up = planted(simulated(careless=0.0, spread=1.5), 0.1)
    table = listener_indicators.listener_indicators(frame, rules("listener"))
    truth = table["listener_id"].isin(made_up).to_numpy()

    def found_first(suspicion):
        worst = np.argsort(-suspicion.to_numpy(), kind="stable")[: len(made_up)]
        return truth[worst].sum()

    assert found_first(table["careless"]) >= found_first(-table["correlation"].fillna(0)) + 3


def test_the_evidence_of_a_kind_is_the_density_of_its_normal_distribution():
    rng = np.random.default_rng(0)
    who = np.array([0, 0, 0, 1, 1, 2], dtype=np.int32)
    deviation, quality, variance = rng.normal(size=6), rng.normal(size=6), rng.uniform(0.5, 2, 6)
    noise = rng.dirichlet(np.ones(len(carelessness.GRID)))
    kind = carelessness._Kind(spread=0.7, slope=0.3, noise=noise)
    found = carelessness._explained(who, deviation, quality, variance, kind, 4)
    for listener in range(3):
        mine = who == listener
        x = np.column_stack([np.ones(mine.sum()), quality[mine]])  # bias and scale
        prior = np.diag([0.7, 0.3])
        parts, squares = [], []
        for factor in carelessness.GRID:
            covariance = np.diag(factor * variance[mine]) + x @ prior @ x.T
            normal = stats.multivariate_normal(np.zeros(mine.sum()), covariance)
            parts.append(normal.pdf(deviation[mine]))
            gain = prior @ x.T @ np.linalg.inv(covariance)
            effects, rest = gain @ deviation[mine], prior - gain @ x @ prior
            squares.append(effects**2 + np.diag(rest))
        weight = noise * parts / (noise @ parts)
        assert found.evidence[listener] == pytest.approx(math.log(noise @ parts))
        assert found.factors[:, listener] == pytest.approx(weight)
        expected = weight @ np.array(squares)
        assert [found.squares[listener], found.slopes[listener]] == pytest.approx(list(expected))
    assert found.evidence[3] == pytest.approx(0.0)  # no ratings, no evidence
    assert (found.squares[3], found.slopes[3]) == pytest.approx((0.7, 0.3))


def test_listeners_whom_nobody_can_be_compared_with_stay():
    frame = ratings(*[(f"{i}.wav", f"l{i % 3}", i % 11) for i in range(30)])
    assert screening.careless_listeners(frame, rules("listener")) == set()


@settings(deadline=None, max_examples=50)
@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 4), st.integers(0, 10)),
        max_size=30,
        unique_by=lambda row: row[:2],
    )
)
def test_any_panel_gets_probabilities(rows):
    frame = ratings(*[(f"{wav}.wav", f"l{who}", score) for wav, who, score in rows])
    found = carelessness.careless_probabilities(rating_arrays.rating_arrays(frame))
    assert ((found >= 0) & (found <= 1)).all()


def test_who_answers_alike_every_time_goes_and_the_reason_says_so():
    frame, _ = planted(simulated(careless=0.0), 0.0)
    who = frame["listener_id"].iloc[0]
    frame.loc[frame["listener_id"] == who, "score"] = 7.0
    dropped = screening.dropped_ratings(frame, rules("listener"))
    assert set(dropped["reason"][dropped["listener_id"] == who]) == {"constant"}
    count = int((frame["listener_id"] == who).sum())
    spared = screening.dropped_ratings(
        frame, rules("listener", constant=count + 1, careless=0.999999)
    )
    assert "constant" not in set(spared["reason"])


def test_with_both_listeners_go_before_ratings():
    frame, _ = planted(simulated(), 0.1)
    alone = screening.drop_reasons_by_split(frame, rules("listener"))
    both = screening.drop_reasons_by_split(frame, rules("both", tolerance=2.0))
    assert (both[alone != screening.KEPT] == alone[alone != screening.KEPT]).all()
    rest = frame[alone == screening.KEPT]
    confirmed = screening.kept_mask(rest, rules("rating", tolerance=2.0))
    assert ((both[alone == screening.KEPT] == screening.KEPT) == confirmed).all()


def test_screening_by_both_twice_may_drop_more_as_the_docstring_says():
    others = [(f"{i}.wav", f"l{k}", 3 + (i + k) % 2) for i in range(9) for k in range(3)]
    fives = [(f"{i}.wav", "five", 10 if i == 8 else 5) for i in range(9)]
    frame = ratings(*others, *fives)
    once = screening.screen_ratings(frame, rules("both", careless=0.999999))
    assert "five" in set(once["listener_id"])
    assert len(frame) - len(once) == 1
    again = screening.screen_ratings(once, rules("both", careless=0.999999))
    assert "five" not in set(again["listener_id"])


def test_listener_screening_twice_may_drop_more_as_the_docstring_says():
    more = 0
    for seed in (1, 2):
        panel = simulated(pairs=300, seed=seed, careless=0.0, spread=2.5)
        frame, _ = planted(panel, 0.25, seed=seed)
        once = screening.screen_ratings(frame, rules("listener"))
        more += len(once) - len(screening.screen_ratings(once, rules("listener")))
    assert more > 0


def naive_correlations(frame):
    """{listener: Pearson's r with the means of the others' ratings}, where it is defined."""
    found = {}
    for who, mine in frame.groupby("listener_id"):
        own, other = [], []
        for row in mine.itertuples():
            same = (frame["wav_file_name"] == row.wav_file_name) & (frame["listener_id"] != who)
            if same.any():
                own.append(row.score)
                other.append(frame["score"][same].mean())
        if len(own) > 1 and np.ptp(own) > 1e-9 and np.ptp(other) > 1e-9:
            found[who] = stats.pearsonr(own, other).statistic
    return found


def test_correlations_are_those_of_a_plain_loop():
    frame = pd.concat([simulated(pairs=40), ratings(("alone.wav", "lonely", 3))])
    numbers = rating_arrays.rating_arrays(frame)
    raw, shrunken = listener_indicators.listener_correlations(numbers)
    expected = naive_correlations(frame)
    table = dict(zip(numbers.names, raw, strict=True))
    assert {who for who, r in table.items() if not np.isnan(r)} == set(expected)
    for who, r in expected.items():
        assert table[who] == pytest.approx(r)
    # Shrunken ones lie between the raw ones and the panel's, which the lonely listener gets.
    center = shrunken[list(numbers.names).index("lonely")]
    known = ~np.isnan(raw)
    assert (np.abs(shrunken - center)[known] <= np.abs(raw - center)[known] + 1e-9).all()
    assert shrunken[known].std() < raw[known].std()


def test_the_table_of_listeners_says_who_and_why():
    frame, made_up = planted(simulated(careless=0.0), 0.1)
    valid, _ = planted(simulated(seed=5), 0.0)
    both = pd.concat([frame, valid.assign(split="validation")], ignore_index=True)
    table = listener_indicators.listener_indicators(both, rules("listener", splits=("train",)))
    check_table(table, listener_indicators.LISTENERS, "test")
    train = table[table["split"] == "train"]
    assert train["ratings"].sum() == len(frame)
    assert set(
        train["listener_id"][train["verdict"] == "careless"]
    ) == screening.careless_listeners(frame, rules("listener"))
    assert set(table["verdict"][table["split"] == "validation"]) == {"kept"}
    confirmed = pd.Series(agreeing(frame, 5)).groupby(frame["listener_id"]).mean()
    isolated = train.set_index("listener_id")["isolated"]
    pd.testing.assert_series_equal(isolated, 1 - confirmed, check_names=False)


def test_the_stage_writes_its_tables_and_the_same_bytes_again(in_folder, monkeypatch):
    monkeypatch.syspath_prepend(str(STAGES))
    monkeypatch.delitem(sys.modules, "screen", raising=False)
    import screen

    lonely = ratings(("x.wav", "l0001", 0), ("x.wav", "l0002", 10))
    valid = simulated(pairs=60, seed=2).assign(split="validation")
    valid["listener_id"] = "v" + valid["listener_id"]
    valid["wav_file_name"] = "v" + valid["wav_file_name"]
    table = pd.concat([simulated(pairs=100), lonely, valid], ignore_index=True)
    tables.write_table(table, Path("data/prepared/ratings.parquet"), tables.RATINGS)
    Path("params.yaml").write_text(
        "screen: {method: both, tolerance: 2, careless: 0.5, constant: 8, splits: [train]}\n"
        "evaluate: {note: simulated ratings}\n"
    )
    outs = [Path(p) for p in ("data/screened", "plots/screen", "metrics/screen.json")]
    sums = []
    for _ in range(2):
        screen.main()
        sums.append([artifacts.sha256(out) for out in outs])
    assert sums[0] == sums[1]

    dropped = tables.read_table(Path("data/screened/dropped.csv"), screening.DROPPED)
    assert "x.wav" in set(dropped["wav_file_name"][dropped["pair_lost"]])
    assert set(dropped["split"]) == {"train"}
    kept = tables.read_table(Path("data/screened/ratings.parquet"), tables.RATINGS)
    assert len(kept) + len(dropped) == len(table)
    listeners = tables.read_table(
        Path("data/screened/listeners.csv"), listener_indicators.LISTENERS
    )
    assert set(listeners["listener_id"]) == set(table["listener_id"])
    numbers = artifacts.read_json(Path("metrics/screen.json"))
    assert numbers["note"] == "simulated ratings"
    assert numbers["train"]["ratings_dropped"] == len(dropped)
    for name in ("ratings", "listeners", "agreement"):
        assert Path(f"plots/screen/{name}.png").read_bytes()[:4] == b"\x89PNG"
