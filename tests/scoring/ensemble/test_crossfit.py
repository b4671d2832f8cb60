import dataclasses

import numpy as np
import pytest
from scipy import stats

from soundjudge.errors import SoundjudgeError
from soundjudge.reporting.metrics import mse, srcc
from soundjudge.scoring.ensemble import crossfit, ensemble, folds
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.ensemble.folds import RatedScores


def config(*members, method="nnls", calibration="linear", count=4, by="none"):
    names = dict.fromkeys(members or ("good", "noisy", "none"), "folder")
    return EnsembleConfig(
        members=names, method=method, calibration=calibration, folds=count, folds_by=by, resamples=5
    )


def rated(count=96, seed=0, generators=3, texts=24):
    """A good, a noisy and a random member; texts and generators cross each other."""
    rng = np.random.default_rng(seed)
    truth, noise = rng.normal(size=count), rng.normal(size=(count, 3))
    scores = [truth + 0.5 * noise[:, 0], 9 + 10 * (truth + noise[:, 1]), noise[:, 2]]
    number = np.arange(count)
    return RatedScores(
        scores=np.stack(scores, axis=1),
        rating=np.clip(5 + 2 * truth + 0.5 * rng.normal(size=count), 0, 10),
        texts=np.array([f"text {n % texts}" for n in number], dtype=object),
        generators=np.array([f"g{n // texts % generators}" for n in number], dtype=object),
    )


def test_cross_fitted_scores_never_saw_their_own_rating():
    pairs = rated(60)
    scores = crossfit.crossfit(pairs, config()).scores
    changed = pairs.rating.copy()
    changed[7] = 10 - changed[7]
    again = crossfit.crossfit(dataclasses.replace(pairs, rating=changed), config()).scores
    assert again[7] == scores[7]
    assert (again != scores).any()


def test_cross_fitting_takes_the_gain_from_members_of_pure_noise():
    rng = np.random.default_rng(0)
    rating = rng.uniform(0, 10, size=60)
    scores = np.concatenate([rng.normal(size=(60, 20)), rating[:, None] / 100], axis=1)
    scores[:, -1] += 0.1 * rng.normal(size=60)
    rules, pairs = config(*[f"m{i}" for i in range(21)]), RatedScores(scores=scores, rating=rating)
    fitted = ensemble.apply_ensemble(ensemble.fit_ensemble(scores, rating, rules), scores)
    assert srcc(crossfit.crossfit(pairs, rules).scores, rating) < srcc(fitted, rating) - 0.1


@pytest.mark.parametrize("by", ["generator", "both"])
def test_a_member_alone_has_its_own_srcc_whatever_generators_are_held_out(by):
    """A line without a generator of high ratings puts it too low among the others."""
    rng, pairs = np.random.default_rng(0), rated()
    level = {"g0": -3, "g1": 0, "g2": 3}
    rating = np.clip(pairs.rating + [level[name] for name in pairs.generators], 0, 10)
    member = (rating + 2 * rng.normal(size=len(rating)))[:, None]
    pairs = dataclasses.replace(pairs, rating=rating, scores=member)
    fitted = crossfit.crossfit(pairs, config("only", by=by))
    assert fitted.numbers(rating)["srcc"] == pytest.approx(srcc(member[:, 0], rating))
    assert srcc(fitted.scores, rating) < srcc(member[:, 0], rating) - 0.05
    assert fitted.numbers(rating)["mse"] == mse(fitted.scores, rating)


@pytest.mark.parametrize(
    ("by", "number"), [("none", 4), ("generator", 3), ("text", 4), ("both", 12)]
)
def test_a_fold_shares_no_group_with_its_fit_and_every_pair_is_tested_once(by, number):
    pairs = rated()
    made = folds.make_folds(pairs, 4, by, seed=0)
    assert len(made) == number
    assert np.sum([fold.test for fold in made], axis=0).tolist() == [1] * 96
    for fold in made:
        assert not (fold.fit & fold.test).any()
        for names, held_out in (
            (pairs.generators, by in ("generator", "both")),
            (pairs.texts, by in ("text", "both")),
        ):
            shared = set(names[fold.fit]) & set(names[fold.test])
            assert bool(shared) != held_out
        # Nothing else is left out: a pair is in neither only if it shares a group with the test.
        if by == "both":
            idle = ~fold.fit & ~fold.test
            of_generator = np.isin(pairs.generators, pairs.generators[fold.test])
            of_text = np.isin(pairs.texts, pairs.texts[fold.test])
            assert (of_generator | of_text)[idle].all()


def test_folds_that_cannot_be_made_are_refused():
    pairs = rated()
    with pytest.raises(SoundjudgeError, match="folds is 50: too many for 96 validation pairs"):
        folds.make_folds(pairs, 50, "none", 0)
    with pytest.raises(SoundjudgeError, match="folds is 30: too many for 24 validation texts"):
        folds.make_folds(pairs, 30, "text", 0)
    one = dataclasses.replace(pairs, generators=np.array(["g"] * 96, dtype=object))
    with pytest.raises(SoundjudgeError, match="all validation pairs are from g"):
        folds.make_folds(one, 4, "generator", 0)
    some = dataclasses.replace(pairs, generators=np.array(["g", None] * 48, dtype=object))
    for by in ("generator", "both"):
        with pytest.raises(SoundjudgeError, match="a model_id in every row"):
            crossfit.choose(some, config(method="auto", by=by))


def test_refits_without_a_generator_score_its_folds_and_no_others():
    pairs = rated()
    refits = {name: pairs.scores + k for k, name in enumerate(("g0", "g1"), start=1)}
    with_refits = dataclasses.replace(pairs, refits=refits)
    for fold in folds.make_folds(with_refits, 4, "both", 0):
        inside, outside = fold.parts(with_refits)
        shift = {"g0": 1, "g1": 2, "g2": 0}[fold.generator]
        assert (inside.scores == pairs.scores[fold.fit] + shift).all()
        assert (outside.scores == pairs.scores[fold.test] + shift).all()
        assert inside.refits["g1"].shape == inside.scores.shape
    alone = with_refits.of_member(1)
    assert (alone.refits["g1"] == pairs.scores[:, 1:2] + 2).all()


def test_a_choice_by_refits_is_that_of_the_scores_of_the_refits():
    pairs = rated()
    noise = np.random.default_rng(5).normal(size=96)
    refits = {}
    for name in ("g0", "g1", "g2"):  # without a generator the good member knows nothing of it
        refits[name] = pairs.scores.copy()
        refits[name][pairs.generators == name, 0] = noise[pairs.generators == name]
    rules = dataclasses.replace(
        config(method="auto", calibration="auto", by="generator"),
        members={"good": "regress", "noisy": "x", "none": "y"},
    )
    plain, held_out = (
        crossfit.compare_methods(dataclasses.replace(pairs, refits=r), rules) for r in ({}, refits)
    )
    assert plain["member good"]["srcc"] > 0.8 > 0.3 > held_out["member good"]["srcc"]
    assert plain["member noisy"] == held_out["member noisy"]
    chosen = crossfit.choose(dataclasses.replace(pairs, refits=refits), rules)
    best = max(held_out, key=lambda name: held_out[name]["srcc"])
    assert chosen.method == (best if best in crossfit.CHOICES else "best")


def test_the_member_that_is_best_without_the_generators_is_taken_and_not_the_best_with_them():
    rng = np.random.default_rng(3)
    pairs = rated()
    known = pairs.rating + 0.5 * rng.normal(size=96)  # of a member that knows the generators
    steady = pairs.rating + 2.0 * rng.normal(size=96)
    scores, refits = np.stack([known, steady], axis=1), {}
    for name in ("g0", "g1", "g2"):
        refits[name] = scores.copy()
        refits[name][pairs.generators == name, 0] = rng.normal(
            size=(pairs.generators == name).sum()
        )
    with_refits = dataclasses.replace(pairs, scores=scores, refits=refits)
    rules = dataclasses.replace(
        config(method="auto", by="generator"), members={"known": "regress", "steady": "y"}
    )
    chosen = crossfit.choose(with_refits, rules)
    assert (chosen.method, chosen.best_member) == ("best", "steady")
    assert crossfit.fit(with_refits, rules).weights == (0, 1)
    draws = ensemble.weight_draws(scores, pairs.rating, chosen)
    assert (draws == [0, 1]).all()
    plain = crossfit.choose(dataclasses.replace(with_refits, refits={}), rules)
    assert plain.best_member in (None, "known")


def test_one_weak_fold_is_recorded_and_does_not_stop_the_others():
    pairs = rated()
    scores = pairs.scores.copy()
    scores[pairs.generators != "g1", 1] = 3.0  # constant where g1 is held out
    weak = dataclasses.replace(pairs, scores=scores)
    found = crossfit.crossfit(weak, config(by="generator"))
    assert list(found.weak) == ["without g1"]
    assert "noisy gives every pair the same score" in found.weak["without g1"]
    held_out = pairs.generators == "g1"
    assert set(found.scores[held_out]) == {pairs.rating[~held_out].mean()}
    assert len(set(found.scores[~held_out])) > 50


def test_folds_that_are_all_weak_are_an_error_with_the_reason():
    pairs = rated()
    falling = dataclasses.replace(pairs, scores=-pairs.scores[:, :1])
    with pytest.raises(SoundjudgeError, match="no fold of validation can be fitted: no member's"):
        crossfit.crossfit(falling, config("good"))
    with pytest.raises(SoundjudgeError, match="no member's scores rise"):
        crossfit.choose(falling, config("good", method="auto"))


def test_auto_takes_the_method_of_the_highest_cross_fitted_srcc():
    pairs = rated()
    numbers = crossfit.compare_methods(pairs, config())
    best = max(crossfit.CHOICES, key=lambda method: numbers[method]["srcc"])
    assert crossfit.choose(pairs, config(method="auto")).method == best
    own = crossfit.crossfit(pairs, config(method=best)).scores
    assert numbers[best]["srcc"] == pytest.approx(stats.spearmanr(own, pairs.rating).statistic)


def test_auto_falls_back_to_the_best_member_where_nothing_beats_it():
    pairs = rated(400)
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(400, 4))
    scores = np.concatenate([pairs.rating[:, None] + 0.01 * noise[:, :1], noise[:, 1:]], axis=1)
    perfect = dataclasses.replace(pairs, scores=scores)
    rules = config("a", "b", "c", "d", method="auto")
    chosen = crossfit.choose(perfect, rules)
    numbers = crossfit.compare_methods(perfect, rules)
    assert max(numbers, key=lambda name: numbers[name]["srcc"]) == "member a"
    assert chosen.method == "best"
    assert crossfit.fit(perfect, rules).weights == (1, 0, 0, 0)


def test_of_one_member_auto_makes_that_member():
    pairs = rated().of_member(0)
    assert crossfit.fit(pairs, config("good", method="auto")).weights == (1,)


def test_auto_takes_the_calibration_of_the_lower_cross_fitted_error():
    pairs = rated(800)
    curved = dataclasses.replace(pairs, rating=10 / (1 + np.exp(-3 * pairs.scores[:, 0])))
    for data in (pairs, curved):
        errors = {
            name: mse(crossfit.crossfit(data, config(calibration=name)).scores, data.rating)
            for name in ("linear", "isotonic")
        }
        assert crossfit.choose(data, config(calibration="auto")).calibration == min(
            errors, key=errors.get
        )
    assert crossfit.choose(curved, config(calibration="auto")).calibration == "isotonic"


@pytest.mark.slow
def test_choices_inside_the_folds_do_not_see_the_pairs_they_score():
    pairs = rated(60)
    rules = config(method="auto", calibration="auto")
    scores = crossfit.crossfit(pairs, rules).scores
    changed = pairs.rating.copy()
    changed[7] = 10 - changed[7]
    again = crossfit.crossfit(dataclasses.replace(pairs, rating=changed), rules).scores
    assert again[7] == scores[7]
