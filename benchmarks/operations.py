"""How many matrix operations a step of `align` takes, from sizes alone: nothing is run.

    python benchmarks/operations.py [--words 13 --captions 4]

Prints them for the published sizes and a list of 16 pairs: the plain way, in which every pair is
decoded, encoded and read, against ours. Counted are products of matrices, a multiplication and the
addition of its product as two; of attention all places, also those that a mask hides. Padding is
left out: it is no work that needs to be done.
Letters: L = places of a sequence, M = audio tokens, N = patches of BEATs, D = its width.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from transformers import Qwen2Config

from soundjudge import params
from soundjudge.model.audio.beats import fbank
from soundjudge.model.audio.beats.layers import MEL_BINS, BeatsConfig
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm.lalm_config import LalmConfig

RECIPE = Path(__file__).resolve().parent.parent / "recipes/tmu2026.yaml"
PAIRS = 16  # of a list
BYTES = 40  # a trained number: AdamW reads 4 and writes 3 floats, clipping reads 2 and writes 1


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The settings of all that a step runs through."""

    llm: Qwen2Config
    around: LalmConfig
    frontend: AudioFrontend
    beats: BeatsConfig


def published(layers: int = 24) -> Sizes:
    """Qwen2.5-0.5B, BEATs iter3+ and what the recipe of TMU puts around them."""
    llm = Qwen2Config(
        vocab_size=151_936,
        hidden_size=896,
        intermediate_size=4864,
        num_hidden_layers=layers,
        num_attention_heads=14,
        num_key_value_heads=2,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
    )
    beats = BeatsConfig(
        deep_norm=True,
        relative_position_embedding=True,
        gru_rel_pos=True,
        max_distance=800,
    )
    around = params.load("caption.model", LalmConfig, RECIPE)
    frontend = params.load("features.frontend", AudioFrontend, RECIPE)
    return Sizes(llm=llm, around=around, frontend=frontend, beats=beats)


def alone(frontend: AudioFrontend, words: Sequence[int]) -> list[int]:
    """L of every pair as a sequence of its own; `words` are the tokens of each text."""
    return [frontend.audio_tokens + 2 + text + 2 for text in words]  # [SCORE] [EOS]


def shared(frontend: AudioFrontend, words: Sequence[int], captions: int) -> list[int]:
    """L of every sound with all its texts behind it, `captions` in a row of `words`."""
    firsts = range(0, len(words), captions)
    asked = [sum(words[first : first + captions]) + captions for first in firsts]
    return [frontend.audio_tokens + 2 + text for text in asked]


def step(sizes: Sizes, sequences: Sequence[int], pairs: int, *, plain: bool) -> dict[str, int]:
    """The operations of each part of a step over sequences of these L; `plain`: with BEATs."""
    llm, places = sizes.llm, sum(sequences)
    maps = 2 * llm.num_hidden_layers * _layer_weights(llm) * places
    products = 2 * 2 * llm.num_hidden_layers * llm.hidden_size * sum(n * n for n in sequences)
    tokens = len(sequences) * sizes.frontend.audio_tokens
    inner, beside = _projector_weights(sizes)
    head = _head_weights(sizes)
    return {
        "BEATs, forward": len(sequences) * encoding(sizes) if plain else 0,
        "language model, forward": maps,
        "language model, backward to activations": maps,
        "language model, backward to weights": maps,
        # Backward, each of attention's two products becomes two.
        "attention's products, forward and backward": 3 * products,
        # The features learn nothing: what they enter first needs no gradient of its input.
        "projector, forward and backward": 2 * tokens * (3 * inner + 2 * beside),
        "score head, forward and backward": 2 * 3 * pairs * head,
    }


def encoding(sizes: Sizes) -> int:
    """Operations of BEATs, forward, for one window of sound; its log-mel picture left out."""
    beats = sizes.beats
    patch, width = beats.input_patch_size, beats.encoder_embed_dim
    patches = fbank.num_frames(sizes.frontend.samples) // patch * (MEL_BINS // patch)  # N
    weights = patch * patch * beats.embed_dim
    if beats.embed_dim != width:
        weights += beats.embed_dim * width
    layer = 4 * width * width + 2 * width * beats.encoder_ffn_embed_dim
    if beats.gru_rel_pos:
        layer += width * 8  # the gates: each head's part of a place to 8 numbers
    products = 2 * patches * width  # of a place with all others, twice
    convolution = (patches + 1) * width * (width // beats.conv_pos_groups) * beats.conv_pos
    return 2 * (patches * (weights + beats.encoder_layers * (layer + products)) + convolution)


def trained(sizes: Sizes) -> int:
    """Weights that a step moves, without biases and norms: table, language model, the rest."""
    llm = sizes.llm
    inside = llm.vocab_size * llm.hidden_size + llm.num_hidden_layers * _layer_weights(llm)
    return inside + sum(_projector_weights(sizes)) + _head_weights(sizes)


def _layer_weights(llm: Qwen2Config) -> int:
    width, keys = llm.hidden_size, llm.num_key_value_heads
    width_of_keys = width // llm.num_attention_heads * keys
    return 2 * width * width + 2 * width * width_of_keys + 3 * width * llm.intermediate_size


def _projector_weights(sizes: Sizes) -> tuple[int, int]:
    """Of the two maps of the network; of the two beside it, that see the features themselves."""
    features, hidden = sizes.beats.encoder_embed_dim, sizes.around.projector_hidden
    width = sizes.llm.hidden_size
    return features * 2 * hidden + hidden * width, 2 * features * width


def _head_weights(sizes: Sizes) -> int:
    widths = (sizes.llm.hidden_size, *sizes.around.head, 1)
    return sum(a * b for a, b in zip(widths, widths[1:], strict=False))


def table(steps: dict[str, dict[str, int]]) -> str:
    """A markdown table: parts down, ways across, in units of 10^9."""
    lines = [f"| 10^9 operations a step | {' | '.join(steps)} |", "|---" * (len(steps) + 1) + "|"]
    for part in next(iter(steps.values())):
        cells = [f"{way[part] / 1e9:,.1f}" for way in steps.values()]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    totals = [sum(way.values()) for way in steps.values()]
    lines.append(f"| together | {' | '.join(f'{total / 1e9:,.1f}' for total in totals)} |")
    ratios = [f"{totals[0] / total:.2f}" for total in totals]
    return "\n".join([*lines, f"| times fewer than the first | {' | '.join(ratios)} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=13, help="tokens of a caption")
    parser.add_argument("--captions", type=int, default=4, help="of one sound; a divisor of 16")
    options = parser.parse_args()

    sizes, words = published(), [options.words] * PAIRS
    own = alone(sizes.frontend, words)
    together = shared(sizes.frontend, words, options.captions)
    steps = {
        "plain": step(sizes, own, PAIRS, plain=True),
        "ours": step(sizes, own, PAIRS, plain=False),
        "ours, shared sounds": step(sizes, together, PAIRS, plain=False),
    }
    print(table(steps))
    print(f"\nPlaces: {sum(own)}, {sum(own)} and {sum(together)}.")
    moved = trained(sizes) * BYTES
    print(f"Optimizer and clipping move {moved / 1e9:.1f} GB a step, whatever the way.")


if __name__ == "__main__":
    main()
