"""What `evaluate` says of each split: numbers, ceiling, ensemble against members, generators.

A system is a member or the ensemble; its column holds scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd

from soundjudge.errors import ReliabilityError
from soundjudge.labels.ratings import reliability
from soundjudge.labels.ratings.reliability import Ceiling
from soundjudge.reporting import metrics, plotting
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble import matching
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.evaluation import report, significance
from soundjudge.scoring.evaluation.report import PAIR, SystemComparison

ENSEMBLE, CROSSFITTED = "ensemble", "ensemble_crossfitted"
# Fewer generators than this are no basis for a correlation between them.
FEWEST_GENERATORS = 3

HEADER = "| system | SRCC | of ceiling | LCC | KTAU | MSE | {headline} is above it by |"
FITTED_HERE = (
    "The weights and the calibration of `ensemble` were fitted on these very validation ratings: "
    "its row flatters. For `ensemble_crossfitted` no pair's own rating took part: compare that "
    "row. Members may have stopped their training by this split, too."
)


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How certain, how repeatable, and of what the numbers are."""

    bootstrap: int  # resamples
    confidence: float  # of every interval
    seed: int

    def __post_init__(self) -> None:
        if self.bootstrap < 1:
            raise ValueError(f"bootstrap is {self.bootstrap}: choose 1 or more resamples")
        if not 0 < self.confidence < 1:
            raise ValueError(f"confidence is {self.confidence}: choose a share between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class EvaluatedSplit:
    """One split, judged. Its frame has wav_file_name, text, average_score, model_id, systems."""

    split: str
    compared: SystemComparison
    ceiling: Ceiling | None  # None where raters are too few or do not agree

    @property
    def headline(self) -> str:
        """The system that speaks for the ensemble: where it was fitted, the cross-fitted one."""
        return next(name for name in (CROSSFITTED, ENSEMBLE) if name in self.compared.systems)


def evaluate_split(
    scores: pd.DataFrame, ratings: pd.DataFrame, evaluation: EvaluationConfig
) -> EvaluatedSplit:
    """Joins `scores` (wav_file_name, text, a column a system) with the raw RATINGS of one split."""
    (split,) = set(ratings["split"])
    pairs = ratings.groupby(PAIR, sort=False).agg(
        average_score=("score", "mean"), model_id=("model_id", "first")
    )
    frame = matching.match_pairs(
        scores, pairs.reset_index(), f"the predictions of {split}", f"the ratings of {split}"
    )
    return EvaluatedSplit(
        split=split,
        compared=report.compare_systems(
            frame,
            [str(column) for column in scores if column not in PAIR],
            resamples=evaluation.bootstrap,
            confidence=evaluation.confidence,
            seed=evaluation.seed,
        ),
        ceiling=_ceiling(ratings, evaluation.seed),
    )


def evaluation_results(splits: Sequence[EvaluatedSplit], note: str) -> dict[str, object]:
    """{split: {system: numbers, "ceiling": ..., "difference": {member: ...}}}, and the note."""
    found: dict[str, object] = {"note": note}
    for judged in splits:
        ceiling = {} if judged.ceiling is None else {"ceiling": asdict(judged.ceiling)}
        found[judged.split] = (
            system_metrics(judged) | ceiling | {"difference": ensemble_differences(judged)}
        )
    return found


def system_metrics(judged: EvaluatedSplit) -> dict[str, dict[str, float]]:
    """{system: its numbers}, with shares of the ceiling and SRCC over generators, if any."""
    rows = {}
    generators = generator_means(judged)
    for system in judged.compared.systems:
        rows[system] = report.metrics_with_intervals(judged.compared, system)
        if judged.ceiling is not None:
            rows[system] |= report.ceiling_shares(rows[system], judged.ceiling)
        if len(generators) >= FEWEST_GENERATORS:
            rows[system]["generator_srcc"] = metrics.srcc(
                generators[system], generators["average_score"]
            )
    return rows


def ensemble_differences(judged: EvaluatedSplit) -> dict[str, dict[str, float]]:
    """{member: how far the ensemble is above it}, p-values also Holm-corrected."""
    members = [name for name in judged.compared.systems if name not in (ENSEMBLE, CROSSFITTED)]
    rows = {
        name: report.srcc_difference(judged.compared, judged.headline, name) for name in members
    }
    for test in ("p_bootstrap", "p_williams"):
        corrected = significance.holm([row[test] for row in rows.values()])
        for row, p in zip(rows.values(), corrected, strict=True):
            row[f"{test}_holm"] = p
    return rows


def generator_means(judged: EvaluatedSplit) -> pd.DataFrame:
    """Mean rating and mean score of every system: a row for each model_id that is given."""
    frame = judged.compared.frame
    grouped = frame[frame["model_id"].notna()].groupby("model_id", sort=True)
    table = grouped[["average_score", *judged.compared.systems]].mean()
    table.insert(0, "pairs", grouped.size())
    return table.reset_index().assign(split=judged.split)


def write_generators(splits: Sequence[EvaluatedSplit], note: str, path: Path) -> None:
    """Writes the rows of `by_generator`; only a header where no generator is named."""
    table = pd.concat([generator_means(judged) for judged in splits], ignore_index=True)
    table.insert(0, "split", table.pop("split"))
    table["note"] = note
    with artifacts.atomic_file(path) as temporary:
        table.to_csv(temporary, index=False, lineterminator="\n")


def write_page(splits: Sequence[EvaluatedSplit], fitted: Ensemble, note: str, path: Path) -> None:
    """Writes every split's table as Markdown, what its words mean, and the ensemble's weights."""
    lines = [f"# {plotting.title_with_note('Agreement with listeners', note)}"]
    for judged in splits:
        lines += ["", *_table(judged)]
    weights = zip(fitted.members, fitted.weights, strict=True)
    lines += ["", "Ensemble weights: " + ", ".join(f"{n} {w:.3f}" for n, w in weights) + "."]
    with artifacts.atomic_file(path) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _table(judged: EvaluatedSplit) -> list[str]:
    rows, above = system_metrics(judged), ensemble_differences(judged)
    lines = [f"## {judged.split}, {len(judged.compared.frame)} pairs", ""]
    lines += [HEADER.format(headline=judged.headline), "|---|---|---|---|---|---|---|"]
    lines += [_row(name, row, above.get(name)) for name, row in rows.items()]
    confidence = f"{judged.compared.confidence:.0%}"
    lines += ["", f"Brackets: {confidence} bootstrap intervals over pairs. p: after Holm."]
    if judged.ceiling is None:
        lines += ["The raters are too few, or agree too little, for a noise ceiling."]
    else:
        most = judged.ceiling
        lines += [
            f"Noise ceiling of these raters: SRCC {most.srcc:.3f}, LCC {most.lcc:.3f}, "
            f"KTAU {most.ktau:.3f}; floor of the MSE: {most.mse:.3f}."
        ]
    return [*lines, "", FITTED_HERE] if judged.headline == CROSSFITTED else lines


def _row(name: str, row: Mapping[str, float], above: Mapping[str, float] | None) -> str:
    def bracketed(key: str, sign: str = "") -> str:
        source = row if above is None or key in row else above
        value, low, high = (source[k] for k in (key, f"{key}_lo", f"{key}_hi"))
        return f"{value:{sign}.3f} [{low:{sign}.3f}, {high:{sign}.3f}]"

    share = f"{row['share_of_ceiling']:.0%}" if "share_of_ceiling" in row else ""
    gap = (
        ""
        if above is None
        else f"{bracketed('difference', '+')}, p {above['p_bootstrap_holm']:.2g}"
    )
    cells = [name, bracketed("srcc"), share, bracketed("lcc")]
    cells += [f"{row['ktau']:.3f}", f"{row['mse']:.3f}", gap]
    return f"| {' | '.join(cells)} |"


def _ceiling(ratings: pd.DataFrame, seed: int) -> Ceiling | None:
    try:
        return reliability.noise_ceiling(ratings, seed=seed)
    except ReliabilityError:
        return None
