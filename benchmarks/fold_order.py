"""The SRCC of ensembles cross-fitted by generators against that on new generators (simulated).

    python benchmarks/fold_order.py

Validation has 400 pairs of 4 generators, test 3,000 of 10 others. A generator has a mean rating of
its own, and each of four members errs by a constant of its own on each generator. *Lines*: SRCC of
the cross-fitted scores, each fold with its own calibration; *order*: of `CrossFit.order`, by which
a method is chosen. Prints Markdown: the mean over runs of SRCC minus that which a fit on all of
validation has on test, over seven methods, and the SRCC on test of the method that either chooses.
"""

import argparse
from dataclasses import replace

import numpy as np

from soundjudge.reporting import metrics
from soundjudge.scoring.ensemble import crossfit, ensemble
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.ensemble.folds import RatedScores

NOISES, ERRORS = (1.5, 2.0, 2.5, 3.0), (2.5, 1.0, 0.5, 0.2)  # of members; of them per generator
NAMES = {f"m{k}": "folder" for k in range(len(NOISES))}
# Standard deviations of the generators' means and of the members' errors on them, points.
CONDITIONS = ((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (2.0, 1.0), (0.0, 1.5))
METHODS = ("mean", "nnls", "ridge", *NAMES)


def draw(
    rng: np.random.Generator, generators: int, pairs: int, level: float, error: float
) -> RatedScores:
    """Rated pairs of new generators."""
    generator = np.repeat(np.arange(generators), pairs // generators)
    truth = rng.normal(0, level, generators)[generator] + rng.normal(0, 2, len(generator))
    noise = rng.normal(size=(len(generator), len(NOISES))) * NOISES
    errors = rng.normal(0, error, (generators, len(NOISES))) * ERRORS
    return RatedScores(
        scores=truth[:, None] + noise + errors[generator],
        rating=np.clip(np.clip(5 + truth, 0, 10) + rng.normal(0, 0.8, len(truth)), 0, 10),
        generators=np.array([f"g{number}" for number in generator], dtype=object),
    )


def row(by: str, level: float, error: float, runs: int) -> list[str]:
    """The cells of a condition."""
    bias, chosen = np.zeros(2), np.zeros(2)
    base = EnsembleConfig(members=NAMES, method="mean", calibration="linear", folds=10)
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        validation, test = draw(rng, 4, 400, level, error), draw(rng, 10, 3000, level, error)
        both, reached = [], []
        for name in METHODS:
            alone = {"method": "best", "best_member": name} if name in NAMES else {"method": name}
            config = replace(base, folds_by=by, **alone)
            fitted = crossfit.crossfit(validation, config)
            scores = (fitted.scores, fitted.order)
            both.append([metrics.srcc(each, validation.rating) for each in scores])
            whole = crossfit.fit(validation, config)
            reached.append(metrics.srcc(ensemble.apply_ensemble(whole, test.scores), test.rating))
        bias += (np.array(both) - np.array(reached)[:, None]).mean(axis=0) / runs
        chosen += np.array(reached)[np.argmax(both, axis=0)] / runs
    cells = [f"{level:g}", f"{error:g}", *(f"{value:+.3f}" for value in bias)]
    return [*cells, *(f"{value:.3f}" for value in chosen)]


def main() -> None:
    parser = argparse.ArgumentParser(description="SRCC over folds of generators.")
    parser.add_argument("--runs", type=int, default=100)
    runs = parser.parse_args().runs
    print("| generators' means | members' errors | lines | order | chosen by lines | by order |")
    print("|---|---|---|---|---|---|")
    for level, error in CONDITIONS:
        print(f"| {' | '.join(row('generator', level, error, runs))} |", flush=True)


if __name__ == "__main__":
    main()
