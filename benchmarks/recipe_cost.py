"""What the recipe tmu2026 costs at full size, reckoned: steps, hours of a GPU, bytes of a disk.

    python benchmarks/recipe_cost.py [--captions 273000 --rated 7500 3000 3000 --words 13]

Nothing is run, and no GPU has measured it: hours are those of the operations that `operations.py`
counts, at a share of what a GPU could do, and of the bytes that AdamW and clipping move. Beside
them stand the hours of a processor that takes as long to launch a step as `host.py` has measured
on one: the larger of the two holds. `gpu.py` measures both on a GPU. Prints markdown tables.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

import operations
from operations import BYTES, RECIPE, Sizes

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.training.loop.states import KEPT_STATES

# As in benchmarks/README.md: operations a second in bf16, and in float32 by the data sheet; bytes.
BF16_RATE, FP32_RATE, BANDWIDTH = 790e12, 67e12, 4.8e12
SHARE = 0.4  # of these rates
LAUNCH = 0.067  # seconds of the processor per step, compiled: host.py
CLAP_WIDTH, VALUE = 512, 4  # of LAION's CLAP; bytes of a weight


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """How much there is to learn from."""

    captions: int  # each of a clip of its own
    rated: tuple[int, int, int]  # pairs of train, validation and test
    words: int  # tokens of a caption


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a stage takes."""

    name: str
    steps: int  # at most
    bf16: float = 0.0  # operations of all steps
    fp32: float = 0.0  # operations of all steps, or of all validations

    def hours(self, sizes: Sizes) -> float:
        """Of a GPU, if nothing else is slower."""
        moved = self.steps * BYTES * operations.trained_weights(sizes)
        arithmetic = self.bf16 / (SHARE * BF16_RATE) + self.fp32 / (SHARE * FP32_RATE)
        return (arithmetic + moved / BANDWIDTH) / 3600


def costs(sizes: Sizes, corpus: Corpus) -> Iterator[Cost]:
    """Of the stages that take longest, in their order."""
    train, validation, test = corpus.rated
    encoded = (corpus.captions + sum(corpus.rated)) * operations.encoder_operations(sizes)
    yield Cost(name="features", steps=0, fp32=encoded)

    optimization = RECIPE["caption"]["optimization"]
    batch = optimization["batch_size"]
    steps = optimization["epochs"] * -(-corpus.captions // batch)
    per_step = step_operations(sizes, batch, corpus.words, plain=False)
    per_step += 3 * batch * (corpus.words + 1) * 2 * sizes.llm.hidden_size * sizes.llm.vocab_size
    yield Cost(name="caption", steps=steps, bf16=steps * per_step)

    training = RECIPE["pretrain"]["training"]
    size = training["list_size"]
    steps = training["optimization"]["epochs"] * (pairs(corpus) // size)
    per_step = step_operations(sizes, size, corpus.words, plain=False)
    for member in RECIPE["pretrain"]["members"]:
        yield Cost(name=f"pretrain@{member}", steps=steps, bf16=steps * per_step)

    training = RECIPE["finetune"]["training"]
    size, epochs = training["list_size"], training["optimization"]["epochs"]
    steps = epochs * (train // size)
    per_step = step_operations(sizes, size, corpus.words, plain=True)  # SpecAugment encodes anew
    validated = epochs * validation * forward_operations(sizes, corpus.words)
    for member in RECIPE["finetune"]["members"]:
        name = f"finetune@{member}"
        yield Cost(name=name, steps=steps, bf16=steps * per_step, fp32=validated)

    pair = forward_operations(sizes, corpus.words) + operations.encoder_operations(sizes)
    members = len(RECIPE["ensemble"]["members"])
    yield Cost(
        name=f"predict, {members} members", steps=0, fp32=members * (validation + test) * pair
    )


def pairs(corpus: Corpus) -> int:
    """Pseudo-labels: every caption matched, and the mismatched ones that the recipe asks for."""
    labels = RECIPE["pseudolabel"]
    return round(corpus.captions * (1 + labels["num_random"] + labels["num_hard"]))


def step_operations(sizes: Sizes, batch: int, words: int, *, plain: bool) -> int:
    """Of a step of `pretrain` on so many pairs; `plain`: with BEATs."""
    sequences = operations.alone(sizes.frontend, [words] * batch)
    return sum(operations.step(sizes, sequences, batch, plain=plain).values())


def forward_operations(sizes: Sizes, words: int) -> float:
    """Of a pair that is scored with features that are there."""
    parts = operations.step(sizes, operations.alone(sizes.frontend, [words]), 1, plain=False)
    backward = "language model, backward to activations", "language model, backward to weights"
    both = sum(number for part, number in parts.items() if part not in backward)
    forward = parts["language model, forward"]
    return forward + (both - forward) / 3


def sizes_on_disk(sizes: Sizes, corpus: Corpus) -> dict[str, float]:
    """Bytes of what the stages write."""
    frontend, rated = sizes.frontend, sum(corpus.rated)
    width, item = sizes.beats.encoder_embed_dim, {"float16": 2, "float32": 4}
    clips, weights = corpus.captions + rated, VALUE * operations.trained_weights(sizes)
    row = frontend.audio_tokens * width * item[RECIPE["features"]["dtype"]]
    seconds = RECIPE["prepare"]["max_seconds"]
    members = len(RECIPE["pretrain"]["members"]) + len(RECIPE["finetune"]["members"])
    state = 3 * weights  # and the two moments
    return {
        "clips (16 bits)": clips * seconds * SAMPLE_RATE * 2,
        "features": clips * row,
        "embeddings": 2 * corpus.captions * CLAP_WIDTH * item[RECIPE["embed"]["dtype"]],
        "a trained language model": weights,
        f"all {members + 1} of them": (members + 1) * weights,
        "a state to resume from": state,
        # Those kept, one of an epoch's end, one that is written; the best weights of each.
        "all states of a training, at most": (KEPT_STATES + 2) * (state + weights),
    }


def tables(sizes: Sizes, corpus: Corpus) -> str:
    """Two markdown tables: of the stages, and of the disk."""
    lines = ["| stage | steps | hours, by operations and bytes | hours, by launches |"]
    lines.append("|---|---|---|---|")
    total = launched = 0.0
    for cost in costs(sizes, corpus):
        hours, launches = cost.hours(sizes), cost.steps * LAUNCH / 3600
        total, launched = total + hours, launched + launches
        steps = f"{cost.steps:,}" if cost.steps else ""
        last = f"{launches:.1f}" if cost.steps else ""
        lines.append(f"| {cost.name} | {steps} | {hours:.2f} | {last} |")
    lines += [f"| sum | | {total:.1f} | {launched:.0f} |", ""]
    lines += ["| on disk | GB |", "|---|---|"]
    for name, size in sizes_on_disk(sizes, corpus).items():
        lines.append(f"| {name} | {size / 1e9:.1f} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description="What the recipe tmu2026 costs at full size.")
    parser.add_argument("--captions", type=int, default=273_000, help="each of a clip of its own")
    parser.add_argument("--rated", type=int, nargs=3, default=[7500, 3000, 3000], help="pairs")
    parser.add_argument("--words", type=int, default=13, help="tokens of a caption")
    options = parser.parse_args()
    rated = (options.rated[0], options.rated[1], options.rated[2])
    corpus = Corpus(captions=options.captions, rated=rated, words=options.words)
    print(tables(operations.published_sizes(), corpus))


if __name__ == "__main__":
    main()
