"""The page of an evaluation as one HTML file that needs nothing else: no script, no request."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from soundjudge.html import figures, rendering
from soundjudge.html.figures import Axis
from soundjudge.reporting.resampling import Estimate
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.fit_report import FitReport
from soundjudge.scoring.evaluation import markdown_page
from soundjudge.scoring.evaluation.calibration_curve import CalibrationCurve, calibration_curve
from soundjudge.scoring.evaluation.coverage import Coverage
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit, Row
from soundjudge.scoring.evaluation.systems import estimate

CELLS = 20  # of a scatter, along either axis


@dataclass(frozen=True, kw_only=True)
class Scatter:
    """Scores of a system against mean ratings; C cells that hold a pair."""

    axis: Axis  # of the scores
    ratings: Axis
    cells: list[tuple[float, float, float]]  # (C,) left and upper end in percent, share of the most
    curve: CalibrationCurve

    def segment(
        self, scores: tuple[float, float], ratings: tuple[float, float]
    ) -> tuple[tuple[float, float], tuple[float, float]] | None:
        """The part of a line that the picture holds."""
        return figures.clip_segment(scores, ratings, self.axis, self.ratings)


def write_page(
    splits: Sequence[EvaluatedSplit],
    path: Path,
    *,
    title: str = markdown_page.TITLE,
    note: str = "",
    remark: str = "",
    fit: FitReport | None = None,
    coverage: Coverage | None = None,
) -> None:
    """Writes the page of these splits; of an ensemble with its fit and what its intervals hold.

    `note`: where the ratings come from, "" for listeners; `remark`: what else must be known.
    """
    weights = {} if fit is None else _weights(fit)
    html = rendering.render(
        "evaluation.html",
        "soundjudge.scoring.evaluation",
        title=title,
        notes=[text for text in (rendering.ratings_sentence(note), remark) if text],
        headline=headline(splits[-1]),
        splits=splits,
        estimate=estimate,
        axis=figures.interval_axis(
            [e for split in splits for e in _srcc(split.metrics.values())]
            + [
                estimate(split.ceiling_metrics, f"ceiling_srcc{suffix}")
                for split in splits
                if split.ceiling_metrics
                for _, suffix in markdown_page.CEILINGS
            ]
        ),
        slices={split.name: _by_kind(split.slices[split.headline]) for split in splits},
        slices_axis=figures.interval_axis(
            [e for split in splits for rows in split.slices.values() for e in _srcc(rows)],
            zero=True,
        ),
        differences_axis=figures.interval_axis(
            [
                estimate(row, "srcc_difference")
                for split in splits
                for row in split.differences.values()
            ],
            zero=True,
        ),
        scatters={split.name: scatter(split) for split in splits},
        fit=fit,
        weights=weights,
        weights_axis=figures.interval_axis(list(weights.values()), zero=True),
        fit_lines=[] if fit is None else markdown_page.fit_lines(fit),
        correlations=splits[-1].member_correlations,
        coverage=[] if coverage is None else coverage.sentences,
        words=markdown_page,
    )
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def headline(split: EvaluatedSplit) -> str:
    """What the numbers of one split say, in a sentence."""
    numbers = split.metrics[split.headline]
    srcc = estimate(numbers, "srcc")
    value, low, high = map(rendering.correlation_text, (srcc.value, srcc.lo, srcc.hi))
    confidence = rendering.percent_text(split.comparison.config.confidence)
    sentence = (
        f"SRCC of {split.headline} with listeners on the {numbers['pairs']} pairs of {split.name}: "
        f"{value} ({confidence} interval {low} to {high})"
    )
    if split.ceilings is None:
        return f"{sentence}."
    shares = sorted(numbers[f"ceiling_share_srcc{suffix}"] for _, suffix in markdown_page.CEILINGS)
    return (
        f"{sentence}, {100 * shares[0]:.0f} to {100 * shares[1]:.0f} % of what a perfect judge "
        "could reach with these raters."
    )


def scatter(split: EvaluatedSplit) -> Scatter:
    """The headline's scores against mean ratings, as counts in cells and by the curve."""
    score, rating = (
        split.comparison.frame[name].to_numpy(dtype=np.float64)
        for name in (split.headline, "average_score")
    )
    axis, ratings = figures.score_axis(score), figures.score_axis(np.array([0.0, 10.0]))
    box = ((axis.low, axis.high), (ratings.low, ratings.high))
    counts = np.histogram2d(score, rating, bins=CELLS, range=box)[0]
    step = 100 / CELLS
    cells = [
        (column * step, 100 - (row + 1) * step, float(count / counts.max()))
        for (column, row), count in np.ndenumerate(counts)
        if count
    ]
    return Scatter(axis=axis, ratings=ratings, cells=cells, curve=calibration_curve(score, rating))


def _srcc(rows: Iterable[Mapping[str, Any]]) -> list[Estimate]:
    return [estimate(row, "srcc") for row in rows if "srcc" in row]


def _by_kind(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows of slices by what they are sliced by, in their order."""
    return {kind: list(group) for kind, group in groupby(rows, key=itemgetter("slice"))}


def _weights(fit: FitReport) -> dict[str, Estimate]:
    """Each member's weight; its interval is 0 to 1 where no resample has weights."""
    ends = {name: fit.weight_intervals.get(name, (0.0, 1.0)) for name in fit.members}
    return {
        name: Estimate(value=fit.weights[name], lo=low, hi=high)
        for name, (low, high) in ends.items()
    }
