"""Small tokenizers of the kinds in the official CLAP and Qwen2 folders."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from soundjudge.sample.composition import scenes
from soundjudge.sample.composition.scenes import Recording

ROBERTA = {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
QWEN = {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}


def sample_captions(pool: Sequence[Recording], number: int, seed: int) -> list[str]:
    """`number` captions of random scenes, to train tokenizers on."""
    rng = np.random.default_rng([seed, 10])
    return [scenes.write_caption(scenes.sample_scene(pool, rng), rng) for _ in range(number)]


def roberta_tokenizer(texts: Sequence[str], size: int) -> Any:  # noqa: ANN401  untyped library
    """A byte-level BPE tokenizer with RoBERTa's format: <s> text </s>, padding id 1."""
    tokenizer = _train_bpe(texts, size, list(ROBERTA.values()))
    special = list(ROBERTA.values())
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", special.index("</s>")), ("<s>", special.index("<s>"))
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **ROBERTA)


def qwen_tokenizer(texts: Sequence[str], size: int) -> Any:  # noqa: ANN401
    """A byte-level BPE tokenizer with Qwen2's special tokens; it adds none to a text."""
    tokenizer = _train_bpe(texts, size, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=4096, **QWEN)


def _train_bpe(texts: Sequence[str], size: int, special: list[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=size,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer
