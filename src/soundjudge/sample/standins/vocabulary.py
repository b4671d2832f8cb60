"""Small tokenizers of the kinds that the official CLAP and Qwen2 folders hold."""

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
    """`number` captions of random scenes: what the stand-ins' tokenizers are trained on."""
    rng = np.random.default_rng([seed, 10])
    return [scenes.write_caption(scenes.sample_scene(pool, rng), rng) for _ in range(number)]


def roberta_tokenizer(texts: Sequence[str], size: int) -> Any:  # noqa: ANN401  untyped library
    """A byte-level BPE tokenizer that wraps texts as RoBERTa's: <s> text </s>, padding id 1."""
    tokenizer = _trained(texts, size, list(ROBERTA.values()))
    special = list(ROBERTA.values())
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", special.index("</s>")), ("<s>", special.index("<s>"))
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **ROBERTA)


def qwen_tokenizer(texts: Sequence[str], size: int) -> Any:  # noqa: ANN401
    """A byte-level BPE tokenizer with Qwen2's special tokens, adding none to a text."""
    tokenizer = _trained(texts, size, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=4096, **QWEN)


def _trained(texts: Sequence[str], size: int, special: list[str]) -> Tokenizer:
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
