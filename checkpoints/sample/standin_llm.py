"""The stand-in language model: a small Qwen2 trained to compare words.

It is trained without sound: in place of the audio tokens it reads the words of a scene, one slot
per segment of time. It learns to tell whether a caption matches the scene, and to caption the
scene. The three tokens that the audio language model adds start as copies of the end-of-sequence,
so here the end-of-sequence stands in their places. A model this small learns to compare only with
equal initial query and key projections in the first layer, wide embeddings, and a vector that marks
slots.
Letters: B = scenes, K = captions per scene, P = B * K pairs, M = slots, L = sequence, H = width,
V = vocabulary.

reads   ../../data/sample/clips/
writes  llm/ in the layout of a Qwen2 folder with its tokenizer
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import text_matching
import torch
import vocabulary
from one_cycle import OneCycle
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2Config, Qwen2ForCausalLM

from soundjudge import params
from soundjudge.model.lalm import prompt
from soundjudge.runtime.artifacts import atomic_folder
from soundjudge.sample.composition import scenes
from soundjudge.sample.composition.scenes import Recording

CLIPS = Path("../../data/sample/clips")
LLM = Path("llm")


@dataclass(frozen=True, kw_only=True)
class StandinLlmTraining:
    """Section `llm` of checkpoints/sample/params.yaml."""

    seed: int
    steps: int
    batch: int  # scenes
    learning_rate: float
    width: int  # H
    layers: int
    heads: int
    key_value_heads: int
    feed_forward: int
    vocabulary: int  # tokens at most
    slots: int  # M
    noise: float  # standard deviation of the noise on slots
    order: prompt.Order  # of the scoring prompt; in captioning, slots always come first


class MatchingModel(nn.Module):
    """The language model with the heads of its training losses."""

    def __init__(self, llm: Any, width: int) -> None:  # noqa: ANN401  untyped library
        super().__init__()
        self.llm = llm
        self.mark = nn.Parameter(torch.randn(width) * 0.3)
        self.overlap = nn.Linear(width, 1)
        self.matched = nn.Linear(width, 1)
        self.named = nn.Linear(width, 1)


def train_llm(
    pool: Sequence[Recording], training: StandinLlmTraining, log: Callable[[str], None]
) -> tuple[Any, Any]:
    """The trained Qwen2ForCausalLM and its tokenizer."""
    torch.manual_seed(training.seed)
    rng = np.random.default_rng([training.seed, 13])
    texts = vocabulary.sample_captions(pool, 3000, training.seed)
    tokenizer = vocabulary.qwen_tokenizer(texts, training.vocabulary)
    model = MatchingModel(build_llm(training, tokenizer), training.width)
    optimizer = OneCycle(model.parameters(), training.learning_rate, training.steps)
    model.train()
    running = 0.0
    for step in range(1, training.steps + 1):
        batch = text_matching.sample_batch(pool, training.batch, training.slots, rng)
        parts = _losses(model, tokenizer, batch, training)
        loss = torch.stack(parts).sum()
        optimizer.step(loss)
        running = loss.item() if step == 1 else 0.95 * running + 0.05 * loss.item()
        if step % 50 == 0:
            terms = ", ".join(f"{part.item():.3f}" for part in parts)
            log(f"LLM step {step}/{training.steps}: loss {running:.3f} ({terms})")
    return model.llm.eval(), tokenizer


def build_llm(training: StandinLlmTraining, tokenizer: Any) -> Any:  # noqa: ANN401
    """A Qwen2 of the configured size, initialized so that its attention can compare words."""
    llm = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=len(tokenizer),
            hidden_size=training.width,
            intermediate_size=training.feed_forward,
            num_hidden_layers=training.layers,
            num_attention_heads=training.heads,
            num_key_value_heads=training.key_value_heads,
            max_position_embeddings=1024,
            rope_parameters={"rope_type": "default", "rope_theta": 1.0e6},
            tie_word_embeddings=True,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=None,
            use_cache=False,
            attn_implementation="eager",
        )
    )
    with torch.no_grad():
        nn.init.normal_(llm.model.embed_tokens.weight, std=0.3)
        attention = llm.model.layers[0].self_attn
        nn.init.normal_(attention.k_proj.weight, std=0.09)
        groups = training.heads // training.key_value_heads
        per_head = attention.k_proj.weight.unflatten(0, (training.key_value_heads, -1))
        attention.q_proj.weight.copy_(per_head.repeat_interleave(groups, dim=0).flatten(0, 1))
    return llm


def _losses(
    model: MatchingModel,
    tokenizer: Any,  # noqa: ANN401
    batch: text_matching.MatchingBatch,
    training: StandinLlmTraining,
) -> list[Tensor]:
    """ListNet on the overlap, cross-entropies of matched or not, named or not, and the caption.

    In the order audio_first, slots precede the text and cannot tell whether it names them.
    """
    slots = _embed_slots(model, tokenizer, batch.slots, training.noise)  # (B, M, H)
    count = slots.shape[1]
    eos = tokenizer.eos_token_id
    tokens = prompt.TokenIds(audio_start=eos, audio_end=eos, score=eos, eos=eos)
    ids = tokenizer(batch.texts, add_special_tokens=False)["input_ids"]
    scoring = prompt.scoring_sequences(ids, tokens, count, training.order)
    repeated = slots.repeat_interleave(text_matching.CAPTIONS, dim=0)  # (P, M, H)
    hidden = _hidden_states(model, scoring, repeated)  # (P, L, H)
    at_score = hidden[scoring.score_positions]  # (P, H)
    overlap = model.overlap(at_score).view(-1, text_matching.CAPTIONS)  # (B, K)
    target = (batch.overlap / 0.2).softmax(dim=1)
    listwise = -(target * overlap.log_softmax(dim=1)).sum(dim=1).mean()
    binary = functional.binary_cross_entropy_with_logits
    matched = binary(model.matched(at_score).squeeze(1), batch.matched)
    captioning = prompt.caption_sequences(ids[:: text_matching.CAPTIONS], tokens, count)
    logits = model.llm.lm_head(_hidden_states(model, captioning, slots)[:, :-1])  # (B, L - 1, V)
    text_mask = captioning.text_mask[:, 1:]
    caption = functional.cross_entropy(logits[text_mask], captioning.ids[:, 1:][text_mask])
    if training.order == "audio_first":
        return [listwise, matched, caption]
    named = model.named(hidden[scoring.audio_mask]).view(-1, count)  # (P, M)
    return [listwise, matched, binary(named, batch.named), caption]


def _hidden_states(
    model: MatchingModel, sequences: prompt.PromptSequences, slots: Tensor
) -> Tensor:
    table = model.llm.get_input_embeddings()
    output = model.llm.model(
        inputs_embeds=prompt.embed_sequences(sequences, table, slots),
        attention_mask=sequences.attention_mask,
        position_ids=sequences.position_ids,
        use_cache=False,
    )
    hidden: Tensor = output.last_hidden_state
    return hidden


def _embed_slots(
    model: MatchingModel,
    tokenizer: Any,  # noqa: ANN401
    slots: list[list[list[str]]],
    noise: float,
) -> Tensor:
    """The summed mean embeddings of each slot's captions, scaled, marked, noisy: (B, M, H)."""
    captions = sorted({caption for row in slots for slot in row for caption in slot})
    index_of = {caption: i for i, caption in enumerate(captions)}
    table = model.llm.get_input_embeddings()
    ids = tokenizer(captions, add_special_tokens=False)["input_ids"]
    flat = torch.tensor([token for tokens in ids for token in tokens])
    starts = torch.tensor(np.cumsum([0, *(len(tokens) for tokens in ids[:-1])]))
    means = functional.embedding_bag(flat, table.weight, starts, mode="mean")  # (captions, H)
    sounding = torch.zeros(len(slots), len(slots[0]), len(captions))
    for b, row in enumerate(slots):
        for m, slot in enumerate(row):
            for caption in slot:
                sounding[b, m, index_of[caption]] = 1.0
    content = sounding @ means  # (B, M, H); a silent slot is zero
    content = content * (1.0 + 0.2 * torch.randn(*content.shape[:2], 1))
    return content + model.mark + noise * torch.randn_like(content)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    training = params.load("llm", StandinLlmTraining)
    llm, tokenizer = train_llm(scenes.load_recordings(CLIPS), training, logging.info)
    with atomic_folder(LLM) as folder:
        llm.save_pretrained(folder)
        tokenizer.save_pretrained(folder)


if __name__ == "__main__":
    main()
