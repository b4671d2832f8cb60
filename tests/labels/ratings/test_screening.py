"""Screening, next to plain loops over all pairs of ratings and over listeners."""

import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from repository import run_stage, write_params
from scipy import stats

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import check_table
from soundjudge.errors import ParamsError, SoundjudgeError
from soundjudge.labels.ratings import carelessness, listener_indicators, rating_arrays, screening
from soundjudge.labels.ratings.config import Screening
from soundjudge.runtime import artifacts
from soundjudge.sample.composition import simulated_listeners
from soundjudge.sample.composition.simulated_listeners import SimulatedPanel


def ratings(*rows, split="train"):
    """(wav, listener, score) rows as a RATINGS table."""
    frame = pd.DataFrame(rows, columns=["wav_file_name", "listener_id", "score"])
    frame = frame.assign(text="t", split=split, model_id=None, score=frame["score"].astype(float))
    return frame[list(tables.RATINGS.columns)].astype({"model_id": "object"})


def rules(method="rating", tolerance=5.0, splits=("train", "validation"), **changes):
    return Screening(method=method, tolerance=tolerance, splits=splits, **changes)


def is_confirmed(frame, tolerance):
    return screening.is_confirmed(rating_arrays.rating_arrays(frame), tolerance).tolist()


def is_kept(frame, selected):
    return screening.drop_reasons_by_split(frame, selected) == screening.KEPT


def excluded_listeners(frame, selected):
    """The ids of the listeners that listener screening drops, ratings being of one split."""
    arrays = rating_arrays.rating_arrays(frame)
    probability = carelessness.careless_probabilities(arrays)
    reason = screening.exclusion_reasons(arrays, probability, selected)
    return set(arrays.listener_ids[reason != screening.KEPT])


def plain_is_confirmed(frame, tolerance):
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


@pytest.mark.slow
@settings(deadline=None, max_examples=200)
@given(rows_of(SCORES), TOLERANCES)
def test_screening_keeps_exactly_what_the_published_rule_keeps(rows, tolerance):
    frame = ratings(*[(wav, f"l{i}", score) for i, (wav, score) in enumerate(rows)])
    assert is_confirmed(frame, tolerance) == plain_is_confirmed(frame, tolerance)


@pytest.mark.parametrize("score_type", [np.float64, np.float32])
def test_floating_point_does_not_decide(score_type):
    tenths = [(a / 10, b / 10) for a in range(101) for b in range(a, 101)]
    for tolerance in (0.3, 0.7, 5.0):
        close = [round(10 * (b - a)) <= round(10 * tolerance) for a, b in tenths]
        rows = [(f"{i}.wav", who, s) for i, pair in enumerate(tenths) for who, s in enumerate(pair)]
        frame = ratings(*rows).astype({"score": score_type})
        assert is_confirmed(frame, tolerance)[::2] == close
    assert 0.8 - 0.1 > 0.7  # though nobody would say so


@pytest.mark.slow
@settings(deadline=None, max_examples=50)
@given(rows_of(st.floats(0, 10)), TOLERANCES)
def test_screening_ratings_that_were_screened_changes_nothing(rows, tolerance):
    frame = ratings(*[(wav, f"l{i}", score) for i, (wav, score) in enumerate(rows)])
    kept = frame[np.array(is_confirmed(frame, tolerance), dtype=bool)]
    assert all(is_confirmed(kept, tolerance))


def test_screening_by_hand():
    frame = ratings(
        ("b.wav", "l1", 9),  # 9 and 4 are 5 apart: both stay
        ("a.wav", "l1", 0),  # nobody within 5: goes
        ("b.wav", "l2", 4),
        ("a.wav", "l2", 6),
        ("a.wav", "l3", 10),
        ("c.wav", "l4", 7),  # alone: goes, and its pair with it
    )
    kept, dropped = screening.screen_ratings(frame, rules())
    assert kept["score"].tolist() == [9, 4, 6, 10]
    assert list(kept.columns) == list(frame.columns)
    check_table(dropped, screening.DROPPED, "test")
    assert dropped[["wav_file_name", "reason", "pair_lost"]].values.tolist() == [
        ["a.wav", "isolated", False],
        ["c.wav", "isolated", True],
    ]


def test_one_sound_with_two_texts_is_two_pairs():
    frame = ratings(("a.wav", "l1", 3), ("a.wav", "l2", 3)).assign(text=["x", "y"])
    assert is_confirmed(frame, 5) == [False, False]


def test_categorical_ids_give_the_same_as_text():
    frame = ratings(("b", "l1", 1), ("a", "l1", 9), ("b", "l2", 2), ("a", "l3", 0))
    ids = ["wav_file_name", "text", "listener_id"]
    coarse = frame.astype(dict.fromkeys(ids, "category")).iloc[[0, 2, 3]]  # one category unused
    arrays, plain = (
        rating_arrays.rating_arrays(coarse),
        rating_arrays.rating_arrays(frame.iloc[[0, 2, 3]]),
    )
    assert arrays.pair.tolist() == plain.pair.tolist() == [0, 0, 1]
    assert arrays.listener_ids[arrays.listener].tolist() == ["l1", "l2", "l3"]
    assert is_confirmed(coarse, 5) == [True, True, False]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), max_size=12))
def test_pairs_are_numbered_in_order_of_first_appearance(ids):
    frame = pd.DataFrame(ids, columns=rating_arrays.PAIR, dtype=object)
    seen = list(dict.fromkeys(ids))
    expected = [seen.index(pair) for pair in ids]
    for table in (frame, frame.astype("category")):
        codes = rating_arrays.pair_codes(table)
        assert codes.tolist() == expected
        assert rating_arrays.first_rows(codes, len(seen)).tolist() == [
            ids.index(pair) for pair in seen
        ]


VALIDATION_APART = ratings(("v.wav", "l3", 0), ("v.wav", "l4", 9), split="validation")


def test_splits_that_are_not_named_and_method_none_stay_whole():
    both = pd.concat([ratings(("a.wav", "l1", 0), ("a.wav", "l2", 9)), VALIDATION_APART])
    assert is_kept(both, rules(splits=("validation",))).tolist() == [1, 1, 0, 0]
    assert is_kept(both, rules("none")).all()


def test_a_split_that_loses_every_rating_is_an_error_with_the_remedy():
    with pytest.raises(SoundjudgeError, match=r"validation ratings.*raise screen\.tolerance"):
        screening.screen_ratings(VALIDATION_APART, rules())


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tolerance": -1.0}, "0 to 10"),
        ({"tolerance": math.nan}, "0 to 10"),
        ({"careless_threshold": 1.0}, "above 0 and below 1, a probability"),
        ({"straightline_min_ratings": 1}, "2 to 10000000"),
    ],
)
def test_wrong_screening_is_refused(values, message):
    with pytest.raises(SoundjudgeError, match=message):
        rules(**values)


def test_the_test_split_is_never_screened():
    with pytest.raises(ParamsError, match=r"splits\[0\] is 'test': choose one of 'train', 'valid"):
        params.build(Screening, {"splits": ["test"]}, "screen")


def simulate(pairs=500, seed=0, spread=3.2, **changes):
    """Simulated ratings of one split; true values have about that standard deviation."""
    values = {"ratings_per_pair": 4, "ratings_per_listener": 13, "careless": 0.1}
    values |= {"bias_sd": 0.9, "scale_sd": 0.2, "noise_sd": 1.3}
    panel = SimulatedPanel(**values | changes)
    rng = np.random.default_rng(seed)
    truth = np.clip(rng.normal(6, spread, pairs), 0, 10)
    rows = simulated_listeners.simulate_ratings(truth, panel, "l", rng)
    return ratings(*[(f"{pair}.wav", who, score) for pair, who, score in rows])


def plant_careless(frame, share, seed=1, choose=lambda rng, n: rng.integers(0, 11, n)):
    """The same with random ratings of a share of the listeners, and the ids of those."""
    rng = np.random.default_rng(seed)
    ids = frame["listener_id"].unique()
    careless = set(rng.choice(ids, round(share * len(ids)), replace=False))
    score = frame["score"].to_numpy().copy()
    for who in sorted(careless):
        rows = (frame["listener_id"] == who).to_numpy()
        score[rows] = choose(rng, rows.sum())
    return frame.assign(score=score), careless


@pytest.mark.parametrize(
    "choose",
    [lambda rng, n: rng.integers(0, 11, n), lambda rng, n: np.clip(rng.normal(6, 1, n), 0, 10)],
    ids=["anywhere", "about the same"],
)
def test_listener_screening_finds_careless_listeners_and_hardly_any_others(choose):
    frame, careless = plant_careless(simulate(careless=0.0), 0.1, choose=choose)
    excluded = excluded_listeners(frame, rules("listener"))
    assert len(excluded & careless) >= 0.8 * len(careless)
    assert len(excluded - careless) <= 3
    reason = screening.drop_reasons_by_split(frame, rules("listener"))
    assert set(frame["listener_id"][reason != 0]) == excluded


def test_nobody_is_excluded_from_a_panel_without_careless_listeners():
    frame = simulate(careless=0.0, noise_sd=0.8)
    assert len(excluded_listeners(frame, rules("listener"))) <= 1


def test_likelihoods_beat_the_correlation_with_the_others():
    frame, careless = plant_careless(simulate(careless=0.0, spread=1.5), 0.1)
    table = listener_indicators.listener_indicators(frame, rules("listener"))
    truth = table["listener_id"].isin(careless).to_numpy()

    def found_first(suspicion):
        worst = np.argsort(-suspicion.to_numpy(), kind="stable")[: len(careless)]
        return truth[worst].sum()

    assert found_first(table["careless"]) >= found_first(-table["correlation"].fillna(0)) + 3


def test_the_evidence_of_a_component_is_the_density_of_its_normal_distribution():
    rng = np.random.default_rng(0)
    who = np.array([0, 0, 0, 1, 1, 2], dtype=np.int32)
    deviation, quality, variance = rng.normal(size=6), rng.normal(size=6), rng.uniform(0.5, 2, 6)
    noise = rng.dirichlet(np.ones(len(carelessness.NOISE_FACTORS)))
    component = carelessness._Component(spread=0.7, slope=0.3, noise=noise)
    posterior = carelessness._explain(who, deviation, quality, variance, component, 4)
    for listener in range(3):
        own = who == listener
        x = np.column_stack([np.ones(own.sum()), quality[own]])  # bias and scale
        prior = np.diag([0.7, 0.3])
        parts, squares = [], []
        for factor in carelessness.NOISE_FACTORS:
            covariance = np.diag(factor * variance[own]) + x @ prior @ x.T
            normal = stats.multivariate_normal(np.zeros(own.sum()), covariance)
            parts.append(normal.pdf(deviation[own]))
            gain = prior @ x.T @ np.linalg.inv(covariance)
            effects, remaining = gain @ deviation[own], prior - gain @ x @ prior
            squares.append(effects**2 + np.diag(remaining))
        weight = noise * parts / (noise @ parts)
        assert posterior.evidence[listener] == pytest.approx(math.log(noise @ parts))
        assert posterior.factors[:, listener] == pytest.approx(weight)
        expected = weight @ np.array(squares)
        assert [posterior.squares[listener], posterior.slopes[listener]] == pytest.approx(
            list(expected)
        )
    assert posterior.evidence[3] == pytest.approx(0.0)  # no ratings, no evidence
    assert (posterior.squares[3], posterior.slopes[3]) == pytest.approx((0.7, 0.3))


def test_listeners_whom_nobody_can_be_compared_with_stay():
    frame = ratings(*[(f"{i}.wav", f"l{i % 3}", i % 11) for i in range(30)])
    assert excluded_listeners(frame, rules("listener")) == set()


@pytest.mark.slow
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
    probability = carelessness.careless_probabilities(rating_arrays.rating_arrays(frame))
    assert ((probability >= 0) & (probability <= 1)).all()


def test_who_answers_alike_every_time_goes_and_the_reason_says_so():
    frame, _ = plant_careless(simulate(careless=0.0), 0.0)
    who = frame["listener_id"].iloc[0]
    frame.loc[frame["listener_id"] == who, "score"] = 7.0
    _, dropped = screening.screen_ratings(frame, rules("listener"))
    assert set(dropped["reason"][dropped["listener_id"] == who]) == {"straightlining"}
    count = int((frame["listener_id"] == who).sum())
    _, spared = screening.screen_ratings(
        frame, rules("listener", straightline_min_ratings=count + 1, careless_threshold=0.999999)
    )
    assert "straightlining" not in set(spared["reason"])


def test_with_both_listeners_go_before_ratings():
    frame, _ = plant_careless(simulate(), 0.1)
    alone = screening.drop_reasons_by_split(frame, rules("listener"))
    both = screening.drop_reasons_by_split(frame, rules("both", tolerance=2.0))
    assert (both[alone != screening.KEPT] == alone[alone != screening.KEPT]).all()
    remaining = frame[alone == screening.KEPT]
    confirmed = is_kept(remaining, rules("rating", tolerance=2.0))
    assert ((both[alone == screening.KEPT] == screening.KEPT) == confirmed).all()


def test_screening_by_both_twice_may_drop_more_as_the_docstring_says():
    others = [(f"{i}.wav", f"l{k}", 3 + (i + k) % 2) for i in range(9) for k in range(3)]
    fives = [(f"{i}.wav", "five", 10 if i == 8 else 5) for i in range(9)]
    frame = ratings(*others, *fives)
    once, _ = screening.screen_ratings(frame, rules("both", careless_threshold=0.999999))
    assert "five" in set(once["listener_id"])
    assert len(frame) - len(once) == 1
    again, _ = screening.screen_ratings(once, rules("both", careless_threshold=0.999999))
    assert "five" not in set(again["listener_id"])


def test_listener_screening_twice_may_drop_more_as_the_docstring_says():
    more = 0
    for seed in (1, 2):
        panel = simulate(pairs=300, seed=seed, careless=0.0, spread=2.5)
        frame, _ = plant_careless(panel, 0.25, seed=seed)
        once, _ = screening.screen_ratings(frame, rules("listener"))
        more += len(once) - len(screening.screen_ratings(once, rules("listener"))[0])
    assert more > 0


def naive_correlations(frame):
    """{listener: Pearson's r with the means of the others' ratings}, where it is defined."""
    correlations = {}
    for who, mine in frame.groupby("listener_id"):
        own, other = [], []
        for row in mine.itertuples():
            same = (frame["wav_file_name"] == row.wav_file_name) & (frame["listener_id"] != who)
            if same.any():
                own.append(row.score)
                other.append(frame["score"][same].mean())
        if len(own) > 1 and np.ptp(own) > 1e-9 and np.ptp(other) > 1e-9:
            correlations[who] = stats.pearsonr(own, other).statistic
    return correlations


def test_correlations_are_those_of_a_plain_loop():
    frame = pd.concat([simulate(pairs=40), ratings(("alone.wav", "lonely", 3))])
    arrays = rating_arrays.rating_arrays(frame)
    raw, shrunken = listener_indicators.listener_correlations(arrays)
    expected = naive_correlations(frame)
    table = dict(zip(arrays.listener_ids, raw, strict=True))
    assert {who for who, r in table.items() if not np.isnan(r)} == set(expected)
    for who, r in expected.items():
        assert table[who] == pytest.approx(r)
    # Shrunken ones lie between the raw ones and the panel's, which the lonely listener gets.
    center = shrunken[list(arrays.listener_ids).index("lonely")]
    defined = ~np.isnan(raw)
    assert (np.abs(shrunken - center)[defined] <= np.abs(raw - center)[defined] + 1e-9).all()
    assert shrunken[defined].std() < raw[defined].std()


def test_the_table_of_listeners_says_who_and_why():
    frame, careless = plant_careless(simulate(careless=0.0), 0.1)
    valid, _ = plant_careless(simulate(seed=5), 0.0)
    both = pd.concat([frame, valid.assign(split="validation")], ignore_index=True)
    table = listener_indicators.listener_indicators(both, rules("listener", splits=("train",)))
    check_table(table, listener_indicators.LISTENERS, "test")
    train = table[table["split"] == "train"]
    assert train["ratings"].sum() == len(frame)
    assert set(train["listener_id"][train["verdict"] == "careless"]) == excluded_listeners(
        frame, rules("listener")
    )
    assert set(table["verdict"][table["split"] == "validation"]) == {"kept"}
    confirmed = pd.Series(is_confirmed(frame, 5)).groupby(frame["listener_id"]).mean()
    isolated = train.set_index("listener_id")["isolated"]
    pd.testing.assert_series_equal(isolated, 1 - confirmed, check_names=False)


@pytest.mark.slow
def test_the_stage_writes_its_tables_and_the_same_bytes_again(in_folder):
    lonely = ratings(("x.wav", "l0001", 0), ("x.wav", "l0002", 10))
    valid = simulate(pairs=60, seed=2).assign(split="validation")
    valid["listener_id"] = "v" + valid["listener_id"]
    valid["wav_file_name"] = "v" + valid["wav_file_name"]
    table = pd.concat([simulate(pairs=100), lonely, valid], ignore_index=True)
    tables.write_table(table, Path("data/prepared/ratings.parquet"), tables.RATINGS)
    write_params(in_folder, screen={"method": "both", "tolerance": 2.0})
    outs = [Path(p) for p in ("data/screened", "plots/screen", "metrics")]
    sums = []
    for _ in range(2):
        run_stage("screen")
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
    numbers = artifacts.read_json(Path("metrics/details/screen.json"))
    assert numbers["note"] == "simulated ratings"
    assert numbers["train"]["ratings_dropped"] == len(dropped)
    for name in ("ratings", "listeners", "agreement"):
        assert Path(f"plots/screen/{name}.png").read_bytes()[:4] == b"\x89PNG"
