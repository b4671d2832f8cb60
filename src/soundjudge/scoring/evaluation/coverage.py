"""How often a score's interval holds the listeners' mean rating, and a difference their order.

N pairs of a split.
"""

import math
from dataclasses import dataclass

from scipy import stats

from soundjudge.scoring.ensemble import intervals
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.ensemble.intervals import Floats, Intervals
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit

MOST_PAIRS = 2000  # of which couples are made
WITHIN = (
    "{name}: within its interval lies the mean rating of {coverage:.1%} of pairs "
    "[{coverage_lo:.1%}, {coverage_hi:.1%}], at {aim:.0%} aimed at; intervals are {width:.1f} "
    "points wide on average ({narrowest:.1f} to {widest:.1f})."
)
FITTED = "validation"  # which the widths come from: its coverage is the aim by construction
OF_FITTED = " Their widths were fitted to these pairs, so this is no evidence of their coverage."
ORDERED = (
    "{couples:.0%} of couples of pairs differ by more than {difference:.1f} points; listeners "
    "order {ordered:.1%} of these as the scores do."
)


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What intervals do on each split, by name: see `measure_coverage`."""

    rows: dict[str, dict[str, float]]
    intervals: Intervals

    @property
    def shares(self) -> dict[str, object]:
        """The coverage of each split, for the headline numbers."""
        return {"interval_coverage": {name: row["coverage"] for name, row in self.rows.items()}}

    @property
    def lines(self) -> list[str]:
        """The sentences as Markdown."""
        return ["## Intervals of single scores", "", *(f"- {text}" for text in self.sentences)]

    @property
    def sentences(self) -> list[str]:
        """A few sentences per split."""
        texts = []
        for name, row in self.rows.items():
            texts.append(WITHIN.format(name=name, aim=self.intervals.coverage, **row))
            if "ordered" in row:
                texts[-1] += f" {ORDERED.format(difference=self.intervals.difference, **row)}"
            if name == FITTED:
                texts[-1] += OF_FITTED
        return texts


def measure_coverage(
    split: EvaluatedSplit, fitted: Ensemble, learned: Intervals
) -> dict[str, float]:
    """Of the split's headline system: shares, and widths in rating points.

    `coverage` with its 95 % Wilson interval over pairs. `couples` is the share of couples of pairs
    whose scores differ by more than `learned.difference`, `ordered` that of them which the mean
    ratings order alike; without such a couple neither is there.
    """
    frame = split.comparison.frame
    scores, rating = (frame[name].to_numpy(float) for name in (split.headline, "average_score"))
    members = frame[list(fitted.members)].to_numpy(float)
    low, high = learned.bounds(scores, intervals.members_spread(fitted, members))
    inside, width = (low <= rating) & (rating <= high), high - low
    wilson = stats.binomtest(int(inside.sum()), len(inside)).proportion_ci(0.95, method="wilson")
    shares = {
        "coverage": float(inside.mean()),
        "coverage_lo": float(wilson.low),
        "coverage_hi": float(wilson.high),
        "width": float(width.mean()),
        "narrowest": float(width.min()),
        "widest": float(width.max()),
    }
    return shares | _order_shares(scores, rating, learned.difference)


def _order_shares(scores: Floats, rating: Floats, difference: float) -> dict[str, float]:
    step = math.ceil(len(scores) / MOST_PAIRS)
    by_score, by_rating = (x[::step, None] - x[None, ::step] for x in (scores, rating))
    apart = by_score > difference
    if not apart.any():
        return {}
    couples = len(by_score) * (len(by_score) - 1) / 2
    return {
        "couples": float(apart.sum() / couples),
        "ordered": float((by_rating[apart] > 0).mean()),
    }
