"""A language model and its tokenizer from a folder in transformers' format, ready for prompts."""

from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm import prompt


def load_llm(folder: Path, attention: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in float32 with the prompt's tokens added; `attention` is eager or sdpa.

    The table of embeddings gets the size of the tokenizer and three rows more, copies of the
    end-of-sequence: a trained vector of the right scale, and the same in every run.
    """
    llm, tokenizer = _read(folder, attention)
    rows = llm.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise SoundjudgeError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens, the model {rows}."
        )
    if tokenizer.eos_token_id is None:
        raise SoundjudgeError(f"{folder}: the tokenizer names no eos_token.")
    prompt.add_tokens(tokenizer)
    llm.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    ids = prompt.token_ids(tokenizer)
    with torch.no_grad():
        for table in (llm.get_input_embeddings(), llm.get_output_embeddings()):
            for new in (ids.audio_start, ids.audio_end, ids.score):
                table.weight[new] = table.weight[ids.eos]
    return llm, tokenizer


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of `tokenizer.json`, to the letter.

    AutoTokenizer would let the kind of model decide how text is split, and would make up a
    tokenizer of one token where the file is missing.
    """
    return PreTrainedTokenizerFast.from_pretrained(folder)


def _read(folder: Path, attention: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise SoundjudgeError(
                f"{folder}: no language model in transformers' format there ({name} is missing): "
                "put one there, or change encoders.llm in params.yaml."
            )
    try:
        tokenizer = load_tokenizer(folder)
        llm, report = AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.float32, attn_implementation=attention, output_loading_info=True
        )
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise SoundjudgeError(f"{folder}: not a readable language model: {reason}") from error
    # transformers only warns where weights are missing and starts them at random.
    wrong = {kind: sorted(map(str, names)) for kind, names in report.items() if names}
    if wrong:
        raise SoundjudgeError(f"{folder}: its weights do not fit its configuration: {wrong}")
    return llm, tokenizer
