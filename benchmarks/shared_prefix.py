"""The gain of one sequence per sound, in which its captions share the audio tokens.

    python benchmarks/shared_prefix.py [--layers 8 --width 512 --captions 4 --words 25 ...]

One step of `pretrain`, forward and backward, of a language model with random weights, on a list of
16 pairs: a sequence per pair against a sequence per sound. Both ways take turns, in one
process and on the same numbers; the table has the least of each, on a CPU of processor seconds, as
other work on the machine can only add. No weights or data are needed.
"""

import argparse
from collections.abc import Callable

import torch
from machine import Clock
from random_lalm import FIRST_WORD, build_lalm, text
from torch import Tensor
from transformers import Qwen2Config

from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import LalmConfig
from soundjudge.training.ranking.losses import listnet

PAIRS, FEATURE_DIM, VOCABULARY = 16, 768, 1000


def build_model(options: argparse.Namespace) -> Lalm:
    """An audio language model with random weights in the proportions of Qwen2.5-0.5B."""
    shape = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=options.width,
        intermediate_size=options.width * 38 // 7,
        num_hidden_layers=options.layers,
        num_attention_heads=options.width // 64,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
    )
    config = LalmConfig(
        projector_hidden=4 * options.width,
        projector_dropout=0.0,
        head=(512, 512, 128),
        head_dropout=0.0,
        max_text_tokens=256,
        order="audio_first",
        attention=options.attention,
    )
    frontend = AudioFrontend(audio_tokens=options.audio_tokens, window_seconds=10.0)
    return build_lalm(shape, config, frontend, FEATURE_DIM).to(options.device).train()


def step(model: Lalm, score: Callable[[], Tensor], targets: Tensor, bf16: bool) -> float:
    """Busy seconds of a forward and a backward pass."""
    model.zero_grad()
    clock = Clock(targets.device)
    with torch.autocast(targets.device.type, torch.bfloat16, enabled=bf16):
        loss = listnet(score().view(1, -1), targets, 0.1).mean()
    loss.backward()
    return clock.seconds()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description="The gain of a shared audio prefix.")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=512, help="a multiple of 64")
    parser.add_argument("--audio-tokens", type=int, default=100)
    parser.add_argument("--captions", type=int, default=4, help="of one sound; a divisor of 16")
    parser.add_argument("--words", type=int, default=25, help="tokens per caption")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="sdpa")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()

    torch.manual_seed(0)
    model, bf16 = build_model(options), options.precision == "bf16"
    sounds = torch.randn(PAIRS // options.captions, options.audio_tokens, FEATURE_DIM)
    repeated = sounds.repeat_interleave(options.captions, dim=0)
    ids = torch.randint(FIRST_WORD, VOCABULARY - 3, (PAIRS, options.words))
    texts = [text(row) for row in ids.tolist()]
    targets = torch.rand(1, PAIRS, device=options.device)
    ways = {
        "a sequence per pair": lambda: model.scores(repeated, texts),
        "a sequence per sound": lambda: model.shared_scores(sounds, texts),
    }
    with torch.no_grad():
        alone, shared = (score() for score in ways.values())
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(options.repeats + 1):
        for name, score in ways.items():
            busy = step(model, score, targets, bf16)
            if turn:  # the first warms up
                seconds[name].append(busy)
    prefix = options.audio_tokens + 2
    tokens = [PAIRS * (prefix + options.words + 2)]
    tokens += [len(sounds) * (prefix + options.captions * (options.words + 1))]
    least = [min(times) for times in seconds.values()]
    print("| one step of 16 pairs | tokens | busy seconds |\n|---|---|---|")
    for name, count, busy in zip(ways, tokens, least, strict=True):
        print(f"| {name} | {count} | {busy:.3f} |")
    print(f"| ratio | {tokens[0] / tokens[1]:.2f} | {least[0] / least[1]:.2f} |")
    print(f"\nLargest difference of two scores: {(alone - shared).abs().max():.1e}.")


if __name__ == "__main__":
    main()
