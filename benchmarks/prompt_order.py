"""Which order of text and sound learns better on the sample: trains both and prints a table.

PYTHONPATH=checkpoints/sample python benchmarks/prompt_order.py [--seeds 1 2 3]

For each order a stand-in language model of its own, trained in that order with equal steps, and
then the three trainings of params.yaml. They run as those of ablation.py do, which already has the
order of params.yaml. Two seeds or more.
"""

import argparse
import dataclasses
import logging
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

import ablation
import pandas as pd
import standin_llm
from ablation import ROOT, Training

from soundjudge import params
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.sample.composition import scenes
from soundjudge.scoring.evaluation import evaluation
from soundjudge.scoring.evaluation.systems import EvaluationConfig

ORDERS = ("text_first", "audio_first")
STANDINS = ROOT / "checkpoints/sample"
WORKSPACE = ROOT / "work/prompt_order"


def language_model(order: str) -> Path:
    """A stand-in language model trained in `order`; the committed one is text_first."""
    committed = params.load("llm", standin_llm.StandinLlmTraining, STANDINS / "params.yaml")
    if order == committed.order:
        return STANDINS / "llm"
    folder = WORKSPACE / f"llm-{order}"
    if not folder.exists():
        training = dataclasses.replace(committed, order=order)
        pool = scenes.load_recordings(ROOT / "data/sample/clips")
        llm, tokenizer = standin_llm.train_llm(pool, training, logging.info)
        with artifacts.atomic_folder(folder) as temporary:
            llm.save_pretrained(temporary)
            tokenizer.save_pretrained(temporary)
    return folder


def trainings(order: str, llm: Path) -> dict[str, Training]:
    """The trainings 1, 2 and 3 of an order; those of params.yaml's order are the ablation's own."""
    caption, pretrain, finetune = names(order)
    if llm == STANDINS / "llm":
        return {name: ablation.TRAININGS[name] for name in (caption, pretrain, finetune)}
    changes = {"encoders.llm": str(llm), "caption.model.order": order}
    return {
        caption: Training("caption", changes),
        pretrain: Training("pretrain captioned", changes, (caption,)),
        finetune: Training("finetune full1", changes, (caption, pretrain)),
    }


def names(order: str) -> tuple[str, str, str]:
    """The names of the trainings of an order."""
    default = order == params.load("caption.model.order", str, ablation.PARAMS)
    suffix = "" if default else f"-{order}"
    return f"caption{suffix}", f"pretrain{suffix}", f"1+2+3{suffix}"


def scores(trained: dict[str, Path]) -> dict[str, float]:
    """SRCC on test by the listeners' mean ratings of each checkpoint."""
    ratings = tables.read_table(ROOT / "data/test_labels/ratings.parquet", tables.RATINGS)
    config = params.load("evaluate", EvaluationConfig, ablation.PARAMS)
    evaluated = evaluation.evaluate_split(ablation.score(trained, "test"), ratings, config)
    return {name: row["srcc"] for name, row in evaluated.metrics.items()}


def best_validation(checkpoint: Path) -> float:
    """The best SRCC on validation in the history of `pretrain`."""
    return float(
        pd.read_csv(checkpoint.parents[2] / "plots/pretrain/captioned/history.csv")[
            "validation"
        ].max()
    )


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    seeds: list[int] = parser.parse_args().seeds
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=ROOT, check=True)
    print("| order | 2: validation, to the teacher | 2: test | 3: test |\n|---|---|---|---|")
    for order in ORDERS:
        of_order = trainings(order, language_model(order))
        _, pretrain, finetune = names(order)
        rows = []
        for seed in seeds:
            trained = ablation.train(of_order, seed)
            test = scores({name: trained[name] for name in (pretrain, finetune)})
            rows.append([best_validation(trained[pretrain]), test[pretrain], test[finetune]])
        cells = [f"{mean(column):.3f} ± {stdev(column):.3f}" for column in zip(*rows, strict=True)]
        print(f"| {order} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
