"""How long a step of `pretrain` takes, next to the plain way and to what the machine could do.

    python benchmarks/pretrain_step.py [--device auto --layers 24 --precision fp32 --steps 2]

At the published sizes with random weights, a step (forward, loss, backward, clipping, AdamW) on a
list of 16 pairs in these ways, which take turns in one process and on the same weights:

    plain             16 sounds from wav files through BEATs, every pair a sequence of its own
    ours              features from a memory-mapped corpus, as in the recipe tmu2026
    ours, in memory   the same, the features in memory already
    ours, shared      sounds first, and one sequence per sound with 4 captions behind it

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
from machine import Clock, matrix_rate
from operations import PAIRS, RECIPE
from random_corpus import CAPTIONS, Corpus, FeaturesInMemory
from random_lalm import build_lalm
from torch import Tensor

from soundjudge import params
from soundjudge.model.audio.beats.beats import Beats
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.prompt import Order
from soundjudge.runtime import devices
from soundjudge.training.lalm.training_pairs import PairReader, gather_features
from soundjudge.training.loop.objective import Indices, Inputs, ItemLoss
from soundjudge.training.loop.updates import Updates
from soundjudge.training.pretrain import pretrain
from soundjudge.training.ranking.lists import clip_lists, random_lists
from soundjudge.training.ranking.ranking import list_loss

LOADS = 30  # lists whose loading is timed


@dataclass(frozen=True, kw_only=True)
class Way:
    """How a list is made and scored."""

    order: Order = "text_first"
    captions_per_clip: int = 1
    plain: bool = False
    in_memory: bool = False  # of the features

    def lists(self, corpus: Corpus, rng: np.random.Generator) -> Indices:
        """Lists (L, S) of the pairs that this way can score."""
        clips = corpus.pairs.clip[: PAIRS * CAPTIONS] if self.plain else corpus.pairs.clip
        if self.captions_per_clip > 1:
            return clip_lists(clips, PAIRS, self.captions_per_clip)(rng)
        return random_lists(len(clips), PAIRS)(rng)


WAYS = {
    "plain": Way(plain=True),
    "ours": Way(),
    "ours, in memory": Way(in_memory=True),
    "ours, shared": Way(order="audio_first", captions_per_clip=CAPTIONS),
}


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Time, operations and memory of a step."""

    wall: float  # seconds
    busy: float  # processor seconds on a CPU, wall seconds on a GPU
    operations: int
    peak: float  # GiB


class Bench:
    """The model, its optimizer and the corpus; a step of any way."""

    def __init__(self, model: Lalm, corpus: Corpus, config: pretrain.PretrainConfig) -> None:
        self.model, self.corpus, self.config = model, corpus, config
        self.device = next(model.parameters()).device
        self.bf16 = config.optimization.precision == "bf16"
        self.compute_loss = list_loss(config, corpus.pairs.targets)
        self.reader = PairReader(model, corpus.features, corpus.pairs)
        loss = ItemLoss(read=lambda items: (items,), loss=self._loss)
        self.updates = Updates(model, loss, config.optimization)
        self.features: FeaturesInMemory | None = None
        self.way = WAYS["plain"]

    def step(self, way: Way, items: Indices) -> Cost:
        """One step on the lists `items` (1, S)."""
        self._set_way(way)
        self.features = None
        if way.in_memory:
            clip_ids = self.corpus.pairs.clip_ids_of(items.ravel())
            self.features = FeaturesInMemory(self.corpus.features, clip_ids)
        self.corpus.drop_page_cache()
        generator, rate = torch.Generator(), self.config.optimization.learning_rate
        clock = Clock(self.device)
        self.updates.step(self.updates.read(items), rate, generator)
        wall, busy = clock.seconds()
        count = self._count_operations(items)
        return Cost(wall=wall, busy=busy, operations=count, peak=clock.peak())

    @torch.no_grad()
    def scores(self, way: Way, items: Indices) -> Tensor:
        """The scores of lists without dropout, in the precision of the training: (1, S)."""
        self._set_way(way)
        self.model.eval()
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.bf16):
            scores = self._scores(items).float().cpu()
        self.model.train()
        return scores

    def _count_operations(self, items: Indices) -> int:
        sizes, way = self.corpus.sizes, self.way
        words = [len(text.split()) for text in self.corpus.pairs.texts_of(items.ravel())]
        sequences = operations.alone(sizes.frontend, words)
        if way.captions_per_clip > 1:
            sequences = operations.shared_lengths(sizes.frontend, words, way.captions_per_clip)
        return sum(operations.step(sizes, sequences, PAIRS, plain=way.plain).values())

    def _set_way(self, way: Way) -> None:
        self.way = way
        self.model.config = replace(self.model.config, order=way.order)

    def _loss(self, model: Lalm, inputs: Inputs, _: torch.Generator) -> Tensor:
        (items,) = inputs
        targets, weights = self.corpus.pairs.targets_of(items, self.device)
        return self.compute_loss(self._scores(items), targets, weights)

    def _scores(self, items: Indices) -> Tensor:
        pairs, count, flat = self.corpus.pairs, self.way.captions_per_clip, items.ravel()
        if not self.way.plain:
            self.reader.features = self.features or self.corpus.features  # type: ignore[assignment]
            inputs = pretrain.read_pairs(self.reader, flat, count)
            return self.model.sequence_scores(*inputs).view(items.shape)
        sounds = self.corpus.encode(pairs.clip_ids_of(flat))
        return self.model.scores(sounds, pairs.texts_of(flat)).view(items.shape)


def report_steps(bench: Bench, steps: int) -> None:
    """The table of the ways."""
    rng = np.random.default_rng(1)
    lists = {name: way.lists(bench.corpus, rng)[: steps + 1] for name, way in WAYS.items()}
    warm = WAYS if bench.device.type == "cuda" else ["ours, shared"]
    for name in warm:
        bench.step(WAYS[name], lists[name][steps:])
    costs: dict[str, list[Cost]] = {name: [] for name in WAYS}
    rates = []
    for turn in range(steps):
        for name, way in WAYS.items():
            rates.append(matrix_rate(bench.device, bench.bf16))
            costs[name].append(bench.step(way, lists[name][turn : turn + 1]))
            sys.stderr.write(f"{name}, {rates[-1] / 1e9:.1f}: {costs[name][-1]}\n")
    plain = min(cost.busy for cost in costs["plain"])
    print("| a step on 16 pairs | wall s | busy s | times faster | of matrix rate | peak |")
    print("|---|---|---|---|---|---|")
    for name, steps_of_way in costs.items():
        wall, busy = (min(getattr(c, key) for c in steps_of_way) for key in ("wall", "busy"))
        rate = max(cost.operations / cost.busy for cost in steps_of_way)
        peak = max(cost.peak for cost in steps_of_way)
        cells = [f"{wall:.3g}", f"{busy:.3g}", f"{plain / busy:.2f}"]
        cells += [f"{rate / max(rates):.0%}", f"{peak:.1f} GiB"]
        print(f"| {name} | {' | '.join(cells)} |")
    low, high = min(rates) / 1e9, max(rates) / 1e9
    print(f"\nMatrix rate: {high:,.0f} x 10^9 per busy second (the least of them {low:,.0f}).\n")


def report_scores(bench: Bench) -> None:
    """The differences of the ways on the same weights."""
    one_per_clip = CAPTIONS * np.arange(PAIRS).reshape(1, -1)  # of the clips with wav files
    plain, ours = (bench.scores(WAYS[name], one_per_clip) for name in ("plain", "ours"))
    groups = np.arange(PAIRS).reshape(1, -1)
    shared, alone = (
        bench.scores(replace(WAYS["ours, shared"], captions_per_clip=count), groups)
        for count in (CAPTIONS, 1)
    )
    print("| scores of 16 pairs | standard deviation | largest difference |\n|---|---|---|")
    for name, one, other in (("plain, ours", plain, ours), ("alone, shared", alone, shared)):
        print(f"| {name} | {one.std():.3g} | {(one - other).abs().max():.1e} |")


def report_loading(bench: Bench) -> None:
    """Milliseconds to read the features of a list, from disk and from the page cache."""
    lists = WAYS["ours"].lists(bench.corpus, np.random.default_rng(2))
    seconds: dict[str, list[float]] = {"from disk": [], "from the page cache": []}
    for name in seconds:
        bench.corpus.drop_page_cache()
        if name == "from the page cache":
            for block in bench.corpus.features.blocks():
                block.sum()
        for number in range(LOADS):
            if name == "from disk":
                bench.corpus.drop_page_cache()
            clip_ids = bench.corpus.pairs.clip_ids_of(lists[number % len(lists)])
            start = time.perf_counter()
            gather_features(bench.corpus.features, clip_ids)
            seconds[name].append(time.perf_counter() - start)
    print("| features of 16 pairs | milliseconds, median | least |\n|---|---|---|")
    for name, times in seconds.items():
        print(f"| {name} | {1000 * median(times):.1f} | {1000 * min(times):.1f} |")


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
    config = params.build(
        pretrain.PretrainConfig, RECIPE["pretrain"]["training"], "pretrain.training"
    )
    optimization = replace(config.optimization, precision=options.precision)
    sizes = operations.published_sizes(options.layers)
    beats = Beats(sizes.beats).eval().to(device)
    model = build_lalm(sizes.llm, sizes.config, sizes.frontend, sizes.beats.encoder_embed_dim)
    model.to(device).train()
    with tempfile.TemporaryDirectory() as folder:
        corpus = Corpus(Path(folder), sizes, beats, options.clips)
        bench = Bench(model, corpus, replace(config, optimization=optimization))
        report_scores(bench)
        report_steps(bench, options.steps)
        report_loading(bench)


if __name__ == "__main__":
    main()
