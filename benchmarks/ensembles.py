"""Which weights serve the ensemble of the sample best? Prints Markdown.

python benchmarks/ensembles.py [--root .] [--refits regress fusion]

Reads what `dvc repro` left under --root. Every method is cross-fitted on validation, with folds of
pairs and with folds that hold out whole generators and whole texts, and is then fitted on all of
validation and scored on test. Intervals are over pairs, of one training of each member. `gate` is
no method of the pipeline: weights of their own for short and for long captions. With --refits
instead: what folds tell and choose where these members are refitted without each generator, as the
stage `refit` left them; and weights that are fitted to the refits' scores, which the pipeline does
not do. Members of `ensemble.zero_weight` have none here, either. All ratings are SIMULATED.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import nnls

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.reporting import metrics, resampling
from soundjudge.scoring.ensemble import calibration, crossfit, ensemble, folds, panel, refits
from soundjudge.scoring.ensemble.crossfit import CrossFit
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.ensemble.folds import RatedScores
from soundjudge.scoring.evaluation import significance

ROOT = Path(__file__).resolve().parent.parent
METHODS = (*crossfit.CHOICES, "best", "auto")
GATE, BASE = "gate", "nnls"
RESAMPLES, CONFIDENCE = 2000, 0.95
PLAIN = "as they are"
CHOICE = ("method", "members", "SRCC, cross-fitted", "minus as they are", "MSE", "chosen",
          "SRCC on test", "on its unseen generators")  # fmt: skip
FOLDS = {"generator": 10, "both": 5}  # of both, as in the recipe xacle2027
Values = NDArray[np.float64]


def rated_pairs(
    root: Path, split: str, members: dict[str, str], refitted: Sequence[str] = ()
) -> RatedScores:
    """The members' scores and the mean ratings of a split, for validation the screened ones.

    `members`: checkpoints by name; `refitted`: those of which the refits are read, too.
    """
    rated = tables.read_table(root / "data/prepared/rated.parquet", tables.RATED)
    folder = root / "data/predictions/members"
    predictions = panel.read_panel(folder, list(members), split)
    if split == "validation":
        targets = tables.read_table(root / "data/targets/validation.csv", tables.TARGETS)
    else:
        ratings = tables.read_table(root / "data/test_labels/ratings.parquet", tables.RATINGS)
        means = ratings.groupby(["wav_file_name", "text"])["score"].mean()
        targets = means.rename("mean_score").reset_index()
    without = refits.read_refits(folder, members, refitted, predictions) if refitted else None
    return panel.rated_scores(predictions, targets, rated, list(members), without)


def without_zero_weights(pairs: RatedScores, config: EnsembleConfig) -> RatedScores:
    """The pairs without the members that the config gives no weight."""
    columns = [k for k, name in enumerate(config.members) if name not in config.zero_weight]
    return replace(pairs, scores=pairs.scores[:, columns], refits={})


def gate_columns(pairs: RatedScores, reference: RatedScores) -> Values:
    """Members standardized by a reference, for short captions and for long ones: (N, 2K)."""
    mean, std = reference.scores.mean(axis=0), reference.scores.std(axis=0)
    assert pairs.texts is not None and reference.texts is not None, "gates read captions"
    words, typical = (
        np.array([len(text.split()) for text in texts]) for texts in (pairs.texts, reference.texts)
    )
    standardized = (pairs.scores - mean) / std
    is_short = (words <= np.median(typical))[:, None]
    return np.concatenate([standardized * is_short, standardized * ~is_short], axis=1)


def fit_gate(fit: RatedScores, test: RatedScores) -> tuple[Values, Values]:
    """Scores of `test` by weights of their own for short and for long captions; before their line.

    The latter with weights of sum 1, as the pipeline's methods have.
    """
    columns = gate_columns(fit, fit)
    weights = nnls(columns, fit.rating - fit.rating.mean())[0]
    line = calibration.fit_calibration(columns @ weights, fit.rating, "linear")
    sums = gate_columns(test, fit) @ weights
    return np.clip(calibration.apply_calibration(line, sums), 0, 10), 2 * sums / weights.sum()


def crossfit_scores(pairs: RatedScores, config: EnsembleConfig) -> CrossFit:
    """The cross-fitted scores of a method, or of the gate."""
    if config.method != GATE:  # a name that the pipeline does not have
        return crossfit.crossfit(pairs, config)
    pairs = without_zero_weights(pairs, config)
    scores, sums = np.empty((2, len(pairs.rating)))
    for fold in folds.make_folds(pairs, config.folds, config.folds_by, config.seed):
        scores[fold.test], sums[fold.test] = fit_gate(*fold.parts(pairs))
    return CrossFit(scores=scores, order=scores if config.folds_by == "none" else sums, weak={})


def cross_rows(fits: dict[str, CrossFit], rating: Values, other: str = BASE) -> pd.DataFrame:
    """SRCC of the orders, MSE of the scores."""
    errors = rows_of({name: fitted.scores for name, fitted in fits.items()}, rating, other)
    ranks = rows_of({name: fitted.order for name, fitted in fits.items()}, rating, other)
    return errors.assign(
        **{column: ranks[column] for column in map(str, ranks) if "SRCC" in column}
    )


def on_test(validation: RatedScores, test: RatedScores, config: EnsembleConfig) -> Values:
    """Scores of test by a fit on validation."""
    if config.method == GATE:
        return fit_gate(
            without_zero_weights(validation, config), without_zero_weights(test, config)
        )[0]
    return ensemble.apply_ensemble(crossfit.fit(validation, config), test.scores)


def rows_of(scores: dict[str, Values], rating: Values, other: str = BASE) -> pd.DataFrame:
    """SRCC with interval, MSE, and both minus those of `other` with intervals: a row each."""
    names = list(scores)
    draws = significance.bootstrap(
        np.stack(list(scores.values()), axis=1), rating, resamples=RESAMPLES, seed=0
    )
    base, table = names.index(other), {}
    for k, name in enumerate(names):
        low, high = resampling.interval(draws.srcc[:, k], CONFIDENCE)
        srcc, mse = metrics.srcc(scores[name], rating), metrics.mse(scores[name], rating)
        table[name] = {"SRCC": f"{srcc:.3f} [{low:.3f}, {high:.3f}]", "MSE": f"{mse:.2f}"}
        for metric, own in (("srcc", draws.srcc), ("mse", draws.mse)):
            function = getattr(metrics, metric)
            difference = function(scores[name], rating) - function(scores[other], rating)
            low, high = resampling.interval(own[:, k] - own[:, base], CONFIDENCE)
            text = f"{difference:+.3f} [{low:+.3f}, {high:+.3f}]" if name != other else ""
            table[name][f"{metric.upper()} minus {other}'s"] = text
    return pd.DataFrame(table).T


def print_table(title: str, table: pd.DataFrame) -> None:
    print(f"\n## {title}\n\n| method | {' | '.join(table)} |\n|{'---|' * (1 + table.shape[1])}")
    for name, row in table.iterrows():
        print(f"| {name} | {' | '.join(row)} |")


def print_refits(validation: RatedScores, test: RatedScores, config: EnsembleConfig) -> None:
    """SRCC on held-out generators by members as they are and refitted, and what either chooses."""
    plain, names = replace(validation, refits={}), list(config.members)
    print("\n## Members\n\n| member on | pairs | SRCC | refitted |\n|---|---|---|---|")
    for generator, scores in validation.refits.items():
        rows = np.asarray(validation.generators == generator)
        for k in np.flatnonzero((scores != plain.scores).any(axis=0)):
            own, without = (
                metrics.srcc(s[rows, k], plain.rating[rows]) for s in (plain.scores, scores)
            )
            print(f"| {names[k]} on {generator} | {rows.sum()} | {own:.3f} | {without:.3f} |")
    for by in FOLDS:
        print(f"\n## folds_by {by}\n\n| {' | '.join(CHOICE)} |\n{'|---' * len(CHOICE)}|")
        for method in (BASE, "auto"):
            rules = replace(config, method=method, calibration="auto", folds_by=by, folds=FOLDS[by])
            fits = {PLAIN: plain, "refitted": validation}
            fitted = {name: crossfit.crossfit(pairs, rules) for name, pairs in fits.items()}
            table = cross_rows(fitted, plain.rating, PLAIN)
            for name, pairs in fits.items():
                row = table.loc[name]
                cells = [
                    method,
                    name,
                    *map(str, (row["SRCC"], row[f"SRCC minus {PLAIN}'s"], row["MSE"])),
                ]
                print(f"| {' | '.join([*cells, *choice_cells(pairs, test, rules)])} |")
    print(f"\n{on_refits(validation, test, replace(config, method=BASE, calibration='linear'))}")


def on_refits(validation: RatedScores, test: RatedScores, config: EnsembleConfig) -> str:
    """SRCC on test of weights by members as they are, and by members without a pair's generator."""
    without = validation.scores.copy()
    for generator, scores in validation.refits.items():
        rows = np.asarray(validation.generators == generator)
        without[rows] = scores[rows]
    seen = np.isin(test.generators, validation.generators)
    cells = []
    for pairs in (validation, replace(validation, scores=without)):
        fitted = ensemble.fit_ensemble(pairs.scores, pairs.rating, config)
        scores = ensemble.apply_ensemble(fitted, test.scores)
        cells += [f"{metrics.srcc(scores[rows], test.rating[rows]):.3f}" for rows in (~seen, seen)]
    return (
        f"Weights ({BASE}) fitted to the refits' scores, each pair by members without its "
        f"generator: SRCC {cells[2]} on unseen generators of test against {cells[0]} by members as "
        f"they are, {cells[3]} against {cells[1]} on the others."
    )


def choice_cells(pairs: RatedScores, test: RatedScores, rules: EnsembleConfig) -> list[str]:
    """What is chosen by all pairs, and the SRCC of that on test and on its unseen generators."""
    chosen = crossfit.choose(pairs, rules)
    fitted = ensemble.fit_ensemble(pairs.scores, pairs.rating, chosen)
    scores = ensemble.apply_ensemble(fitted, test.scores)
    unseen = ~np.isin(test.generators, pairs.generators)
    ends = [metrics.srcc(scores[rows], test.rating[rows]) for rows in (slice(None), unseen)]
    return [f"{chosen.method}, {chosen.calibration}", *(f"{srcc:.3f}" for srcc in ends)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--root", type=Path, default=ROOT)
    arguments.add_argument("--refits", nargs="+", default=[])
    options = arguments.parse_args()
    root = options.root
    config = params.load("ensemble", EnsembleConfig, root / "params.yaml")
    names = list(config.members)
    validation, test = (
        rated_pairs(root, split, config.members, options.refits if split == "validation" else ())
        for split in ("validation", "test")
    )
    if options.refits:
        print_refits(validation, test, config)
        return
    print(f"# Weights of the ensemble (simulated ratings)\n\nMembers: {', '.join(names)}.")
    methods = {m: replace(config, method=m, calibration="linear") for m in (*METHODS, GATE)}
    for by in ("none", "both"):
        title = f"validation, {len(validation.rating)} pairs, cross-fitted, folds_by {by}"
        fits = {m: crossfit_scores(validation, replace(c, folds_by=by)) for m, c in methods.items()}
        print_table(title, cross_rows(fits, validation.rating))
    scores = {m: on_test(validation, test, replace(c, folds_by="both")) for m, c in methods.items()}
    print_table(
        f"test, {len(test.rating)} pairs, fitted on validation", rows_of(scores, test.rating)
    )
    for by in ("none", "both"):
        both = {
            BASE if kind == "linear" else kind: crossfit.crossfit(
                validation, replace(config, method="nnls", calibration=kind, folds_by=by)
            )
            for kind in ("linear", "isotonic")
        }
        title = f"calibration, folds_by {by}: nnls is linear"
        print_table(title, cross_rows(both, validation.rating))


if __name__ == "__main__":
    main()
