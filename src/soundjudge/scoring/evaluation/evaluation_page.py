"""The page of an evaluation for people: a table per split as Markdown."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from soundjudge.reporting import plotting
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.ensemble import CROSSFITTED, Ensemble
from soundjudge.scoring.evaluation import evaluation
from soundjudge.scoring.evaluation.evaluation import EvaluatedSplit

HEADER = "| system | SRCC | of ceiling | LCC | KTAU | MSE | SRCC of {headline} minus its own |"
FITTED_HERE = (
    "The weights and the calibration of `ensemble` were fitted on these validation ratings: its "
    "numbers are too good. Each score of `ensemble_crossfitted` is by a fit without the pair's own "
    "rating: compare that row. Members may have stopped their training by this split, too."
)


def write_page(splits: Sequence[EvaluatedSplit], fitted: Ensemble, note: str, path: Path) -> None:
    """Writes a table per split as Markdown, what its words mean, and the ensemble's weights."""
    lines = [f"# {plotting.title_with_note('Agreement with listeners', note)}"]
    for split in splits:
        lines += ["", *_table(split)]
    weights = zip(fitted.members, fitted.weights, strict=True)
    lines += ["", "Ensemble weights: " + ", ".join(f"{n} {w:.3f}" for n, w in weights) + "."]
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(split: EvaluatedSplit) -> list[str]:
    rows, differences = evaluation.system_metrics(split), evaluation.ensemble_differences(split)
    lines = [f"## {split.name}, {len(split.comparison.frame)} pairs", ""]
    lines += [HEADER.format(headline=split.headline), "|---|---|---|---|---|---|---|"]
    lines += [_row(name, row, differences.get(name)) for name, row in rows.items()]
    confidence = f"{split.comparison.confidence:.0%}"
    lines += ["", f"Brackets: {confidence} bootstrap intervals over pairs. p: after Holm."]
    if split.ceiling is None:
        lines += ["The raters are too few, or agree too little, for a noise ceiling."]
    else:
        ceiling = split.ceiling
        lines += [
            f"Noise ceiling of these raters: SRCC {ceiling.srcc:.3f}, LCC {ceiling.lcc:.3f}, "
            f"KTAU {ceiling.ktau:.3f}; floor of the MSE: {ceiling.mse:.3f}."
        ]
    return [*lines, "", FITTED_HERE] if split.headline == CROSSFITTED else lines


def _row(name: str, row: Mapping[str, float], difference: Mapping[str, float] | None) -> str:
    def bracketed(source: Mapping[str, float], key: str, sign: str = "") -> str:
        value, low, high = (source[k] for k in (key, f"{key}_lo", f"{key}_hi"))
        return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"

    share = f"{row['share_of_ceiling']:.0%}" if "share_of_ceiling" in row else ""
    cells = [name, bracketed(row, "srcc"), share, bracketed(row, "lcc")]
    cells += [f"{row['ktau']:.3f}", f"{row['mse']:.3f}", ""]
    if difference is not None:
        p = difference["p_bootstrap_holm"]
        cells[-1] = f"{bracketed(difference, 'difference', '+')}, p {p:.2g}"
    return f"| {' | '.join(cells)} |"
