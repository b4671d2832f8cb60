"""An audio language model of any size with random weights, built in memory."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast, Qwen2Config

from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm import prompt
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.model.lalm.lalm_config import LalmConfig

FIRST_WORD = 2  # the end and the unknown word stand before w2, w3, ...


def build_lalm(
    llm: Qwen2Config, config: LalmConfig, frontend: AudioFrontend, feature_dim: int
) -> Lalm:
    """An audio language model with the words `w2`, `w3`, ... of one token each, up to its table."""
    words = {"<eos>": 0, "<unk>": 1}
    last = llm.vocab_size - len(prompt.NEW_TOKENS)
    words |= {f"w{i}": i for i in range(FIRST_WORD, last)}
    word_level = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    word_level.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=word_level, eos_token="<eos>")
    prompt.add_tokens(tokenizer)
    model = AutoModelForCausalLM.from_config(
        llm, dtype=torch.float32, attn_implementation=config.attention
    )
    return Lalm(model, tokenizer, config, frontend, feature_dim)


def text(numbers: list[int]) -> str:
    """A text of words with these numbers, from `FIRST_WORD` on, a token each."""
    return " ".join(f"w{number}" for number in numbers)
