"""How long a step of `align` takes, next to the plain way and to what the machine could do.

    python benchmarks/align.py [--device auto --layers 24 --precision fp32 --steps 2]

At the published sizes with random weights, a step (forward, loss, backward, clipping, AdamW) on a
list of 16 pairs in these ways, which take turns in one process and on the same weights:

    plain             16 sounds from wav files through BEATs, every pair a sequence of its own
    ours              features from a memory-mapped corpus, as in recipes/tmu2026.yaml
    ours, in memory   the same, the features in memory already
    ours, shared      sounds first, and a sequence a sound with 4 captions behind it

The features are dropped from the page cache before every step. Prints markdown tables: the least
of the seconds, as other work on the machine can only add. On a CPU, ratios and rates are those of
processor seconds, which such work leaves nearly alone where there is one thread
(OMP_NUM_THREADS=1). `operations.py` has the arithmetic.
"""

import argparse
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import operations
import torch
from align_corpus import CAPTIONS, Corpus, Held
from machine import Clock, matrix_rate
from operations import PAIRS, RECIPE
from random_lalm import lalm
from torch import Tensor

from soundjudge import params
from soundjudge.model.audio.beats.beats import Beats
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.prompt import Order
from soundjudge.runtime import devices
from soundjudge.training import pretrain
from soundjudge.training.lalm.training_pairs import gather_features
from soundjudge.training.loop.updates import Indices, Updates
from soundjudge.training.ranking.lists import Draw, clip_lists, random_lists
from soundjudge.training.ranking.ranking import list_loss

LOADS = 30  # lists whose loading is timed


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a list is made and scored."""

    order: Order = "text_first"
    together: int = 1  # captions of a clip in a list
    plain: bool = False
    held: bool = False  # features in memory

    def lists(self, corpus: Corpus, rng: np.random.Generator) -> Indices:
        """Lists (L, S) of the pairs that this way can score."""
        clips = corpus.pairs.clip[: PAIRS * CAPTIONS] if self.plain else corpus.pairs.clip
        draw: Draw = random_lists(len(clips), PAIRS)
        if self.together > 1:
            draw = clip_lists(clips, PAIRS, self.together)
        return draw(rng)


WAYS = {
    "plain": Way(plain=True),
    "ours": Way(),
    "ours, in memory": Way(held=True),
    "ours, shared": Way(order="audio_first", together=CAPTIONS),
}


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a step took."""

    wall: float  # seconds
    busy: float  # processor seconds on a CPU, wall seconds on a GPU
    operations: int
    peak: float  # GiB


class Bench:
    """The model, its optimizer and the corpus; a step of any way."""

    def __init__(self, model: Lalm, corpus: Corpus, alignment: pretrain.PretrainConfig) -> None:
        self.model, self.corpus, self.alignment = model, corpus, alignment
        self.device = next(model.parameters()).device
        self.bf16 = alignment.optimization.precision == "bf16"
        self.of_lists = list_loss(alignment, corpus.pairs.targets)
        self.updates = Updates(model, self._loss, alignment.optimization)
        self.features: Held | None = None
        self.way = WAYS["plain"]

    def step(self, way: Way, items: Indices) -> Taken:
        """One step on the lists `items` (1, S)."""
        self._go(way)
        self.features = None
        if way.held:
            sounds = self.corpus.pairs.sounds_of(items.ravel())
            self.features = Held(self.corpus.features, sounds)
        self.corpus.forget()
        generator, rate = torch.Generator(), self.alignment.optimization.learning_rate
        clock = Clock(self.device)
        self.updates.step(items, rate, generator)
        wall, busy = clock.seconds()
        needed = self._operations(items)
        return Taken(wall=wall, busy=busy, operations=needed, peak=clock.peak())

    @torch.no_grad()
    def said(self, way: Way, items: Indices) -> Tensor:
        """The scores of lists without dropout, as the precision gives them: (1, S)."""
        self._go(way)
        self.model.eval()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            scores = self._scores(items).float().cpu()
        self.model.train()
        return scores

    def _operations(self, items: Indices) -> int:
        sizes, way = self.corpus.sizes, self.way
        words = [len(text.split()) for text in self.corpus.pairs.texts_of(items.ravel())]
        sequences = operations.alone(sizes.frontend, words)
        if way.together > 1:
            sequences = operations.shared(sizes.frontend, words, way.together)
        return sum(operations.step(sizes, sequences, PAIRS, plain=way.plain).values())

    def _go(self, way: Way) -> None:
        self.way = way
        self.model.config = replace(self.model.config, order=way.order)

    def _loss(self, model: Lalm, items: Indices, _: torch.Generator) -> Tensor:
        wanted, weights = self.corpus.pairs.wanted(items, self.device)
        return self.of_lists(self._scores(items), wanted, weights)

    def _scores(self, items: Indices) -> Tensor:
        given = self.corpus.pairs
        if not self.way.plain:
            features = self.features or self.corpus.features
            return pretrain.score_lists(self.model, features, given, items, self.way.together)
        flat = items.ravel()
        sounds = self.corpus.encoded(given.sounds_of(flat))
        return self.model.scores(sounds, given.texts_of(flat)).view(items.shape)


def report_steps(bench: Bench, steps: int) -> None:
    """The table of the ways."""
    rng = np.random.default_rng(1)
    lists = {name: way.lists(bench.corpus, rng)[: steps + 1] for name, way in WAYS.items()}
    warm = WAYS if bench.device.type == "cuda" else ["ours, shared"]
    for name in warm:
        bench.step(WAYS[name], lists[name][steps:])
    taken: dict[str, list[Taken]] = {name: [] for name in WAYS}
    rates = []
    for turn in range(steps):
        for name, way in WAYS.items():
            rates.append(matrix_rate(bench.device, bench.bf16))
            taken[name].append(bench.step(way, lists[name][turn : turn + 1]))
            sys.stderr.write(f"{name}, {rates[-1] / 1e9:.1f}: {taken[name][-1]}\n")
    plain = min(step.busy for step in taken["plain"])
    print("| a step on 16 pairs | wall s | busy s | times faster | of matrix rate | peak |")
    print("|---|---|---|---|---|---|")
    for name, some in taken.items():
        least = min(step.busy for step in some)
        rate = max(step.operations / step.busy for step in some)
        cells = [f"{min(step.wall for step in some):.3g}", f"{least:.3g}", f"{plain / least:.2f}"]
        cells += [f"{rate / max(rates):.0%}", f"{max(step.peak for step in some):.1f} GiB"]
        print(f"| {name} | {' | '.join(cells)} |")
    low, high = min(rates) / 1e9, max(rates) / 1e9
    print(f"\nMatrix rate: {high:,.0f} x 10^9 a busy second (the least of them {low:,.0f}).\n")


def report_scores(bench: Bench) -> None:
    """How far the ways are apart on the same weights."""
    each = CAPTIONS * np.arange(PAIRS).reshape(1, -1)  # a pair of every clip with a wav file
    plain, ours = (bench.said(WAYS[name], each) for name in ("plain", "ours"))
    groups = np.arange(PAIRS).reshape(1, -1)
    shared, apart = (
        bench.said(replace(WAYS["ours, shared"], together=together), groups)
        for together in (CAPTIONS, 1)
    )
    print("| scores of 16 pairs | standard deviation | largest difference |\n|---|---|---|")
    for name, one, other in (("plain, ours", plain, ours), ("alone, shared", apart, shared)):
        print(f"| {name} | {one.std():.3g} | {(one - other).abs().max():.1e} |")


def report_loading(bench: Bench) -> None:
    """Milliseconds in which the features of a list are read, from disk and from the page cache."""
    lists = WAYS["ours"].lists(bench.corpus, np.random.default_rng(2))
    taken: dict[str, list[float]] = {"from disk": [], "from the page cache": []}
    for name in taken:
        bench.corpus.forget()
        if name == "from the page cache":
            for block in bench.corpus.features.blocks():
                block.sum()
        for number in range(LOADS):
            if name == "from disk":
                bench.corpus.forget()
            sounds = bench.corpus.pairs.sounds_of(lists[number % len(lists)])
            start = time.perf_counter()
            gather_features(bench.corpus.features, sounds)
            taken[name].append(time.perf_counter() - start)
    print("| features of 16 pairs | milliseconds, median | least |\n|---|---|---|")
    for name, seconds in taken.items():
        print(f"| {name} | {1000 * median(seconds):.1f} | {1000 * min(seconds):.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--layers", type=int, default=24, help="of the language model")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--steps", type=int, default=2, help="of each way")
    parser.add_argument("--clips", type=int, default=2000, help="of the corpus")
    options = parser.parse_args()

    torch.manual_seed(0)
    device = devices.process_state(options.device).device
    alignment = params.load("pretrain", pretrain.PretrainConfig, RECIPE)
    optimization = replace(alignment.optimization, precision=options.precision)
    sizes = operations.published(options.layers)
    beats = Beats(sizes.beats).eval().to(device)
    model = lalm(sizes.llm, sizes.around, sizes.frontend, sizes.beats.encoder_embed_dim)
    model.to(device).train()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder), sizes, beats, options.clips)
        bench = Bench(model, corpus, replace(alignment, optimization=optimization))
        report_scores(bench)
        report_steps(bench, options.steps)
        report_loading(bench)


if __name__ == "__main__":
    main()
