import numpy as np
import pandas as pd
import pytest

from soundjudge import correlations
from soundjudge.labels import reliability
from soundjudge.labels.reliability import ReliabilityError


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
    found = reliability.agreement(example)
    assert found.icc == pytest.approx(0.17, abs=0.005)
    assert found.icc_mean == pytest.approx(0.44, abs=0.005)


def test_icc_of_unequal_counts_by_hand():
    # Means 1 and 4, grand mean 2.8: between = 2*1.8^2 + 3*1.2^2 = 10.8 (1 df);
    # within = 2 + 2 = 4 (3 df); typical count = 5 - 13/5 = 2.4.
    between, within = 10.8, 4 / 3
    expected = (between - within) / (between + 1.4 * within)
    assert reliability.icc(table([0, 2], [3, 4, 5])) == pytest.approx(expected)


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
    assert reliability.alpha(table(*units)) == pytest.approx(0.849, abs=0.0005)


@pytest.mark.parametrize("raters", [2, 3, 4, 5, 8])
def test_the_ceiling_is_what_the_truth_itself_reaches(raters):
    truth, ratings = simulated(4000, raters, noise=1.5)
    means = ratings.groupby("wav_file_name", sort=False)["score"].mean()
    ceiling = reliability.noise_ceiling(ratings, seed=0)
    # Theory: reliability of the mean = 1 / (1 + 2.25 / raters).
    assert ceiling.lcc == pytest.approx((1 / (1 + 2.25 / raters)) ** 0.5, abs=0.02)
    assert ceiling.lcc == pytest.approx(correlations.lcc(truth, means), abs=0.02)
    assert ceiling.srcc == pytest.approx(correlations.srcc(truth, means), abs=0.025)


def test_the_ceiling_holds_for_unequal_counts_too():
    rng = np.random.default_rng(1)
    truth = rng.normal(size=4000)
    counts = rng.integers(1, 9, size=4000)
    ratings = table(*[t + rng.normal(size=k) for t, k in zip(truth, counts, strict=True)])
    means = ratings.groupby("wav_file_name", sort=False)["score"].mean()
    ceiling = reliability.noise_ceiling(ratings, seed=0)
    assert ceiling.lcc == pytest.approx(correlations.lcc(truth, means), abs=0.02)
    assert ceiling.srcc == pytest.approx(correlations.srcc(truth, means), abs=0.025)


def test_raters_who_always_agree_leave_no_room():
    ceiling = reliability.noise_ceiling(table([1, 1], [5, 5], [9, 9], [2, 2]), seed=0)
    assert (ceiling.srcc, ceiling.lcc) == pytest.approx((1, 1))


def test_split_halves_do_not_depend_on_row_order_more_than_on_the_seed():
    _, ratings = simulated(300, 4, noise=1.0)
    found = [
        reliability.split_half(frame, correlations.srcc, seed=seed)
        for frame, seed in ((ratings, 0), (ratings, 1), (ratings.sample(frac=1, random_state=0), 0))
    ]
    assert found == pytest.approx([found[0]] * 3, abs=0.02)
    assert found[0] == reliability.split_half(ratings, correlations.srcc, seed=0)


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
        reliability.icc(table(*pairs))
        reliability.noise_ceiling(table(*pairs), seed=0)


def test_screening_raises_agreement_and_the_numbers_say_by_how_much():
    before = table([5, 5, 0], [9, 8, 1], [2, 2, 3]).assign(split="train", listener_id="l")
    dropped = before.iloc[[2, 5]].assign(pair_lost=False)
    kept = before.drop(index=[2, 5])
    numbers = reliability.before_and_after(before, kept, dropped)["train"]
    assert numbers["share_dropped"] == pytest.approx(2 / 9)
    assert (numbers["pairs"], numbers["pairs_lost"]) == (3, 0)
    assert numbers["icc_after"] > numbers["icc_before"]


def test_with_one_rating_a_pair_only_counts_are_reported():
    before = table([5], [9]).assign(split="train", listener_id="l", pair_lost=False)
    numbers = reliability.before_and_after(before, before, before.iloc[:0])["train"]
    assert numbers["ratings"] == 2
    assert "icc_before" not in numbers
