"""The number of matrix operations of a step of `pretrain`, computed from sizes.

    python benchmarks/operations.py [--words 13 --captions 4]

Prints it for the published sizes and a list of 16 pairs: the plain way, in which every pair is
decoded and encoded, against ours. Only products of matrices count, a multiplication and the
addition of its product as two; attention counts all positions, masked ones too. Padding does not
count: it is no necessary work.
Letters: L = length of a sequence, M = audio tokens, N = patches of BEATs, D = its width.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml
from transformers import Qwen2Config

from soundjudge import params, recipes
from soundjudge.model.audio.beats import fbank
from soundjudge.model.audio.beats.layers import MEL_BINS, BeatsConfig
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm.lalm_config import LalmConfig

RECIPES = Path(__file__).resolve().parent.parent / "recipes"
RECIPE = yaml.safe_load(recipes.recipe_text("tmu2026", RECIPES))
PAIRS = 16  # of a list
BYTES = 40  # per weight: AdamW reads 4 and writes 3 floats, clipping reads 2 and writes 1


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """The configurations of all networks in a step."""

    llm: Qwen2Config
    config: LalmConfig
    frontend: AudioFrontend
    beats: BeatsConfig


def published_sizes(layers: int = 24) -> Sizes:
    """Qwen2.5-0.5B, BEATs iter3+ and the layers of the recipe tmu2026 around them."""
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
    config = params.build(LalmConfig, RECIPE["caption"]["model"], "caption.model")
    frontend = params.build(AudioFrontend, RECIPE["features"]["frontend"], "features.frontend")
    return Sizes(llm=llm, config=config, frontend=frontend, beats=beats)


def alone(frontend: AudioFrontend, words: Sequence[int]) -> list[int]:
    """L of every pair as a sequence of its own; `words` are the tokens of each text."""
    return [frontend.audio_tokens + 2 + text + 2 for text in words]  # [SCORE] [EOS]


def shared_lengths(frontend: AudioFrontend, words: Sequence[int], captions: int) -> list[int]:
    """L of every sound with all its texts behind it, `captions` consecutive ones of `words`."""
    firsts = range(0, len(words), captions)
    queries = [sum(words[first : first + captions]) + captions for first in firsts]
    return [frontend.audio_tokens + 2 + query for query in queries]


def step(sizes: Sizes, sequences: Sequence[int], pairs: int, *, plain: bool) -> dict[str, int]:
    """The operations of each part of a step over sequences of these L; `plain`: with BEATs."""
    llm, positions = sizes.llm, sum(sequences)
    maps = 2 * llm.num_hidden_layers * _layer_weights(llm) * positions
    products = 2 * 2 * llm.num_hidden_layers * llm.hidden_size * sum(n * n for n in sequences)
    tokens = len(sequences) * sizes.frontend.audio_tokens
    inner, beside = _projector_weights(sizes)
    head = _head_weights(sizes)
    return {
        "BEATs, forward": len(sequences) * encoder_operations(sizes) if plain else 0,
        "language model, forward": maps,
        "language model, backward to activations": maps,
        "language model, backward to weights": maps,
        # Backward, each of attention's two products becomes two.
        "attention's products, forward and backward": 3 * products,
        # Features are constants: the first layers on them need no gradient of their input.
        "projector, forward and backward": 2 * tokens * (3 * inner + 2 * beside),
        "score head, forward and backward": 2 * 3 * pairs * head,
    }


def encoder_operations(sizes: Sizes) -> int:
    """Operations of BEATs, forward, for one window of sound, without the spectrogram."""
    beats = sizes.beats
    patch, width = beats.input_patch_size, beats.encoder_embed_dim
    patches = fbank.num_frames(sizes.frontend.samples) // patch * (MEL_BINS // patch)  # N
    weights = patch * patch * beats.embed_dim
    if beats.embed_dim != width:
        weights += beats.embed_dim * width
    layer = 4 * width * width + 2 * width * beats.encoder_ffn_embed_dim
    if beats.gru_rel_pos:
        layer += width * 8  # the gates: each head's part of a position to 8 numbers
    products = 2 * patches * width  # of a position with all others, twice
    convolution = (patches + 1) * width * (width // beats.conv_pos_groups) * beats.conv_pos
    return 2 * (patches * (weights + beats.encoder_layers * (layer + products)) + convolution)


def trained_weights(sizes: Sizes) -> int:
    """Weights that a step changes, without biases and norms: embeddings and all matrices."""
    llm = sizes.llm
    of_llm = llm.vocab_size * llm.hidden_size + llm.num_hidden_layers * _layer_weights(llm)
    return of_llm + sum(_projector_weights(sizes)) + _head_weights(sizes)


def _layer_weights(llm: Qwen2Config) -> int:
    width = llm.hidden_size
    key_width = width // llm.num_attention_heads * llm.num_key_value_heads
    return 2 * width * width + 2 * width * key_width + 3 * width * llm.intermediate_size


def _projector_weights(sizes: Sizes) -> tuple[int, int]:
    """Of the SwiGLU network; of the gate and the linear bypass."""
    features, hidden = sizes.beats.encoder_embed_dim, sizes.config.projector_hidden
    width = sizes.llm.hidden_size
    return features * 2 * hidden + hidden * width, 2 * features * width


def _head_weights(sizes: Sizes) -> int:
    widths = (sizes.llm.hidden_size, *sizes.config.head, 1)
    return sum(a * b for a, b in zip(widths, widths[1:], strict=False))


def table(steps: dict[str, dict[str, int]]) -> str:
    """A markdown table: parts down, ways across, in units of 10^9."""
    lines = [f"| 10^9 operations per step | {' | '.join(steps)} |", "|---" * (len(steps) + 1) + "|"]
    for part in next(iter(steps.values())):
        cells = [f"{way[part] / 1e9:,.1f}" for way in steps.values()]
        lines.append(f"| {part} | {' | '.join(cells)} |")
    totals = [sum(way.values()) for way in steps.values()]
    lines.append(f"| sum | {' | '.join(f'{total / 1e9:,.1f}' for total in totals)} |")
    ratios = [f"{totals[0] / total:.2f}" for total in totals]
    return "\n".join([*lines, f"| times fewer than the first | {' | '.join(ratios)} |"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--words", type=int, default=13, help="tokens of a caption")
    parser.add_argument("--captions", type=int, default=4, help="of one sound; a divisor of 16")
    options = parser.parse_args()

    sizes, words = published_sizes(), [options.words] * PAIRS
    per_pair = alone(sizes.frontend, words)
    per_sound = shared_lengths(sizes.frontend, words, options.captions)
    steps = {
        "plain": step(sizes, per_pair, PAIRS, plain=True),
        "ours": step(sizes, per_pair, PAIRS, plain=False),
        "ours, shared sounds": step(sizes, per_sound, PAIRS, plain=False),
    }
    print(table(steps))
    print(f"\nPositions: {sum(per_pair)}, {sum(per_pair)} and {sum(per_sound)}.")
    traffic = trained_weights(sizes) * BYTES
    print(f"Optimizer and clipping move {traffic / 1e9:.1f} GB per step, whatever the way.")


if __name__ == "__main__":
    main()
