"""What all kinds of CLAP do with a tokenizer of transformers: check it, read texts, save it.

B texts, L tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from soundjudge.errors import SoundjudgeError

MIN_VOCABULARY = 100  # offline, a tokenizer without files may load with five tokens for all texts


def check_tokenizer(tokenizer: Any, config: Any) -> None:  # noqa: ANN401  transformers types none
    """Raises SoundjudgeError for a tokenizer that does not fit the text tower's weights."""
    size = len(tokenizer)
    if size <= MIN_VOCABULARY:
        raise SoundjudgeError(
            f"the tokenizer knows only {size} tokens: its files are missing or empty; "
            "put the tokenizer of the checkpoint into its folder."
        )
    if size > config.vocab_size:
        raise SoundjudgeError(
            f"the tokenizer knows {size} tokens, the text tower {config.vocab_size}: "
            "they are not of one checkpoint."
        )
    if tokenizer.pad_token_id != config.pad_token_id:
        raise SoundjudgeError(
            f"the tokenizer pads with token {tokenizer.pad_token_id}, "
            f"the text tower with {config.pad_token_id}: they are not of one checkpoint."
        )


def tokenize(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> Any:  # noqa: ANN401
    """`input_ids` and `attention_mask`, (B, L) each, of texts that are cut at `max_tokens`."""
    return tokenizer(
        list(texts),
        padding=True,
        truncation=True,
        max_length=max_tokens,
        return_tensors="pt",
        split_special_tokens=True,  # "</s>" in a text is text
    )


def are_cut(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[bool]:  # noqa: ANN401
    """Whether each text has more than `max_tokens`: (B,)."""
    tokens = tokenizer(list(texts), split_special_tokens=True, verbose=False)
    return [len(row) > max_tokens for row in tokens["input_ids"]]


def save_tokenizer(tokenizer: Any, folder: Path) -> None:  # noqa: ANN401
    """Writes its files; the same tokenizer gives the same bytes."""
    # A fast tokenizer would write down how its last batch was padded and cut.
    tokenizer.backend_tokenizer.no_padding()
    tokenizer.backend_tokenizer.no_truncation()
    tokenizer.save_pretrained(folder)
