"""Loads a language model and its tokenizer from a folder in transformers' format, for prompts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm import prompt
from soundjudge.model.lalm.prompt import TokenIds
from soundjudge.runtime import artifacts, model_folder

CausalMask = dict[str, Tensor | None] | None  # by the kind of layer; None = transformers' own


def load_llm(folder: Path, attention: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The model in float32 with the prompt's tokens added; `attention` is eager or sdpa.

    The embedding table is resized to the tokenizer's length with the three new tokens. Their rows
    are copies of the end-of-sequence's: a trained vector of the right scale, equal in every run.
    """
    llm, tokenizer = _read_folder(folder, attention)
    rows = llm.get_input_embeddings().num_embeddings
    if len(tokenizer) > rows:
        raise SoundjudgeError(
            f"{folder}: the tokenizer has {len(tokenizer)} tokens, the model {rows}."
        )
    prompt.add_tokens(tokenizer)
    llm.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    ids = prompt.token_ids(tokenizer)
    with torch.no_grad():
        for table in (llm.get_input_embeddings(), llm.get_output_embeddings()):
            for token in (ids.audio_start, ids.audio_end, ids.score):
                table.weight[token] = table.weight[ids.eos]
    return llm, tokenizer


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer that `tokenizer.json` describes.

    AutoTokenizer would split text by the kind of model, and would invent a tokenizer of one token
    where the file is missing.
    """
    tokenizer: PreTrainedTokenizerBase = model_folder.read_tokenizer(
        PreTrainedTokenizerFast, folder
    )
    if tokenizer.eos_token_id is None:
        raise SoundjudgeError(f"{folder}: the tokenizer names no eos_token.")
    return tokenizer


def build_llm(config: Mapping[str, Any], attention: str, path: Path) -> PreTrainedModel:
    """The model of a config.json's values, without weights; `path` names it in errors."""
    llm: PreTrainedModel = model_folder.build_model(
        AutoModelForCausalLM, AutoConfig.for_model, config, attention, path
    )
    return llm


def beam_search(tokens: TokenIds, max_tokens: int, num_beams: int) -> GenerationConfig:
    """Generation without chance and without the prompt's own tokens; 1 beam is greedy search."""
    return GenerationConfig(
        do_sample=False,
        num_beams=num_beams,
        max_new_tokens=max_tokens,
        eos_token_id=tokens.eos,
        pad_token_id=tokens.eos,
        suppress_tokens=[tokens.audio_start, tokens.audio_end, tokens.score],
        # Over the vocabulary without those, as in `Lalm.caption_logits`.
        renormalize_logits=True,
    )


def causal_mask(llm: PreTrainedModel, embeddings: Tensor) -> CausalMask:
    """The decoder's `attention_mask` for inputs (B, L, H) of which each attends to those before.

    Where every layer attends to all of them, the mask itself, in eager (1, 1, L, L) of 0 and the
    lowest float, in sdpa none: transformers would look whether positions go on, which waits for the
    device. Other models get None and do so.
    """
    if set(getattr(llm.config, "layer_types", None) or [""]) != {"full_attention"}:
        return None
    if llm.config._attn_implementation == "sdpa":
        return {"full_attention": None}
    length, dtype = embeddings.shape[1], embeddings.dtype
    lowest = torch.full((length, length), torch.finfo(dtype).min, device=embeddings.device)
    return {"full_attention": lowest.to(dtype).triu(1)[None, None]}


def _read_folder(folder: Path, attention: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    for name in ("config.json", "tokenizer.json"):
        if not (folder / name).is_file():
            raise SoundjudgeError(
                f"{folder}: no language model in transformers' format ({name} is missing): put one "
                "there, or change encoders.llm in params.yaml."
            )
    tokenizer = load_tokenizer(folder)
    llm = build_llm(artifacts.read_json_object(folder / "config.json"), attention, folder)
    model_folder.load_weights(llm, model_folder.read_weights(folder), folder)
    return llm.eval(), tokenizer
