"""The page of an evaluation for people: a table per split as Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.ensemble import CROSSFITTED, Ensemble
from soundjudge.scoring.evaluation import evaluation, systems
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit

HEADER = "| system | SRCC | of ceiling | LCC | KTAU | MSE | SRCC of {headline} minus its own |"
CEILINGS = (
    ("by split halves", "ceiling_", "floor_mse"),
    ("by deconvolution", "deconvolved_", "deconvolved_floor_mse"),
)
FITTED_HERE = (
    "The weights and the calibration of `ensemble` were fitted on these validation ratings: its "
    "numbers are too good. Each score of `ensemble_crossfitted` is by a fit without the pair's own "
    "rating: compare that row. Members may have stopped their training by this split, too."
)


def write_page(
    splits: Sequence[EvaluatedSplit],
    fitted: Ensemble,
    note: str,
    path: Path,
    more: Sequence[str] = (),
) -> None:
    """Writes a table per split as Markdown, what its words mean, the weights, and `more` lines."""
    lines = [f"# {plotting.title_with_note('Agreement with listeners', note)}"]
    for split in splits:
        lines += ["", *_table(split)]
    weights = zip(fitted.members, fitted.weights, strict=True)
    lines += ["", "Ensemble weights: " + ", ".join(f"{n} {w:.3f}" for n, w in weights) + "."]
    lines += ["", *more] if more else []
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(split: EvaluatedSplit) -> list[str]:
    rows, differences = evaluation.system_metrics(split), evaluation.ensemble_differences(split)
    lines = [f"## {split.name}, {len(split.comparison.frame)} pairs", ""]
    lines += [HEADER.format(headline=split.headline), "|---|---|---|---|---|---|---|"]
    lines += [_row(name, row, differences.get(name)) for name, row in rows.items()]
    confidence = f"{split.comparison.confidence:.0%}"
    cluster = split.comparison.cluster
    resampled = {"none": "pairs", "both": "texts and generators", "text": "texts"}.get(
        cluster, "generators"
    )
    lines += ["", f"Brackets: {confidence} bootstrap intervals over {resampled}. p: after Holm."]
    if split.ceilings is None:
        lines += ["The raters are too few, or agree too little, for a noise ceiling."]
    else:
        ranges = systems.ceiling_metrics(split.comparison, split.ceilings)
        lines += [
            f"Noise ceiling of these raters, {words}: SRCC {_bracketed(ranges, f'{key}srcc')}, "
            f"LCC {_bracketed(ranges, f'{key}lcc')}, KTAU {_bracketed(ranges, f'{key}ktau')}; "
            f"floor of the MSE: {_bracketed(ranges, floor)}."
            for words, key, floor in CEILINGS
        ]
    return [*lines, "", FITTED_HERE] if split.headline == CROSSFITTED else lines


def _row(name: str, row: Mapping[str, float], difference: Mapping[str, float] | None) -> str:
    share = ""
    if "share_of_ceiling" in row:
        share = f"{row['share_of_ceiling']:.0%} to {row['share_of_deconvolved']:.0%}"
    cells = [name, _bracketed(row, "srcc"), share]
    cells += [*(_bracketed(row, metric) for metric in ("lcc", "ktau", "mse")), ""]
    if difference is not None:
        p = difference["p_bootstrap_holm"]
        cells[-1] = f"{_bracketed(difference, 'difference', '+')}, p {p:.2g}"
    return f"| {' | '.join(cells)} |"


def _bracketed(source: Mapping[str, float], key: str, sign: str = "") -> str:
    value, low, high = (source[k] for k in (key, f"{key}_lo", f"{key}_hi"))
    return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"
