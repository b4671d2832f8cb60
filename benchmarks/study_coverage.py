"""Coverage of the intervals of `soundjudge study`, and false verdicts: simulated listeners.

python benchmarks/study_coverage.py [--panels 100]

Each design is simulated many times. An interval should cover the mean difference over these panels,
which is what the design shows on average. Writes benchmarks/study_coverage.md.
"""

import argparse
from pathlib import Path

import listener_recovery
import numpy as np
import pandas as pd
from provenance import figures_of_commit
from recovery_tables import markdown
from scipy import stats

from soundjudge.labels.ratings import rating_arrays
from soundjudge.labels.ratings.config import Screening, Standardization
from soundjudge.labels.study import study
from soundjudge.labels.study.candidates import Candidate
from soundjudge.labels.study.held_out import Settings, StudyConfig
from soundjudge.runtime import artifacts

PAGE = Path(__file__).resolve().parent / "study_coverage.md"
SETTINGS = Settings(screening=Screening(), standardization=Standardization())
MEAN = Candidate(screening="none", target="mean")
OTHERS = (
    Candidate(screening="none", target="spo"),
    Candidate(screening="none", target="spo_shrunken"),
    Candidate(screening="listener", target="latent"),
)
# pairs, ratings per pair, ratings per listener, spread of listeners, share of careless ones
DESIGNS = (
    (200, 4, 13, "small", 0.0),
    (200, 4, 13, "large", 0.0),
    (200, 4, 13, "medium", 0.2),
    (100, 24, 100, "medium", 0.0),
    (100, 10, 100, "large", 0.0),
    (100, 10, 100, "medium", 0.1),
)
TEXT = """# Intervals of `soundjudge study` (simulated)

{commit}

{panels} panels per design, seeds {first} to {last}, default study (20 splits, a third held out).
Difference: SRCC with held-out listeners above that of the mean rating without screening. Coverage:
share of the panels whose 95 % interval holds the mean difference over all panels of the design.
Wrong: share of the panels whose interval excludes 0 on the other side than that mean. Made by
`python benchmarks/study_coverage.py`.

"""


def measure(design: tuple[int, int, int, str, float], panels: int) -> pd.DataFrame:
    """A row per candidate: mean difference, its deviation over panels, coverage, wrong sides."""
    pairs, per_pair, per_listener, spread, careless = design
    condition = listener_recovery.Condition(
        per_pair=per_pair,
        per_listener=per_listener,
        careless=careless,
        spread=spread,
        manner="at random" if careless else "all attentive",
    )
    tables = []
    for seed in range(panels):
        _, frame, _ = listener_recovery.simulate(condition, pairs, np.random.default_rng([7, seed]))
        result = study.study_ratings(
            rating_arrays.rating_arrays(frame),
            SETTINGS,
            StudyConfig(seed=seed),
            candidates=(MEAN, *OTHERS),
            default=MEAN,
        )
        tables.append(result.table.iloc[1:].reset_index(drop=True))
    every = pd.concat(tables)
    by_candidate = every.groupby(every.index)
    mean = by_candidate["difference"].mean()
    truth = mean.reindex(every.index)
    covered = (every["difference_lo"] <= truth) & (truth <= every["difference_hi"])
    wrong = np.where(truth > 0, every["difference_hi"] < 0, every["difference_lo"] > 0)
    first = tables[0]
    return pd.DataFrame(
        {
            "pairs": pairs,
            "ratings per pair": per_pair,
            "listeners": pairs * per_pair // per_listener,
            "spread": spread,
            "careless": careless,
            "candidate": first["screening"] + "/" + first["target"],
            "difference": mean,
            "sd over panels": by_candidate["difference"].std(),
            "coverage": covered.groupby(every.index).mean(),
            "wrong": pd.Series(wrong, index=every.index).groupby(level=0).mean(),
            "binomial error of coverage": stats.binom.std(panels, 0.95) / panels,
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--panels", type=int, default=100)
    panels = parser.parse_args().panels
    rows = []
    for design in DESIGNS:
        rows.append(measure(design, panels))
        print(rows[-1].to_string(), flush=True)
    table = pd.concat(rows, ignore_index=True).set_index("pairs")
    text = TEXT.format(
        commit=figures_of_commit(), panels=panels, first=0, last=panels - 1
    ) + markdown(table)
    with artifacts.atomic_file(PAGE) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
