import dataclasses
import doctest
import logging
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from repository import STAGES
from scipy import stats
from tiny_evaluation import FIT

from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.blocks import block_table
from soundjudge.scoring.ensemble import ensemble
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.ensemble.intervals import Intervals
from soundjudge.scoring.evaluation import evaluation, figures, groups, report, systems
from soundjudge.scoring.evaluation.systems import EvaluationConfig

PAIR = ["wav_file_name", "text"]
BOOTSTRAP = {"resamples": 20, "seed": 0}
FEW = EvaluationConfig(**BOOTSTRAP)
MANY = {"resamples": 300, "seed": 0}  # enough for a p below .01


def rated(split, pairs=60, raters=4, generators=4, seed=0):
    """True values (P,) and a RATINGS table of one split."""
    rng = np.random.default_rng(seed)
    truth = rng.uniform(1, 9, size=pairs)
    rows = [
        (f"{split}{p}.wav", f"text {p}", f"{split}{k}", np.clip(t + rng.normal(), 0, 10), split)
        for p, t in enumerate(truth)
        for k in range(raters)
    ]
    columns = ["wav_file_name", "text", "listener_id", "score", "split"]
    frame = pd.DataFrame(rows, columns=columns)
    number = np.repeat(np.arange(pairs), raters) % max(generators, 1)
    names = [f"g{n}" if generators else None for n in number]
    return truth, frame.assign(model_id=pd.Series(names, dtype="object"))


def averages(ratings):
    means = ratings.groupby(PAIR, sort=False)["score"].mean().reset_index()
    return means.rename(columns={"score": "average_score"})


def predicted(ratings, truth, noise, seed=1):
    rng = np.random.default_rng(seed)
    pairs = ratings[PAIR].drop_duplicates().reset_index(drop=True)
    return pairs.assign(pred_score=truth + noise * rng.normal(size=len(pairs)))


TRUTH, RATINGS = rated("test")
REFERENCE = averages(RATINGS)


@pytest.fixture(autouse=True)
def few_resamples_of_ceilings(monkeypatch):
    monkeypatch.setattr(systems, "CEILING_RESAMPLES", 5)  # each fits two ceilings


def test_a_prediction_table_is_measured_by_pair_whatever_its_order():
    table = predicted(RATINGS, TRUTH, noise=1.0)
    shuffled = table.sample(frac=1, random_state=0)
    numbers = report.evaluate(shuffled, REFERENCE, ratings=RATINGS, **BOOTSTRAP)
    x, y = table["pred_score"], REFERENCE["average_score"]
    assert numbers["srcc"] == pytest.approx(stats.spearmanr(x, y).statistic)
    assert numbers["lcc"] == pytest.approx(stats.pearsonr(x, y).statistic)
    assert numbers["ktau"] == pytest.approx(stats.kendalltau(x, y).statistic)
    assert numbers["mse"] == pytest.approx(np.mean((x - y) ** 2))
    assert numbers["pairs"] == 60
    assert numbers["srcc_lo"] < numbers["srcc"] < numbers["srcc_hi"]
    assert numbers["ceiling_share_srcc"] == pytest.approx(numbers["srcc"] / numbers["ceiling_srcc"])
    assert numbers["srcc"] < numbers["ceiling_srcc"] < 1
    assert numbers["ktau"] < numbers["ceiling_ktau"] < numbers["ceiling_srcc"]
    assert 0 < numbers["floor_mse"] < numbers["mse"]
    assert report.evaluate(table, REFERENCE, ratings=RATINGS, **BOOTSTRAP) == numbers


def test_without_ratings_no_ceiling_is_claimed():
    numbers = report.evaluate(predicted(RATINGS, TRUTH, 1.0), REFERENCE, **BOOTSTRAP)
    assert not [name for name in numbers if "ceiling" in name or "floor" in name]


@pytest.mark.slow
def test_ratings_without_texts_have_the_same_ceiling():
    table = predicted(RATINGS, TRUTH, noise=1.0)
    with_texts = report.evaluate(table, REFERENCE, ratings=RATINGS, **BOOTSTRAP)
    bare = RATINGS.drop(columns="text").sample(frac=1, random_state=0)
    for reference in (REFERENCE, REFERENCE.drop(columns="text")):
        scores = table[[*reference.columns[:-1], "pred_score"]]
        numbers = report.evaluate(scores, reference, ratings=bare, **BOOTSTRAP)
        assert numbers["srcc"] == with_texts["srcc"]
        assert numbers["ceiling_lcc"] == pytest.approx(with_texts["ceiling_lcc"], abs=0.01)
    double = REFERENCE.assign(wav_file_name="one.wav")
    scores = table.assign(wav_file_name="one.wav")
    with pytest.raises(SoundjudgeError, match="one.wav"):
        report.evaluate(scores, double, ratings=bare.assign(wav_file_name="one.wav"), **BOOTSTRAP)


def test_targets_of_the_pipeline_are_a_reference_too():
    table, targets = (
        predicted(RATINGS, TRUTH, 1.0),
        REFERENCE.rename(columns={"average_score": "mean_score"}),
    )
    assert report.evaluate(table, targets, **BOOTSTRAP) == report.evaluate(
        table, REFERENCE, **BOOTSTRAP
    )


def test_what_a_table_lacks_is_named():
    table = predicted(RATINGS, TRUTH, noise=1.0)
    holes = table.assign(pred_score=table["pred_score"].where(table.index != 2))
    for arguments, message in (
        ((table[PAIR], REFERENCE), "the predictions: the column 'pred_score' is missing"),
        ((table, REFERENCE[PAIR]), "the reference has no column average_score"),
        (
            (table, REFERENCE.assign(mean_score=1.0)),
            "the reference: the mean ratings may be in average_score or mean_score: rename or rem",
        ),
        ((holes, REFERENCE), "the predictions, row 3: pred_score nan is not a finite number"),
    ):
        with pytest.raises(SoundjudgeError, match=message):
            report.evaluate(*arguments, **BOOTSTRAP)
    with pytest.raises(SoundjudgeError, match="the ratings: the column 'score' is missing"):
        report.evaluate(table, REFERENCE, ratings=RATINGS.drop(columns="score"), **BOOTSTRAP)
    with pytest.raises(SoundjudgeError, match="the system b: the column 'pred_score'"):
        report.compare({"a": table, "b": table[PAIR]}, REFERENCE, **BOOTSTRAP)


def test_the_examples_of_the_library_run():
    results = doctest.testmod(report)
    assert results.attempted > 0
    assert results.failed == 0


def test_missing_extra_and_double_rows_are_errors():
    table = predicted(RATINGS, TRUTH, noise=1.0)
    for wrong, message in (
        (table.iloc[1:], "lacks 1 pairs of the reference, the first is 'test0.wav'"),
        (pd.concat([table, table.iloc[:1].assign(text="other")]), "that the reference lacks"),
        (pd.concat([table, table.iloc[:1]]), "row 61: .*'test0.wav'.* a second time"),
    ):
        with pytest.raises(SoundjudgeError, match=message):
            report.evaluate(wrong, REFERENCE, **BOOTSTRAP)
        with pytest.raises(SoundjudgeError, match="the system b"):
            report.compare({"a": table, "b": wrong}, REFERENCE, **BOOTSTRAP)
    with pytest.raises(SoundjudgeError, match="the ratings lacks 1 pairs"):
        report.evaluate(table, REFERENCE, ratings=RATINGS.iloc[4:], **BOOTSTRAP)


def test_a_better_system_is_told_from_a_worse_and_equals_are_not():
    good, bad = (predicted(RATINGS, TRUTH, noise, seed=2) for noise in (0.5, 6.0))
    systems = {"good": good, "bad": bad, "same": good}
    table = report.compare(systems, REFERENCE, **MANY).set_index(["metric", "first", "second"])
    assert len(table) == 4 * 3
    for metric, sign in (("srcc", 1), ("lcc", 1), ("ktau", 1), ("mse", -1)):
        row = table.loc[metric, "good", "bad"]
        assert row["difference"] == pytest.approx(row["value_first"] - row["value_second"])
        assert sign * row["difference_lo"] > 0
        assert row["difference_lo"] < row["difference"] < row["difference_hi"]
        assert row["p_bootstrap"] <= row["p_bootstrap_holm"] < 0.03
        same = table.loc[metric, "good", "same"]
        assert (same["difference"], same["p_bootstrap"]) == (0, 1)
        assert table.loc[metric, "bad", "same"]["difference_hi"] == pytest.approx(
            -row["difference_lo"]
        )


def test_a_p_value_stands_beside_the_difference_that_it_tests():
    good, bad = (predicted(RATINGS, TRUTH, noise, seed=2) for noise in (0.5, 6.0))
    table = report.compare({"a": good, "b": bad}, REFERENCE, **MANY).set_index("metric")
    assert table["p_williams"].notna().tolist() == [False, True, False, False]


def test_p_values_of_a_metric_are_corrected_for_the_pairs_of_systems():
    noises = {"a": 1.0, "b": 1.5, "c": 2.0}
    systems = {name: predicted(RATINGS, TRUTH, noise, 2) for name, noise in noises.items()}
    table = report.compare(systems, REFERENCE, **MANY)
    for _, part in table.groupby("metric"):
        for name in ("p_bootstrap", "p_williams"):
            # Step down: the smallest of three p times 3, the next times 2; never falling.
            first, second, third = (float(p) for p in sorted(part[name]))
            steps = np.maximum.accumulate([3 * first, 2 * second, third]).clip(max=1)
            assert sorted(part[f"{name}_holm"]) == pytest.approx(list(steps), nan_ok=True)
    assert (table["p_bootstrap_holm"] > table["p_bootstrap"]).any()


def test_one_system_is_no_comparison():
    with pytest.raises(SoundjudgeError, match="two or more"):
        report.compare({"a": predicted(RATINGS, TRUTH, 1.0)}, REFERENCE, **BOOTSTRAP)


def test_a_reference_off_the_scale_is_refused_by_every_command():
    """Its MSE and its bands of ratings would mean nothing."""
    table = predicted(RATINGS, TRUTH, 1.0)
    larger = REFERENCE.assign(average_score=10 * REFERENCE["average_score"])
    for command in (
        lambda: report.evaluate(table, larger, **BOOTSTRAP),
        lambda: report.compare({"a": table, "b": table}, larger, **BOOTSTRAP),
    ):
        with pytest.raises(SoundjudgeError, match="average_score .* lies outside 0 to 10"):
            command()


def test_a_constant_is_refused_by_the_name_of_its_table():
    table, flat = predicted(RATINGS, TRUTH, 1.0), REFERENCE.assign(average_score=7.0)
    with pytest.raises(SoundjudgeError, match="the reference: every average_score is 7, and"):
        report.evaluate(table, flat, **BOOTSTRAP)
    both = {"good": table, "flat": table.assign(pred_score=5.5)}
    with pytest.raises(SoundjudgeError, match="the system flat: every pred_score is 5.5, and"):
        report.compare(both, REFERENCE, **BOOTSTRAP)


@pytest.mark.parametrize("change", ["shuffled", "a tenth", "one pair"])
def test_ratings_that_are_not_those_of_the_reference_are_refused(change):
    table, reference = predicted(RATINGS, TRUTH, 1.0), REFERENCE.copy()
    if change == "shuffled":
        reference["average_score"] = np.roll(reference["average_score"], 1)
    elif change == "one pair":
        reference.loc[3, "average_score"] += 0.2
    else:
        reference["average_score"] /= 10
    with pytest.raises(SoundjudgeError, match="the mean of the ratings is not the reference"):
        report.evaluate(table, reference, ratings=RATINGS, **BOOTSTRAP)
    rounded = REFERENCE.round({"average_score": 1})
    report.evaluate(table, rounded, ratings=RATINGS, **BOOTSTRAP)


def test_every_number_has_an_interval_around_it(monkeypatch):
    reference = REFERENCE.assign(
        model_id=[f"g{p % 4}" for p in range(60)], text=[f"text {p // 5}" for p in range(60)]
    )
    table = predicted(RATINGS, TRUTH, noise=2.0).drop(columns="text")
    ratings = RATINGS.assign(text=[f"text {p // 5}" for p in range(60) for _ in range(4)])
    table["pred_score"] = 1.5 * table["pred_score"] + 1  # so that no part of the error is near 0
    monkeypatch.setattr(systems, "CEILING_RESAMPLES", 20)
    numbers = report.evaluate(table, reference, ratings=ratings, **BOOTSTRAP)
    assert "--cluster text" in numbers.pop("intervals_over_pairs")
    names = [name for name in numbers if not name.endswith(("_lo", "_hi")) and name != "pairs"]
    for name in names:
        assert numbers[f"{name}_lo"] <= numbers[name] <= numbers[f"{name}_hi"], name
    assert {
        "srcc", "lcc", "ktau", "mse", "mse_bias", "mse_slope", "mse_rest", "ceiling_srcc",
        "ceiling_lcc", "ceiling_ktau", "floor_mse", "ceiling_srcc_deconvolved",
        "ceiling_share_srcc", "ceiling_share_lcc", "ceiling_share_srcc_deconvolved",
        "generator_srcc", "within_generator_srcc", "within_text_srcc",
    } <= set(names)  # fmt: skip
    parts = sum(numbers[f"mse_{part}"] for part in ("bias", "slope", "rest"))
    assert parts == pytest.approx(numbers["mse"])
    frame = reference.assign(pred_score=table["pred_score"])
    for name, key in (("model_id", "within_generator_srcc"), ("text", "within_text_srcc")):
        each = [
            stats.spearmanr(part["pred_score"], part["average_score"]).statistic
            for _, part in frame.groupby(name)
        ]
        assert numbers[key] == pytest.approx(np.mean(each))


def test_generators_are_resampled_independently_so_that_their_mean_is_steadier_than_one():
    """Two generators with the same numbers: var((a + b) / 2) = var(a) / 2 for independent draws."""
    rng = np.random.default_rng(0)
    score = rng.normal(5, 1, 80)
    rating = score + rng.normal(0, 1, 80)
    frame = pd.DataFrame(
        {
            "average_score": np.tile(rating, 2),
            "pred_score": np.tile(score, 2),
            "model_id": ["a"] * 80 + ["b"] * 80,
        }
    )
    both, one = (
        systems.compare_systems(part, ["pred_score"], EvaluationConfig(resamples=2000, seed=0))
        for part in (frame, frame[:80])
    )
    of_mean = groups.group_metrics(both, "pred_score")
    low, high = (of_mean[f"within_generator_srcc_{end}"] for end in ("lo", "hi"))
    alone = np.ptp(np.quantile(one.draws.srcc[:, 0], [0.025, 0.975]))
    assert (high - low) / alone == pytest.approx(0.5**0.5, abs=0.05)


def test_slices_are_those_of_the_frame():
    reference = REFERENCE.assign(model_id=["g0", "g1"] * 30)
    table = predicted(RATINGS, TRUTH, noise=1.0)
    slices = report.evaluate_system(table, reference, FEW).slices.set_index(["slice", "value"])
    half = table[::2]["pred_score"], reference[::2]["average_score"]
    row = slices.loc["generator", "g0"]
    assert row["srcc"] == pytest.approx(stats.spearmanr(*half).statistic)
    assert row["bias"] == pytest.approx((half[0] - half[1]).mean())
    assert row["srcc_lo"] < row["srcc"] < row["srcc_hi"]
    assert slices.loc["caption length", "1 to 5 words"]["pairs"] == 60
    bands = slices.loc["mean rating"]
    assert bands["pairs"].sum() == 60
    assert bands["srcc"].notna().tolist() == (bands["pairs"] >= 10).tolist()


def test_every_number_of_a_slice_has_an_interval_around_it_where_pairs_are_enough():
    reference = REFERENCE.assign(model_id=["g0", "g1"] * 30)
    table = predicted(RATINGS, TRUTH, noise=1.0)
    config = EvaluationConfig(resamples=400, seed=0)
    slices = report.evaluate_system(table, reference, config).slices
    many = slices[slices["pairs"] >= 10]
    few = slices[slices["pairs"] < 10]
    assert len(many) > 4
    assert len(few) > 0
    for name in (*systems.METRICS, "bias"):
        assert (many[f"{name}_lo"] < many[name]).all(), name
        assert (many[name] < many[f"{name}_hi"]).all(), name
        assert few[f"{name}_lo"].isna().all()
    half = (table["pred_score"] - reference["average_score"])[::2]
    row = slices.set_index(["slice", "value"]).loc["generator", "g0"]
    normal = 1.96 * half.std(ddof=0) / len(half) ** 0.5
    assert (row["bias_hi"] - row["bias_lo"]) / 2 == pytest.approx(normal, rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("with_text", [True, False])
def test_generators_that_the_ratings_name_are_those_of_a_reference_without(with_text):
    table = predicted(RATINGS, TRUTH, noise=1.0)
    ratings = RATINGS[::-1] if with_text else RATINGS[::-1].drop(columns="text")
    named = REFERENCE.merge(RATINGS[["wav_file_name", "model_id"]].drop_duplicates())
    numbers, expected = (
        report.evaluate(table, reference, ratings=ratings, **BOOTSTRAP)
        for reference in (REFERENCE, named)
    )
    assert numbers["within_generator_srcc"] == expected["within_generator_srcc"]
    assert numbers == expected
    assert "within_generator_srcc" not in report.evaluate(table, REFERENCE, **BOOTSTRAP)
    other = named.assign(model_id=["h0", "h1", "h2"] * 20)  # a reference's own names stay
    slices = report.evaluate_system(table, other, FEW, ratings=ratings).slices
    assert slices[slices["slice"] == "generator"]["value"].tolist() == ["h0", "h1", "h2"]


def test_a_sound_of_two_generators_is_refused():
    twice = RATINGS.assign(model_id=["g0", *RATINGS["model_id"][1:-1], "g9"])
    with pytest.raises(SoundjudgeError, match="model_id"):
        report.evaluate(predicted(RATINGS, TRUTH, 1.0), REFERENCE, ratings=twice, **BOOTSTRAP)


@pytest.mark.parametrize("cluster", ["text", "model_id", "both"])
def test_clusters_widen_the_interval_where_pairs_share_them(cluster):
    group = np.arange(60) // 10
    reference = REFERENCE.assign(model_id=[f"g{g}" for g in group], text=[f"t{g}" for g in group])
    offset = np.random.default_rng(0).normal(0, 3, 6)[group]
    table = predicted(RATINGS, TRUTH, 1.0).drop(columns="text")
    table["pred_score"] += offset
    width = {}
    for name in ("none", cluster):
        numbers = report.evaluate(table, reference, cluster=name, **MANY)
        width[name] = numbers["lcc_hi"] - numbers["lcc_lo"]
    assert width[cluster] > 1.1 * width["none"]


def test_a_share_is_the_number_over_the_ceiling_of_its_name():
    numbers = report.evaluate(
        predicted(RATINGS, TRUTH, 2.0), REFERENCE, ratings=RATINGS, **BOOTSTRAP
    )
    for share, own, ceiling in (
        ("ceiling_share_srcc", "srcc", "ceiling_srcc"),
        ("ceiling_share_lcc", "lcc", "ceiling_lcc"),
        ("ceiling_share_srcc_deconvolved", "srcc", "ceiling_srcc_deconvolved"),
    ):
        assert numbers[share] == pytest.approx(numbers[own] / numbers[ceiling])
        assert numbers[f"{share}_lo"] < numbers[share] < numbers[f"{share}_hi"]
    assert numbers["ceiling_srcc"] != numbers["ceiling_srcc_deconvolved"]


def test_both_clusters_are_texts_and_generators():
    frame = pd.DataFrame({"text": [*"abcdef"] * 2, "model_id": [*"uvwxyz", *"zyxwvu"]})
    texts, generators = [*range(6)] * 2, [*range(6), *range(5, -1, -1)]
    for name, codes in (
        ("none", []),
        ("text", [texts]),
        ("model_id", [generators]),
        ("both", [texts, generators]),
    ):
        assert [list(column) for column in systems.cluster_codes(frame, name)] == codes


def test_clusters_need_their_column():
    table, bare = predicted(RATINGS, TRUTH, 1.0), REFERENCE
    for cluster, reference, message in (
        ("model_id", bare, "give every row of the reference its model_id"),
        ("model_id", bare.assign(model_id="g"), "the pairs have 1 different model_id, and"),
        ("model_id", bare.assign(model_id=[*"gh"] * 30), "have 2 different model_id, and an"),
        ("listener", bare, "choose none, text, model_id, both"),
    ):
        with pytest.raises(SoundjudgeError, match=message):
            report.evaluate(table, reference, cluster=cluster, **BOOTSTRAP)


def test_where_raters_allow_no_ceiling_the_rest_stands():
    one = RATINGS.drop_duplicates(PAIR)
    numbers = report.evaluate(
        predicted(RATINGS, TRUTH, 1.0), averages(one), ratings=one, **BOOTSTRAP
    )
    assert "srcc" in numbers
    assert [name for name in numbers if "ceiling" in name] == ["no_ceiling"]


def evaluated(ratings, *systems, truth=TRUTH):
    scores = ratings[PAIR].drop_duplicates().reset_index(drop=True)
    for k, name in enumerate(systems):
        scores[name] = predicted(ratings, truth, noise=1.0 + k, seed=k)["pred_score"]
    return evaluation.evaluate_split(scores, ratings, EvaluationConfig(resamples=20, seed=0))


def test_the_ensemble_is_compared_with_every_member_without_a_p_of_one_training():
    split = evaluated(RATINGS, "ensemble", "a", "b")
    differences = split.differences
    assert list(differences) == ["a", "b"]
    for row in differences.values():
        assert row["srcc_difference_lo"] <= row["srcc_difference"] <= row["srcc_difference_hi"]
        assert row["lcc_difference_lo"] <= row["lcc_difference"] <= row["lcc_difference_hi"]
        assert not [name for name in row if name.startswith("p_")]


def test_where_weights_were_fitted_the_cross_fitted_row_speaks():
    split = evaluated(RATINGS, "ensemble", "ensemble_crossfitted", "a")
    assert split.headline == "ensemble_crossfitted"
    numbers = split.metrics
    difference = split.differences["a"]["srcc_difference"]
    expected = numbers["ensemble_crossfitted"]["srcc"] - numbers["a"]["srcc"]
    assert difference == pytest.approx(expected)


def test_generators_are_averaged_and_correlated_where_there_are_enough():
    split = evaluated(RATINGS, "ensemble", "a")
    table = evaluation.generator_means(split)
    assert table["model_id"].tolist() == ["g0", "g1", "g2", "g3"]
    assert table["pairs"].tolist() == [15] * 4
    first = RATINGS[RATINGS["model_id"] == "g0"]["score"].mean()
    assert table["average_score"].iloc[0] == pytest.approx(first)
    expected = stats.spearmanr(table["ensemble"], table["average_score"]).statistic
    assert split.metrics["ensemble"]["generator_srcc"] == pytest.approx(expected)
    none = evaluated(rated("test", generators=0)[1], "ensemble")
    assert evaluation.generator_means(none).empty
    assert "generator_srcc" not in none.metrics["ensemble"]


def test_with_one_rating_a_pair_there_is_no_ceiling_and_the_rest_stands(tmp_path):
    truth, ratings = rated("test", raters=1)
    split = evaluated(ratings, "ensemble", "a", truth=truth)
    results = evaluation.evaluation_results([split], "")
    assert set(results["test"]) == {"ensemble", "a", "difference", "slices"}
    assert "ceiling_share_srcc" not in results["test"]["ensemble"]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("A dog barks", 1),
        ("Rain", 1),
        ("A dog barks and a cat meows.", 2),
        ("A dog barks, and then a cat meows", 2),
        ("A bell rings followed by a boing", 2),
        ("Wind blows while a door creaks, then a man speaks", 3),
        ("A sandy road, as a horse passes", 2),  # "and" inside a word joins nothing
        ("An old-fashioned clock's tick", 1),
    ],
)
def test_events_are_counted_by_the_words_that_join_them(text, count):
    assert groups.count_events(text) == count


@pytest.mark.slow
def test_slices_by_events_hold_every_pair_once():
    truth, ratings = rated("test")
    texts = {f"text {p}": " and ".join(["a dog barks"] * (1 + p % 5)) for p in range(60)}
    split = evaluated(ratings.assign(text=ratings["text"].map(texts)), "ensemble", "a", truth=truth)
    rows = [row for row in split.slices["ensemble"] if row["slice"] == "events named"]
    assert [(row["value"], row["pairs"]) for row in rows] == [
        ("1", 12),
        ("2", 12),
        ("3 or more", 36),
    ]
    assert split.best_member == "a"
    assert set(split.slices) == {"ensemble", "a"}


@pytest.mark.parametrize(
    "name",
    ["natural", "Real", "ground_truth", "ground truth", "GT", "recordings", "reference-audio",
     "natural sounds", "original", "real_01"],
)  # fmt: skip
def test_generators_of_these_names_are_natural_recordings(name):
    assert groups.is_natural(name)


@pytest.mark.parametrize(
    "name",
    ["sim-a", "tango-2", "AudioLDM2-original", "realistic", "unreal", "gt-tts", "naturalvoice", ""],
)
def test_generators_of_other_names_are_synthetic(name):
    assert not groups.is_natural(name)


def test_natural_recordings_are_a_slice_where_the_generators_tell():
    reference = REFERENCE.assign(model_id=["natural", "g1", "g2"] * 20)
    reference.loc[59, "model_id"] = None
    table = predicted(RATINGS, TRUTH, noise=1.0)
    slices = report.evaluate_system(table, reference, FEW).slices.set_index(["slice", "value"])
    rows = slices.loc["source"]
    assert rows["pairs"].to_dict() == {"natural": 20, "synthetic": 39}
    half = table[::3]["pred_score"], reference[::3]["average_score"]
    natural = rows.loc["natural"]
    assert natural["srcc"] == pytest.approx(stats.spearmanr(*half).statistic)
    assert natural["srcc_lo"] < natural["srcc"] < natural["srcc_hi"]
    for names in (["g0", "g1"], ["real", "natural"]):  # one kind alone is no slice
        alone = report.evaluate_system(table, REFERENCE.assign(model_id=names * 30), FEW).slices
        assert "source" not in set(alone["slice"])


def test_the_scatter_holds_every_pair_and_the_calibration_line():
    truth, ratings = rated("test")
    split = evaluated(ratings, "ensemble", "a", truth=truth)
    figure = figures.plot_scatter(split, "ensemble", "")
    axes = figure.axes[0]
    assert axes.collections[0].get_array().sum() == 60
    frame = split.comparison.frame
    line = next(each for each in axes.lines if each.get_label() == "calibration line")
    expected = stats.linregress(frame["ensemble"], frame["average_score"])
    slope = np.diff(line.get_ydata()) / np.diff(line.get_xdata())
    assert slope == pytest.approx(expected.slope)


def test_ratings_without_generators_have_no_figure_of_them():
    truth, ratings = rated("test", generators=0)
    split = evaluated(ratings, "ensemble", "a", truth=truth)
    assert figures.plot_generators([split], "") is None


@pytest.mark.parametrize("weights", [{"a": 0.7, "b": 0.3}, {"a": 0.05, "b": 0.02}])
def test_weights_of_two_runs_have_one_axis(weights):
    fit = dataclasses.replace(FIT, weights=weights, weight_intervals={"a": (0.0, 0.9)})
    (axes,) = figures.plot_weights(fit, "").axes
    assert axes.get_xlim() == (0, 1.02)
    assert [bar.get_width() for bar in axes.patches] == [weights["b"], weights["a"]]


def test_correlations_of_members_are_those_of_their_ranks():
    truth, ratings = rated("test")
    split = evaluated(ratings, "ensemble", "a", "b", truth=truth)
    image = figures.plot_correlations(split, "").axes[0].images[0].get_array()
    frame = split.comparison.frame
    assert image[0, 1] == pytest.approx(stats.spearmanr(frame["a"], frame["b"]).statistic)
    assert image.shape == (2, 2)


@pytest.mark.parametrize("change", [{"resamples": 0}, {"confidence": 1.0}, {"confidence": 0.0}])
def test_wrong_settings_are_refused(change):
    with pytest.raises(SoundjudgeError, match=next(iter(change))):
        EvaluationConfig(**{"resamples": 10, "seed": 0} | change)


def write_inputs(with_test):
    """What earlier stages write: two members, their ensemble, ratings."""
    splits = {"validation": rated("validation", seed=3), "test": (TRUTH, RATINGS)}
    config = EnsembleConfig(
        members={"a": "x", "b": "y"}, method="nnls", calibration="linear", folds=5, seed=0
    )
    fitted = None
    for split, (truth, ratings) in splits.items():
        predictions = {
            name: predicted(ratings, truth, noise, seed=k)
            for k, (name, noise) in enumerate([("a", 1.0), ("b", 2.0)])
        }
        scores = np.stack([t["pred_score"] for t in predictions.values()], axis=1)
        fitted = fitted or ensemble.fit_ensemble(
            scores, averages(ratings)["average_score"].array, config
        )
        blended = predictions["a"].assign(pred_score=ensemble.apply_ensemble(fitted, scores))
        written = {f"members/{n}/{split}": t for n, t in predictions.items()}
        written[f"ensemble/{split}"] = blended
        if split == "validation":
            written["ensemble/validation_crossfitted"] = blended
        for name, table in written.items():
            tables.write_table(table, Path(f"data/predictions/{name}.csv"), tables.PREDICTIONS)
    Path("data/predictions/members/old").mkdir()
    pairs = tables.read_table(
        Path("data/predictions/members/b/validation.csv"), tables.PREDICTIONS
    ).iloc[::-1]
    score = pairs["pred_score"].to_numpy()
    blocks = {"score": score, "0 clap@1#0": score, "1 ears@1#0": -score}
    block_table.write_block_table(Path("data/predictions/members/b"), pairs, blocks)
    artifacts.write_json(Path("checkpoints/ensemble.json"), dataclasses.asdict(fitted), digits=None)
    learned = Intervals(coverage=0.9, floor=1.0, slope=0.5, quantile=2.0, difference=3.0)
    path = Path("data/predictions/ensemble/intervals.json")
    artifacts.write_json(path, dataclasses.asdict(learned), digits=None)
    fit = {
        "note": "simulated ratings", "method": "nnls", "calibration": "linear",
        "folds_by": "generator", "crossfitted": {"srcc": 0.5, "mse": 3.0}, "methods": {},
        "members": ["b", "a"],
        "weights": {"a": 0.75, "b": 0.25}, "weight_intervals": {"a": [0.5, 1.0], "b": [0.0, 0.5]},
        "resamples_without_weights": 0, "weak_folds": {"without g1": "why"}, "refitted": ["b"],
    }  # fmt: skip
    artifacts.write_json(Path("metrics/details/ensemble.json"), fit)
    train = rated("train", seed=4)[1]
    both = pd.concat([train, splits["validation"][1]], ignore_index=True)
    tables.write_table(both, Path("data/prepared/ratings.parquet"), tables.RATINGS)
    labels = RATINGS if with_test else RATINGS.iloc[:0]
    tables.write_table(labels, Path("data/test_labels/ratings.parquet"), tables.RATINGS)
    Path("params.yaml").write_text(
        "evaluate: {resamples: 40, confidence: 0.95, seed: 0}\nnote: simulated ratings\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize("with_test", [True, False])
def test_the_stage_reports_every_split_that_has_labels(in_folder, monkeypatch, caplog, with_test):
    monkeypatch.syspath_prepend(str(STAGES))
    monkeypatch.delitem(sys.modules, "evaluate", raising=False)
    import evaluate as stage

    write_inputs(with_test)
    sums = []
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            stage.main()
            sums.append([artifacts.sha256(Path(out)) for out in ("metrics", "plots")])
    assert sums[0] == sums[1]
    assert "members/old is no member" in caplog.text

    metrics = artifacts.read_json(Path("metrics/evaluate.json"))
    details = artifacts.read_json(Path("metrics/details/evaluate.json"))
    splits = ["validation", "test"] if with_test else ["validation"]
    headlines = dict(zip(splits, ["ensemble_crossfitted", "ensemble"], strict=False))
    assert set(metrics) == {"note", "interval_coverage", *splits}
    assert set(details) == {"note", "confidence", "intervals", "encoders", *splits}
    assert details["confidence"] == 0.95
    srcc_b = details["validation"]["b"]["srcc"]  # of minus the scores it is minus that
    assert details["encoders"] == {
        "b": {"0 clap@1": [0.0], "1 ears@1": [pytest.approx(2 * srcc_b, abs=1e-4)]}
    }
    covered = details["intervals"]["validation"]["coverage"]
    assert metrics["interval_coverage"]["validation"] == covered
    assert metrics["note"] == details["note"] == "simulated ratings"
    for split, headline in headlines.items():
        names = [(headline, "srcc"), (headline, "lcc"), (headline, "mse"), ("a", "srcc")]
        names.append(("b", "srcc"))
        expected = {f"{system}_{name}": details[split][system][name] for system, name in names}
        assert metrics[split] == expected
    assert set(details["validation"]) == {
        "a", "b", "ceiling", "difference", "ensemble", "ensemble_crossfitted", "slices",
    }  # fmt: skip
    assert details["validation"]["a"]["pairs"] == 60
    assert set(details["validation"]["difference"]) == {"a", "b"}
    page = Path("metrics/evaluate.md").read_text()
    assert page.startswith("# Agreement with listeners (simulated ratings)\n\n## validation, 60")
    assert page.count("by a fit without the pair's own fold") == 1
    assert "holds out each generator, without which b was fitted, too; other" in page
    assert "Weights: b 0.250 [0.000, 0.500], a 0.750 [0.500, 1.000]." in page
    assert "a mean rating: 1." in page
    assert page.count("| generator: g3 | 15 |") == len(splits)
    assert page.count("| system | MSE | of the mean | of the slope | rest |") == len(splits)
    assert ("## test" in page) == with_test
    assert f"- validation: within its interval lies the mean rating of {covered:.1%} of" in page
    html = Path("metrics/evaluate.html").read_text()
    assert "Simulated ratings" in html and html.count("<section") == len(splits) + 1
    assert f"within its interval lies the mean rating of {covered:.1%} of" in html
    systems = pd.read_csv("metrics/systems.csv")
    assert systems["split"].tolist() == [s for s in splits for _ in range(4)]
    assert set(systems["note"]) == {"simulated ratings"}
    figures = sorted(p.stem for p in Path("plots/evaluate").iterdir())
    names = ["correlations", "encoders", "generators", "srcc", "weights", *splits]
    assert figures == sorted(names)
    pages = sorted(Path("plots/print").iterdir())
    assert [page.name for page in pages] == [f"{name}.pdf" for name in figures]
    assert all(page.read_bytes().startswith(b"%PDF-") for page in pages)
