"""Which order of text and sound learns better on the sample: trains both and prints a table.

python benchmarks/prompt_order.py [--seeds 1 2 3]

For each order a stand-in language model of its own, which learnt to read in that order with equal
steps, and then the three trainings of params.yaml. Rooms and their upkeep are those of ablation.py.
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
from ablation import ROOT, Training

from soundjudge import artifacts, params
from soundjudge.data import tables
from soundjudge.sample import scenes, standin_llm
from soundjudge.scoring import evaluation

ORDERS = ("text_first", "audio_first")
STANDINS = ROOT / "checkpoints/sample"
ROOM = ROOT / "work/prompt_order"


def language_model(order: str) -> Path:
    """A stand-in language model that learnt in `order`; the committed one is text_first."""
    committed = params.load("llm", standin_llm.LlmTraining, STANDINS / "params.yaml")
    if order == committed.order:
        return STANDINS / "llm"
    folder = ROOM / f"llm-{order}"
    if not folder.exists():
        training = dataclasses.replace(committed, order=order)
        pool = scenes.recordings(ROOT / "data/sample/clips")
        llm, tokenizer = standin_llm.train(pool, training, logging.info)
        with artifacts.atomic_folder(folder) as made:
            llm.save_pretrained(made)
            tokenizer.save_pretrained(made)
    return folder


def trainings(order: str) -> dict[str, Training]:
    """The three trainings of an order, named apart from the ablation's."""
    llm = {"encoders.llm": str(language_model(order)), "caption.model.order": order}
    names = [f"{step}-{order}" for step in ("caption", "align", "finetune")]
    caption, align, finetune = names
    return {
        caption: Training("caption", llm),
        align: Training("align", llm, (caption,)),
        finetune: Training("finetune full1", llm, (caption, align)),
    }


def scores(trained: dict[str, Path], order: str) -> dict[str, float]:
    """SRCC on test by the listeners' mean ratings, after the second training and the third."""
    steps = {step: trained[f"{step}-{order}"] for step in ("align", "finetune")}
    ratings = tables.read(ROOT / "data/test_labels/ratings.parquet", tables.RATINGS)
    settings = params.load("evaluate", evaluation.Evaluation, ablation.PARAMS)
    judged = evaluation.judged(ablation.scored(steps, "test"), ratings, settings)
    return {step: row["srcc"] for step, row in evaluation.numbers(judged).items() if step in steps}


def learnt(checkpoint: Path) -> float:
    """The best SRCC on validation in a training's history."""
    return float(pd.read_csv(checkpoint.parents[1] / "plots/align/history.csv")["validation"].max())


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    seeds: list[int] = parser.parse_args().seeds
    subprocess.run([sys.executable, "-m", "dvc", "repro"], cwd=ROOT, check=True)
    print("| order | 2: validation, to the teacher | 2: test | 3: test |\n|---|---|---|---|")
    for order in ORDERS:
        rows = []
        for seed in seeds:
            trained = ablation.train(trainings(order), seed)
            test = scores(trained, order)
            rows.append([learnt(trained[f"align-{order}"]), test["align"], test["finetune"]])
        cells = [
            f"{mean(c):.3f}" + (f" ± {stdev(c):.3f}" if len(c) > 1 else "")
            for c in zip(*rows, strict=True)
        ]
        print(f"| {order} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
