"""Members refitted without each generator, for folds that hold out generators.

A member is refitted by its own stage, on the training pairs of the other generators, and scores
validation; a training takes as many epochs as it was selected to take. So a pair of validation has
a score by a member that has seen neither it nor any sound of its generator with a rating. A choice
of the method inside a fold uses the refits without the other generators, which know the held-out
one by its pairs of train. The teacher's pseudo-labels keep their training, generators included.
N = pairs of validation.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from soundjudge.data.tables import tables
from soundjudge.data.tables.schema import Table
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.matching import PAIR, match_pairs

FOLDER = "refit"  # beside the members' predictions
REFITS = Table(
    name="refits",
    columns={"generator": "str", **tables.PREDICTIONS.columns},
    key=("generator", *tables.PREDICTIONS.key),
    files=tables.PREDICTIONS.files,
    digits=tables.PREDICTIONS.digits,
)
SCRIPTS = {"regress": "stages/regress.py", "fusion": "stages/fusion.py"}
TRAININGS = {"clapscore": "final/tune_clap.py"}  # they write a history, too
FINETUNE, FINETUNE_SCRIPT = "finetune/", "final/finetune.py"
SCALE, CHOICE = "global.json", "choice.json"  # of a folder of targets


@dataclass(frozen=True, kw_only=True)
class RefitConfig:
    """Section `refit` of params.yaml."""

    members: tuple[str, ...] = ()
    """Checkpoints below checkpoints/ that are refitted without each generator: regress and fusion
    take minutes per generator, clapscore a training of CLAP, and finetune/NAME one of the language
    model, which is hours; others keep their training. Needs ensemble.folds_by generator or both."""

    def __post_init__(self) -> None:
        for name in self.members:
            if name not in SCRIPTS | TRAININGS and not name.startswith(FINETUNE):
                names = ", ".join((*SCRIPTS, *TRAININGS, f"{FINETUNE}NAME"))
                raise SoundjudgeError(
                    f"members has {name!r}, no training on ratings: there are {names}"
                )


def fit_command(member: str, folder: Path) -> list[str]:
    """The script that fits a member to `folder`/targets into `folder`/checkpoint."""
    paths = [str(folder / name) for name in ("targets", "checkpoint", "history.csv")]
    if member in SCRIPTS:
        return [SCRIPTS[member], *paths[:2]]
    if member.startswith(FINETUNE):
        return [FINETUNE_SCRIPT, member.removeprefix(FINETUNE), *paths]
    return [TRAININGS[member], *paths]


def held_out_generators(
    train: pd.DataFrame, rated: pd.DataFrame
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Generators of train and of validation: each with the TARGETS of the other generators.

    `train` is a TARGETS table, `rated` a RATED table.
    """
    learned = train[PAIR].merge(rated, on=PAIR, how="left")["model_id"].to_numpy()
    scored = rated.loc[rated["split"] == "validation", "model_id"]
    for generator in sorted({*scored.dropna()} & {*pd.Series(learned).dropna()}):
        others = train[learned != generator]
        if others.empty:
            raise SoundjudgeError(
                f"refit.members: all training pairs are from {generator}: leave it empty"
            )
        yield generator, others


def write_targets(folder: Path, source: Path, train: pd.DataFrame) -> None:
    """Writes a folder of targets as that of `source`, with other pairs of train and no others."""
    with artifacts.atomic_folder(folder) as temporary:
        tables.write_table(train, temporary / "train.csv", tables.TARGETS)
        for name in (SCALE, CHOICE):
            if (source / name).is_file():
                shutil.copyfile(source / name, temporary / name)


def join_refits(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """A REFITS table of the parts; of none where train has no generator of validation.

    There every member is without the generators that it is held against, as it is.
    """
    kinds = {name: "float64" if kind == "float" else "str" for name, kind in REFITS.columns.items()}
    return pd.concat([pd.DataFrame(columns=list(kinds)).astype(kinds), *parts], ignore_index=True)


def read_refits(
    folder: Path, members: dict[str, str], refitted: Sequence[str], panel: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """By generator: a column of scores (N,) per refitted member, in the rows of the panel.

    `folder` holds the members' predictions; `members` are their checkpoints by name.
    """
    columns: dict[str, pd.DataFrame] = {}
    for name, checkpoint in members.items():
        if checkpoint not in refitted:
            continue
        path = folder / FOLDER / f"{checkpoint}.csv"
        for generator, part in tables.read_table(path, REFITS).groupby("generator"):
            scores = match_pairs(part[[*PAIR, "pred_score"]], panel[PAIR], str(path), "validation")
            column = scores["pred_score"].to_numpy()
            frame = columns.get(str(generator), pd.DataFrame(index=panel.index))
            columns[str(generator)] = frame.assign(**{name: column})
    return columns
