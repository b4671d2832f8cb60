"""Whether a judge can tell which event of a text is missing from a sound, and their order.

    python benchmarks/events.py [JUDGE] [--scenes 200]

Scenes of two or three recordings of the test split, with and without the fault, as the sample's
generators commit it; texts are split and scored as `soundjudge score --events` does.
Prints a markdown table; nothing is asserted.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import stats

from soundjudge import Judge, params
from soundjudge.data.audio import audio
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.sample.composition import generators, scenes, upstream
from soundjudge.sample.composition.scenes import Recording, Scene
from soundjudge.scoring.judge.events import score_events

ROOT = Path(__file__).parents[1]
SEED = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judge", nargs="?", default="checkpoints/judge")
    parser.add_argument("--scenes", type=int, default=200)
    options = parser.parse_args()
    judge, rng = Judge.from_pretrained(options.judge), np.random.default_rng(SEED)
    pool = test_recordings()
    print(f"{judge.score_id}, {options.scenes} scenes per row, simulated generators\n")
    print("| question | right | by chance |\n|---|---|---|")
    print_missing(judge, pool, options.scenes, rng)
    print_order(judge, pool, options.scenes, rng)


def test_recordings() -> list[Recording]:
    """Those whose takes are in the test split alone."""
    pool = scenes.load_recordings(ROOT / "data/sample/clips")
    seed = params.load("compose.seed", int, ROOT / "data/sample/params.yaml")
    splits = upstream.split_groups(pool, np.random.default_rng([seed, 3]))
    return [one for one in pool if splits[one.group] == "test"]


def print_missing(
    judge: Judge, pool: Sequence[Recording], count: int, rng: np.random.Generator
) -> None:
    """Which of a text's events has the lowest score, and whether that shows that it is missing."""
    lowest_is_missing, chances, with_all, with_fault = [], [], [], []
    for _ in range(count):
        asked = generators.sample_text_scene(pool, "missing", rng)
        faulty = generators.generate_scene(asked, "missing", pool, rng)
        (event,) = (event for event in asked.events if event not in faulty.events)
        missing = scenes.write_caption(Scene((event,)), rng)
        text = scenes.write_caption(asked, rng)
        whole, lacking = (score_events(judge, render(s, rng), text) for s in (asked, faulty))
        lowest_is_missing.append(lacking.lowest.lower() == missing.lower())
        chances.append(1 / len(asked.events))
        with_all.append(min(whole.scores))
        with_fault.append(min(lacking.scores))
    print_row("the event with the lowest score is the missing one", lowest_is_missing, chances)
    area = stats.mannwhitneyu(with_all, with_fault).statistic / count**2
    print(f"| is an event missing? (area under the curve of the lowest score) | {area:.2f} | .50 |")


def print_order(
    judge: Judge, pool: Sequence[Recording], count: int, rng: np.random.Generator
) -> None:
    """Whether the caption in the sound's order has the higher score."""
    right = []
    for _ in range(count):
        scene = generators.sample_text_scene(pool, "order", rng)
        scored = score_events(judge, render(scene, rng), scenes.write_caption(scene, rng))
        right.append(scored.orders is not None and scored.orders[0] > scored.orders[1])
    print_row("the caption in the sound's order has the higher score", right, [0.5])


def render(scene: Scene, rng: np.random.Generator) -> audio.Sound:
    """Through the channel of a generator, drawn by chance."""
    maker = generators.GENERATORS[int(rng.integers(len(generators.GENERATORS)))]
    wave = generators.apply_channel(scenes.render_scene(scene, rng)[0], maker, rng)
    return audio.sound_from_samples(wave, SAMPLE_RATE)


def print_row(question: str, right: Sequence[bool], chances: Sequence[float]) -> None:
    """The share with its 95 % Wilson interval."""
    share = stats.binomtest(sum(right), len(right)).proportion_ci(method="wilson")
    low, high = share.low, share.high
    print(f"| {question} | {np.mean(right):.2f} [{low:.2f}, {high:.2f}] | {np.mean(chances):.2f} |")


if __name__ == "__main__":
    main()
