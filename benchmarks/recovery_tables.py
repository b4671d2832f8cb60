"""Tables and conclusion of the recovery study: measurements to Markdown."""

from typing import cast

import pandas as pd
from provenance import figures_of_commit

FACTORS = ("ratings per pair", "ratings per listener", "careless", "spread", "manner")
SCREENINGS = ("none", "rating", "listener", "both")
TARGETS = ("mean", "SPO", "SPO shrunken", "latent")
LIKE_XACLE = {"ratings per pair": 4, "ratings per listener": 13, "spread": "medium"}

INTRODUCTION = """# How well targets recover the truth (simulated)

{commit}

All listeners here are simulated: {pairs} pairs per simulation, {cells} conditions, seeds {seeds}.
Truth: 10 x Beta(1.3, 0.5). Spreads of bias and log scale: small 0.3 and 0.05, medium 0.9 and 0.2,
large 1.5 and 0.4; noise 1.3 points; ratings are whole points cut at 0 and 10. Careless listeners
rate at random or always alike; with lapses everybody rates at random now and then. A pair that
screening loses counts with the mean target. "error / se" is the standard deviation of the latent
score's error over its standard error, on the scale of the truth: 1 where it is right. These
listeners have bias, scale and noise, as the latent model believes; real ones may not. Made by
`python benchmarks/listener_recovery.py`.
"""


def markdown(frame: pd.DataFrame, *, signed: bool = False) -> str:
    """Markdown, the index as first columns; numbers with three places."""
    frame = frame.reset_index()

    def cell(value: object) -> str:
        if not isinstance(value, float):
            return str(value)
        if value != value:
            return ""
        return f"{value:+.3f}" if signed else f"{value:.3f}"

    lines = [frame.columns.map(str), ["---"] * len(frame.columns)]
    lines += [
        [str(v) if isinstance(v, str) else cell(v) for v in row] for row in frame.values.tolist()
    ]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def by_target(correlations: pd.DataFrame, index: list[str], score: str = "srcc") -> pd.DataFrame:
    """Mean score by `index`, one column per target."""
    wide = correlations.pivot_table(index=index, columns="target", values=score, sort=False)
    return wide[list(TARGETS)].rename_axis(columns=None)


def with_spread(correlations: pd.DataFrame, score: str) -> pd.DataFrame:
    """Mean over all conditions ± standard deviation over seeds of that mean."""
    seeds = by_target(correlations, ["screening", "seed"], score)
    by_screening = seeds.groupby("screening", sort=False)
    mean, spread = by_screening.mean(), by_screening.std()
    return mean.map("{:.3f}".format) + " ± " + spread.map("{:.4f}".format)


def gains(correlations: pd.DataFrame, index: list[str]) -> pd.DataFrame:
    """SRCC above that of the mean rating, without screening."""
    wide = by_target(correlations[correlations["screening"] == "none"], index)
    return wide.sub(wide["mean"], axis=0).drop(columns="mean")


def conclusion(correlations: pd.DataFrame, where: str) -> str:
    """Which target and screening came nearest, by how much, and how sure that is."""
    cells = correlations.pivot_table(
        index=["seed", *FACTORS], columns=["target", "screening"], values="srcc", sort=False
    )
    best = cast("tuple[str, str]", cells.mean().idxmax())
    lines = [
        f"Simulated listeners, {where}: {best[0]} with screening {best[1]} comes nearest, by\n"
    ]
    others = [("mean", "none"), ("SPO", "rating"), *((best[0], s) for s in SCREENINGS)]
    for other in others:
        if other == best:
            continue
        gain = cells[best] - cells[other]
        seeds = gain.groupby("seed").mean()
        wins = (gain.groupby(list(FACTORS), sort=False).mean() > 0).mean()
        lines.append(
            f"- {gain.mean():+.4f} ± {seeds.std():.4f} SRCC to {other[0]} with screening "
            f"{other[1]}; it is better in {wins:.0%} of the conditions"
        )
    return "\n".join(lines) + "\n"


def page(
    correlations: pd.DataFrame, detections: pd.DataFrame, priors: pd.DataFrame, *, pairs: int
) -> tuple[str, str]:
    """The aggregates, and the whole grid."""
    seeds = ", ".join(str(seed) for seed in correlations["seed"].unique())
    xacle = correlations[(correlations[list(LIKE_XACLE)] == pd.Series(LIKE_XACLE)).all(axis=1)]
    plain = correlations[correlations["screening"] == "none"]
    effects = []
    for factor in FACTORS:
        effect = by_target(plain, [factor])
        ratio = detections[detections["screening"] == "none"].groupby(factor)["error / se"].mean()
        effects.append(effect.join(ratio).rename(index=f"{factor}: {{}}".format))
    effects_table = pd.concat(effects).rename_axis("level")
    manners = detections[
        detections["manner"].isin(["at random", "constant"]) & (detections["screening"] != "none")
    ]
    detected = manners.groupby(["manner", "ratings per listener", "screening"], sort=False)
    figures = list(
        detections.columns[list(detections.columns).index("screening") + 1 :].drop("error / se")
    )
    attentive = correlations["manner"] == "all attentive"
    factors = ["spread", "ratings per listener"]
    careless = gains(correlations[~attentive], factors).add_suffix(" (careless)")
    helped = gains(correlations[attentive], factors).join(careless)
    parts = {
        "": INTRODUCTION.format(
            commit=figures_of_commit(),
            pairs=pairs,
            seeds=seeds,
            cells=correlations.groupby(list(FACTORS)).ngroups,
        ),
        "SRCC with the truth, mean over all conditions ± deviation over seeds": markdown(
            with_spread(correlations, "srcc")
        ),
        "SRCC on the pairs that no screening loses": markdown(
            with_spread(correlations, "srcc kept")
        ),
        "LCC of all pairs": markdown(with_spread(correlations, "lcc")),
        "SRCC by ratings per pair": markdown(
            by_target(correlations, ["ratings per pair", "screening"])
        ),
        "Like XACLE: 4 ratings per pair, 13 per listener, medium spread": markdown(
            by_target(xacle, ["careless", "manner", "screening"])
        ),
        "Main effects, SRCC without screening": markdown(effects_table),
        "Where standardizing helps: SRCC above the mean rating's, without screening": markdown(
            helped, signed=True
        ),
        "Careless listeners found: more than half of their ratings went": markdown(
            detected[figures].mean()
        ),
        "Priors of the latent model: SRCC at 4 ratings per pair, without screening": markdown(
            priors
        ),
        "Conclusion": conclusion(correlations, "all conditions")
        + "\n"
        + conclusion(xacle, "like XACLE"),
    }
    text = "\n".join(f"## {title}\n\n{part}" if title else part for title, part in parts.items())
    whole = correlations.pivot_table(
        index=list(FACTORS), columns=["screening", "target"], values="srcc", sort=False
    )
    whole.columns = whole.columns.map(", ".join)
    return text, f"\n## Every condition: SRCC, mean over seeds\n\n{markdown(whole)}"
