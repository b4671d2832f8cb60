import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import reliability, screening_effect
from soundjudge.reporting import metrics


def table(*pairs):
    """Each argument: the ratings of one pair."""
    rows = [(f"{p}.wav", "t", float(s)) for p, scores in enumerate(pairs) for s in scores]
    return pd.DataFrame(rows, columns=["wav_file_name", "text", "score"])


def simulated(pairs, raters, noise, seed=0):
    """True values (P,) of variance 1 and a table of ratings with independent noise."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(size=pairs)
    return truth, table(*(truth[:, None] + noise * rng.normal(size=(pairs, raters))))


def test_icc_of_the_worked_example_of_shrout_and_fleiss():
    # Table 2 of Shrout and Fleiss 1979; their table 4 gives ICC(1,1) = .17 and ICC(1,4) = .44.
    example = table(
        [9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]
    )
    agreement = reliability.agreement(example)
    assert agreement["icc"] == pytest.approx(0.17, abs=0.005)
    assert agreement["icc_mean"] == pytest.approx(0.44, abs=0.005)


def test_icc_of_unequal_counts_by_hand():
    # Means 1 and 4, grand mean 2.8: between = 2*1.8^2 + 3*1.2^2 = 10.8 (1 df);
    # within = 2 + 2 = 4 (3 df); typical count = 5 - 13/5 = 2.4.
    between, within = 10.8, 4 / 3
    expected = (between - within) / (between + 1.4 * within)
    assert reliability.agreement(table([0, 2], [3, 4, 5]))["icc"] == pytest.approx(expected)


def test_alpha_of_krippendorffs_example():
    # Krippendorff 2011, "Computing Krippendorff's alpha-reliability", section C: interval .849.
    nan = None
    observers = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, nan, nan, nan],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, nan, 3],
        [nan, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, nan],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, nan],
    ]
    units = [[s for s in unit if s is not None] for unit in zip(*observers, strict=True)]
    assert reliability.agreement(table(*units))["alpha"] == pytest.approx(0.849, abs=0.0005)


def naive_icc(pairs):
    """ICC(1,1) by loops over pairs of equally many ratings."""
    k, everything = len(pairs[0]), [score for pair in pairs for score in pair]
    grand = sum(everything) / len(everything)
    means = [sum(pair) / k for pair in pairs]
    between = sum(k * (mean - grand) ** 2 for mean in means) / (len(pairs) - 1)
    within = sum((s - m) ** 2 for pair, m in zip(pairs, means, strict=True) for s in pair)
    within /= len(pairs) * (k - 1)
    return (between - within) / (between + (k - 1) * within)


def naive_alpha(pairs):
    """Krippendorff's alpha from all ordered couples of ratings, within pairs and overall."""
    pairs = [pair for pair in pairs if len(pair) > 1]
    pool = [score for pair in pairs for score in pair]
    observed = sum(
        (a - b) ** 2 / (len(pair) - 1) for pair in pairs for a in pair for b in pair
    ) / len(pool)
    expected = sum((a - b) ** 2 for a in pool for b in pool) / (len(pool) * (len(pool) - 1))
    return 1 - observed / expected


RATING = st.integers(0, 10)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(RATING, min_size=3, max_size=3), min_size=2, max_size=6))
def test_icc_is_that_of_loops_over_pairs(pairs):
    assume(len({score for pair in pairs for score in pair}) > 1)
    assert reliability.agreement(table(*pairs))["icc"] == pytest.approx(naive_icc(pairs), abs=1e-12)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(RATING, min_size=1, max_size=4), min_size=2, max_size=6))
def test_alpha_is_that_of_all_couples_of_ratings(pairs):
    assume(len({score for pair in pairs if len(pair) > 1 for score in pair}) > 1)
    assert reliability.agreement(table(*pairs))["alpha"] == pytest.approx(
        naive_alpha(pairs), abs=1e-12
    )


def panel(pairs, raters, careless, seed):
    """Ratings by listeners with bias, scale and noise, in whole points, some at random: (P, k)."""
    rng = np.random.default_rng(seed)
    truth = np.random.default_rng(0).uniform(0, 10, size=pairs)[:, None]
    shape = (pairs, raters)
    felt = 5 + rng.normal(0, 0.9, shape) + np.exp(rng.normal(0, 0.2, shape)) * (truth - 5)
    felt = felt + rng.normal(0, 1.3, shape)
    felt = np.where(rng.random(shape) < careless, rng.uniform(-0.5, 10.5, shape), felt)
    return np.clip(np.rint(felt), 0, 10)


@pytest.mark.parametrize(("raters", "careless"), [(4, 0.0), (4, 0.08), (8, 0.2)])
def test_ceilings_and_floor_are_what_the_expected_rating_itself_reaches(raters, careless):
    truth = panel(2000, 300, careless, seed=1).mean(axis=1)
    scores = panel(2000, raters, careless, seed=2)
    ceiling = reliability.noise_ceiling(table(*scores), seed=0)
    reached = metrics.correlation_metrics(truth, scores.mean(axis=1))
    assert ceiling.srcc == pytest.approx(reached["srcc"], abs=0.02)
    assert ceiling.lcc == pytest.approx(reached["lcc"], abs=0.01)
    assert ceiling.ktau == pytest.approx(reached["ktau"], abs=0.03)
    assert ceiling.mse == pytest.approx(reached["mse"], rel=0.08)


@pytest.mark.parametrize(
    "raters", [2, *(pytest.param(n, marks=pytest.mark.slow) for n in (3, 4, 5)), 8]
)
def test_the_ceiling_is_what_the_truth_itself_reaches(raters):
    truth, ratings = simulated(4000, raters, noise=1.5)
    means = ratings.groupby("wav_file_name", sort=False)["score"].mean()
    ceiling = reliability.noise_ceiling(ratings, seed=0)
    # Theory: reliability of the mean = 1 / (1 + 2.25 / raters).
    assert ceiling.lcc == pytest.approx((1 / (1 + 2.25 / raters)) ** 0.5, abs=0.02)
    assert ceiling.lcc == pytest.approx(metrics.lcc(truth, means), abs=0.02)
    assert ceiling.srcc == pytest.approx(metrics.srcc(truth, means), abs=0.025)
    assert ceiling.ktau == pytest.approx(metrics.ktau(truth, means), abs=0.025)
    assert ceiling.mse == pytest.approx(2.25 / raters, rel=0.05)


def test_the_ceiling_holds_for_unequal_counts_too():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=4000)
    counts = rng.integers(1, 9, size=4000)
    ratings = table(*[t + rng.normal(size=k) for t, k in zip(truth, counts, strict=True)])
    means = ratings.groupby("wav_file_name", sort=False)["score"].mean()
    ceiling = reliability.noise_ceiling(ratings, seed=0)
    assert ceiling.lcc == pytest.approx(metrics.lcc(truth, means), abs=0.02)
    assert ceiling.srcc == pytest.approx(metrics.srcc(truth, means), abs=0.025)
    assert ceiling.ktau == pytest.approx(metrics.ktau(truth, means), abs=0.025)
    assert ceiling.mse == pytest.approx(metrics.mse(truth, means), rel=0.06)


def test_the_floor_of_the_error_by_hand():
    # Within pairs 2 + 2 = 4 on 3 degrees of freedom; means of 2 and of 3: times (1/2 + 1/3) / 2.
    ratings = table([0, 2], [3, 4, 5])
    assert reliability.noise_ceiling(ratings, seed=0).mse == pytest.approx(4 / 3 * 5 / 12)


def test_raters_who_always_agree_leave_no_room():
    ceiling = reliability.noise_ceiling(table([1, 1], [5, 5], [9, 9], [2, 2]), seed=0)
    assert (ceiling.srcc, ceiling.lcc, ceiling.ktau) == pytest.approx((1, 1, 1))
    assert ceiling.mse == 0


def test_split_halves_do_not_depend_on_row_order_more_than_on_the_seed():
    _, ratings = simulated(300, 4, noise=1.0)
    halves = [
        reliability.split_half(frame, reliability.rank, seed=seed)
        for frame, seed in ((ratings, 0), (ratings, 1), (ratings.sample(frac=1, random_state=0), 0))
    ]
    assert halves == pytest.approx([halves[0]] * 3, abs=0.02)
    assert halves[0] == reliability.split_half(ratings, reliability.rank, seed=0)


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([[1, 2]], "two pairs"),
        ([[1], [2], [3]], "two ratings"),
        ([[5, 5], [5, 5]], "equal"),
        ([[1, 9], [9, 1], [1, 9], [9, 1]], "cannot be correlated|no better than by chance"),
        ([[1, 9], [9, 1], [2, 8], [3, 8]], "no better than by chance"),
    ],
)
def test_ratings_without_measurable_agreement_are_refused(pairs, message):
    with pytest.raises(ReliabilityError, match=message):
        reliability.agreement(table(*pairs))
        reliability.noise_ceiling(table(*pairs), seed=0)


def test_screening_raises_agreement_and_the_numbers_say_by_how_much():
    listeners = ["l1", "l2", "l3"] * 3
    before = table([5, 5, 0], [9, 8, 1], [2, 2, 3]).assign(split="train", listener_id=listeners)
    dropped = before.iloc[[2, 5]].assign(pair_lost=False, reason=["isolated", "careless"])
    kept = before.drop(index=[2, 5])
    numbers = screening_effect.compare_screening(before, kept, dropped)["train"]
    assert numbers["share_dropped"] == pytest.approx(2 / 9)
    assert (numbers["pairs"], numbers["pairs_lost"]) == (3, 0)
    assert (numbers["listeners"], numbers["listeners_dropped"]) == (3, 1)
    assert (numbers["ratings_isolated"], numbers["ratings_careless"]) == (1, 1)
    assert numbers["ratings_straightlining"] == 0
    assert numbers["icc_before"] == pytest.approx(naive_icc([[5, 5, 0], [9, 8, 1], [2, 2, 3]]))
    assert numbers["icc_after"] > numbers["icc_before"]
    assert all(isinstance(value, int | float) for value in numbers.values())


def test_a_split_that_is_not_screened_keeps_its_figures():
    _, before = simulated(50, 4, noise=0.5)
    before = before.assign(split="validation", listener_id="l")
    none = before.iloc[:0].assign(pair_lost=True, reason="isolated")
    numbers = screening_effect.compare_screening(before, before, none)["validation"]
    figures = ("icc", "icc_mean", "alpha", "split_half")
    figures += ("ceiling_srcc", "ceiling_lcc", "ceiling_ktau", "floor_mse")
    assert {name for name in numbers if name.endswith("_after")} == {f"{n}_after" for n in figures}
    for name in figures:
        assert numbers[f"{name}_after"] == numbers[f"{name}_before"]
    assert numbers["split_half_before"] == pytest.approx(numbers["icc_mean_before"], abs=0.03)


def test_with_one_rating_a_pair_only_counts_are_reported():
    before = table([5], [9]).assign(split="train", listener_id="l")
    none = before.iloc[:0].assign(pair_lost=True, reason="isolated")
    numbers = screening_effect.compare_screening(before, before, none)["train"]
    assert numbers["ratings"] == 2
    assert not [name for name in numbers if name.endswith(("_before", "_after"))]


def test_raters_who_agree_by_chance_have_figures_and_no_ceiling():
    before = table([1, 9], [9, 1], [2, 8], [3, 8]).assign(split="train", listener_id="l")
    numbers = screening_effect.rater_agreement(before)
    assert numbers["icc"] < 0
    assert "ceiling_srcc" not in numbers
