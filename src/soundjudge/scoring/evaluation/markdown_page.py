"""The page of an evaluation for people: a table per split as Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.ensemble import CROSSFITTED
from soundjudge.scoring.ensemble.fit_report import FitReport
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit

TITLE = "Agreement with listeners"
HEADER = "| system | SRCC | of ceiling | LCC | KTAU | MSE | SRCC of {headline} minus its own |"
CEILINGS = (
    ("by split halves", ""),
    ("by deconvolution", "_deconvolved"),  # the suffix of its keys
)
RANGE = (
    "Intervals of the noise ceilings are over pairs and hold no error of either estimate: take "
    "the two as a range."
)
FOLDS = {
    "none": "pairs",
    "generator": "each generator",
    "text": "texts",
    "both": "texts and each generator",
}
RESAMPLED = {
    "none": "pairs",
    "both": "texts and generators",
    "text": "texts",
    "model_id": "generators",
}
GROUPED = (
    ("of generators' means", "generator_srcc"),
    ("within generators", "within_generator_srcc"),
    ("within texts", "within_text_srcc"),
)
SLICED = (
    "Events are counted by the words that join them (and, then, while, ...). Within a band of "
    "ratings correlations are low by its narrow range."
)
ONE_TRAINING = (
    "Intervals are over {resampled}, of one training of each member: they hold nothing of the "
    "chance in a training, so that another one may differ by more."
)
FITTED_HERE = (
    "The weights and the calibration of `ensemble` were fitted on these validation ratings: its "
    "numbers are too good. Each score of `ensemble_crossfitted` is by a fit without the pair's own "
    "fold: compare that row. Members may have stopped their training by this split, too."
)

OF_GENERATORS = ("generator", "both")  # folds whose fits have intercepts that differ by much
POOLED = (
    "The row `ensemble_crossfitted` ranks the calibrated scores of all folds together. Each fold's "
    "calibration has the mean rating of the other generators, which puts a generator of high "
    "ratings too low: SRCC of the same weighted sums without it is {srcc:.3f}."
)


def write_page(
    splits: Sequence[EvaluatedSplit],
    fit: FitReport,
    note: str,
    path: Path,
    more: Sequence[str] = (),
) -> None:
    """Writes tables per split as Markdown, what their words mean, the fit, and `more`."""
    lines = [f"# {plotting.title_with_note(TITLE, note)}"]
    for split in splits:
        lines += ["", *_table(split), "", *_error_table(split), "", *_slice_table(split)]
    lines += ["", *fit_lines(fit), _weight_line(fit)]
    lines += ["", *more] if more else []
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def fit_lines(fit: FitReport) -> list[str]:
    """How the ensemble was fitted, but for its weights."""
    folds = FOLDS[fit.folds_by]
    if fit.refitted:
        folds += (
            f", without which {', '.join(fit.refitted)} was fitted, too; "
            "other members keep their training"
        )
    lines = [
        f"Ensemble by {fit.method}, calibration {fit.calibration}; its cross-fit holds out {folds}."
    ]
    if fit.folds_by in OF_GENERATORS:
        lines += [POOLED.format(srcc=fit.crossfitted["srcc"])]
    if fit.weak_folds:
        lines += [f"Folds without a fit, whose pairs have a mean rating: {len(fit.weak_folds)}."]
    return lines


def _weight_line(fit: FitReport) -> str:
    weights = []
    for name in fit.members:
        low, high = fit.weight_intervals.get(name, (0.0, 1.0))
        weights.append(f"{name} {fit.weights[name]:.3f} [{low:.3f}, {high:.3f}]")
    return f"Weights: {', '.join(weights)}."


def _error_table(split: EvaluatedSplit) -> list[str]:
    """The parts of the mean squared error (Theil 1966)."""
    lines = ["| system | MSE | of the mean | of the slope | rest |", "|---|---|---|---|---|"]
    for name, row in split.metrics.items():
        cells = [_interval_cell(row, key) for key in ("mse", "mse_bias", "mse_slope", "mse_rest")]
        lines += [f"| {name} | {' | '.join(cells)} |"]
    return lines


def _slice_table(split: EvaluatedSplit) -> list[str]:
    """The headline's numbers on slices; a correlation is left out where pairs are few."""
    lines = [f"| {split.headline} on | pairs | SRCC | MSE | bias |", "|---|---|---|---|---|"]
    for row in split.slices[split.headline]:
        cells = [f"{row['slice']}: {row['value']}", f"{row['pairs']}"]
        if "srcc" in row:
            cells += [
                _interval_cell(row, "srcc"),
                _interval_cell(row, "mse"),
                _interval_cell(row, "bias", "+"),
            ]
        else:
            cells += ["", f"{row['mse']:.3f}", f"{row['bias']:+.3f}"]
        lines += [f"| {' | '.join(cells)} |"]
    return [*lines, "", SLICED]


def _table(split: EvaluatedSplit) -> list[str]:
    rows, ranges = split.metrics, split.ceiling_metrics
    lines = [f"## {split.name}, {len(split.comparison.frame)} pairs", ""]
    lines += [HEADER.format(headline=split.headline), "|---|---|---|---|---|---|---|"]
    lines += [_row(name, row, split.differences.get(name)) for name, row in rows.items()]
    confidence = f"{split.comparison.config.confidence:.0%}"
    over = ONE_TRAINING.format(resampled=RESAMPLED[split.comparison.config.cluster])
    lines += ["", f"Brackets: {confidence} bootstrap intervals. {over}"]
    if not ranges:
        lines += ["The raters are too few, or agree too little, for a noise ceiling."]
    else:
        lines += [
            f"Noise ceiling of these raters, {words}: "
            f"SRCC {_interval_cell(ranges, f'ceiling_srcc{suffix}')}, "
            f"LCC {_interval_cell(ranges, f'ceiling_lcc{suffix}')}, "
            f"KTAU {_interval_cell(ranges, f'ceiling_ktau{suffix}')}; "
            f"floor of the MSE: {_interval_cell(ranges, f'floor_mse{suffix}')}."
            for words, suffix in CEILINGS
        ]
        lines += [RANGE]
    return [*lines, "", FITTED_HERE] if split.headline == CROSSFITTED else lines


def _row(name: str, row: Mapping[str, float], difference: Mapping[str, float] | None) -> str:
    share = ""
    if "ceiling_share_srcc" in row:
        deconvolved = row["ceiling_share_srcc_deconvolved"]
        share = f"{row['ceiling_share_srcc']:.0%} to {deconvolved:.0%}"
    cells = [name, _interval_cell(row, "srcc"), share]
    cells += [*(_interval_cell(row, metric) for metric in ("lcc", "ktau", "mse")), ""]
    if difference is not None:
        cells[-1] = _interval_cell(difference, "srcc_difference", "+")
    return f"| {' | '.join(cells)} |"


def _interval_cell(source: Mapping[str, float], key: str, sign: str = "") -> str:
    value, low, high = (source[k] for k in (key, f"{key}_lo", f"{key}_hi"))
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
