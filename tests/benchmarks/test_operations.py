"""The arithmetic of a step of `pretrain`: what is counted from sizes is what torch counts."""

from dataclasses import replace

import pytest
import torch
from repository import load_benchmark
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoModelForCausalLM, Qwen2Config

from soundjudge.model.audio.beats.beats import Beats
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm.lalm_config import LalmConfig

WORDS = [3, 1, 2, 5, 4, 1]  # tokens of each text


operations = load_benchmark("operations")
random_lalm = load_benchmark("random_lalm")

SMALL = operations.Sizes(
    llm=Qwen2Config(
        vocab_size=40,
        hidden_size=24,
        intermediate_size=20,
        num_hidden_layers=3,
        num_attention_heads=6,
        num_key_value_heads=2,
        tie_word_embeddings=True,
    ),
    config=LalmConfig(
        projector_hidden=10,
        projector_dropout=0.1,
        head=(6, 5),
        head_dropout=0.1,
        max_text_tokens=8,
        order="audio_first",
        attention="eager",  # torch counts no operations of the other kind on a CPU
    ),
    frontend=AudioFrontend(audio_tokens=7, window_seconds=0.5),
    beats=BeatsConfig(
        embed_dim=8,
        encoder_layers=2,
        encoder_embed_dim=16,
        encoder_ffn_embed_dim=12,
        encoder_attention_heads=4,
        conv_pos=6,
        conv_pos_groups=4,
        relative_position_embedding=True,
        gru_rel_pos=True,
    ),
)


def lalm(words, **changes):
    torch.manual_seed(0)
    config = replace(SMALL.config, **changes)
    width = SMALL.beats.encoder_embed_dim
    model = random_lalm.build_lalm(SMALL.llm, config, SMALL.frontend, width)
    return model.train(), [random_lalm.text([7] * count) for count in words]


def count_operations(score):
    """Torch's count of a forward and a backward pass."""
    with FlopCounterMode(display=False) as counter:
        score().sum().backward()
    return counter.get_total_flops()


def takes(counted, expected, rows, length):
    """Whether a step takes what is expected of it, and no more than positions times frequencies.

    Some releases of transformers multiply these as matrices; there are half a head's width.
    """
    frequencies = SMALL.llm.hidden_size // SMALL.llm.num_attention_heads // 2
    return counted - sum(expected.values()) in (0, 2 * rows * length * frequencies)


@pytest.mark.parametrize("order", ["audio_first", "text_first"])
def test_a_step_of_pairs_by_themselves_takes_what_torch_counts(order):
    words = [4] * 3  # equal lengths, as padding is not counted
    model, texts = lalm(words, order=order)
    sounds = torch.randn(3, 7, 16)
    sequences = operations.alone(SMALL.frontend, words)
    assert sequences == [7 + 2 + 4 + 2] * 3
    expected = operations.step(SMALL, sequences, 3, plain=False)
    counted = count_operations(lambda: model.scores(sounds, texts))
    assert takes(counted, expected, rows=1, length=15)  # all rows have the same positions


def test_a_step_of_shared_sounds_takes_what_torch_counts():
    words = [3, 1, 2, 2, 1, 3]  # other texts behind each sound, as many tokens
    model, texts = lalm(words)
    sounds = torch.randn(2, 7, 16)
    sequences = operations.shared_lengths(SMALL.frontend, words, 3)
    assert sequences == [7 + 2 + 6 + 3] * 2
    expected = operations.step(SMALL, sequences, 6, plain=False)
    counted = count_operations(lambda: model.shared_scores(sounds, texts))
    assert takes(counted, expected, rows=2, length=18)


def test_padding_is_no_work_that_needs_to_be_done():
    model, texts = lalm(WORDS)
    expected = operations.step(SMALL, operations.alone(SMALL.frontend, WORDS), 6, plain=False)
    assert count_operations(lambda: model.scores(torch.randn(6, 7, 16), texts)) > sum(
        expected.values()
    )


@pytest.mark.parametrize("changes", [{}, {"gru_rel_pos": False}, {"embed_dim": 16}])
def test_the_encoder_takes_what_torch_counts(changes):
    sizes = replace(SMALL, beats=replace(SMALL.beats, **changes))
    frames = operations.fbank.num_frames(sizes.frontend.samples)
    assert frames == 48  # half a second: 3 x 8 patches
    with (
        FlopCounterMode(display=False) as counter,
        sdpa_kernel(SDPBackend.MATH),
        torch.no_grad(),
    ):
        Beats(sizes.beats).eval()(torch.randn(2, frames, 128))
    assert counter.get_total_flops() == 2 * operations.encoder_operations(sizes)


def test_the_plain_way_adds_the_encoder_and_nothing_else():
    sequences = operations.alone(SMALL.frontend, WORDS)
    ours, plain = (operations.step(SMALL, sequences, 6, plain=way) for way in (False, True))
    assert plain["BEATs, forward"] == 6 * operations.encoder_operations(SMALL)
    assert {**plain, "BEATs, forward": 0} == ours


def test_the_published_sizes_are_those_of_the_published_models():
    sizes = operations.published_sizes()
    with torch.device("meta"):
        llm = AutoModelForCausalLM.from_config(sizes.llm)
        beats = Beats(sizes.beats)
    assert sum(p.numel() for p in llm.parameters()) == 494_032_768
    assert round(sum(p.numel() for p in beats.parameters()) / 1e6) == 90
    # Per layer 2 x 896^2 + 2 x 896 x 128 + 3 x 896 x 4864 weights, two operations per position.
    per_position = operations.step(sizes, [1], 1, plain=False)["language model, forward"]
    assert per_position == 2 * 24 * 14_909_440


def test_the_optimizer_moves_every_matrix():
    model, _ = lalm(WORDS)
    matrices = sum(p.numel() for p in model.parameters() if p.ndim == 2)
    assert operations.trained_weights(SMALL) == matrices
