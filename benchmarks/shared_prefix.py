"""What it buys that the captions of one sound share its audio tokens in one sequence.

    python benchmarks/shared_prefix.py [--layers 8 --width 512 --captions 4 --words 25 ...]

One step of `align`, forward and backward, of a language model with random weights, on a list of 16
pairs: every pair a sequence of its own against one sequence a sound. Both ways take turns, in one
process and on the same numbers; the table has the least of each, on a CPU of processor seconds, as
other work on the machine can only add. No weights or data are needed.
"""

import argparse
from collections.abc import Callable

import torch
from machine import Clock
from random_lalm import FIRST_WORD, lalm, text
from torch import Tensor
from transformers import Qwen2Config

from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import LalmConfig
from soundjudge.training.ranking.listnet import listnet

PAIRS, FEATURE_DIM, VOCABULARY = 16, 768, 1000


def model_of(options: argparse.Namespace) -> Lalm:
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
    around = LalmConfig(
        projector_hidden=4 * options.width,
        projector_dropout=0.0,
        head=(512, 512, 128),
        head_dropout=0.0,
        max_text_tokens=256,
        order="audio_first",
        attention=options.attention,
    )
    frontend = AudioFrontend(audio_tokens=options.audio_tokens, window_seconds=10.0)
    return lalm(shape, around, frontend, FEATURE_DIM).to(options.device).train()


def step(model: Lalm, score: Callable[[], Tensor], wanted: Tensor, bf16: bool) -> float:
    """Busy seconds of a forward and a backward pass."""
    model.zero_grad()
    clock = Clock(wanted.device)
    with torch.autocast(wanted.device.type, torch.bfloat16, enabled=bf16):
        loss = listnet(score().view(1, -1), wanted, 0.1).mean()
    loss.backward()
    return clock.seconds()[1]


def main() -> None:
    parser = argparse.ArgumentParser(description="What a shared audio prefix buys.")
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--width", type=int, default=512, help="a multiple of 64")
    parser.add_argument("--audio-tokens", type=int, default=100)
    parser.add_argument("--captions", type=int, default=4, help="of one sound; a divisor of 16")
    parser.add_argument("--words", type=int, default=25, help="tokens a caption")
    parser.add_argument("--attention", choices=["eager", "sdpa"], default="sdpa")
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()

    torch.manual_seed(0)
    model, bf16 = model_of(options), options.precision == "bf16"
    sounds = torch.randn(PAIRS // options.captions, options.audio_tokens, FEATURE_DIM)
    each = sounds.repeat_interleave(options.captions, dim=0)
    ids = torch.randint(FIRST_WORD, VOCABULARY - 3, (PAIRS, options.words))
    texts = [text(row) for row in ids.tolist()]
    wanted = torch.rand(1, PAIRS, device=options.device)
    ways = {
        "a sequence a pair": lambda: model.scores(each, texts),
        "a sequence a sound": lambda: model.shared_scores(sounds, texts),
    }
    with torch.no_grad():
        alone, shared = (score() for score in ways.values())
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(options.repeats + 1):
        for name, score in ways.items():
            taken = step(model, score, wanted, bf16)
            if turn:  # the first warms up
                seconds[name].append(taken)
    frame = options.audio_tokens + 2
    tokens = [PAIRS * (frame + options.words + 2)]
    tokens += [len(sounds) * (frame + options.captions * (options.words + 1))]
    least = [min(taken) for taken in seconds.values()]
    print("| one step of 16 pairs | tokens | busy seconds |\n|---|---|---|")
    for name, count, taken in zip(ways, tokens, least, strict=True):
        print(f"| {name} | {count} | {taken:.3f} |")
    print(f"| ratio | {tokens[0] / tokens[1]:.2f} | {least[0] / least[1]:.2f} |")
    print(f"\nLargest difference of two scores: {(alone - shared).abs().max():.1e}.")


if __name__ == "__main__":
    main()
