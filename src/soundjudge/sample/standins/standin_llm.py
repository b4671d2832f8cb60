"""The stand-in language model: a small Qwen2 that has read enough to know which words go together.

It hears nothing. Where the audio tokens will stand, it reads the words of what happens, one slot a
stretch of time; it learns to tell whether a caption says what happens, and to say it itself.
The three tokens that the audio language model adds later start as copies of the end-of-sequence,
so here the end-of-sequence stands in their places. What made a model this small learn to compare:
query and key projections of the first layer that start equal, wide embeddings, and a vector that
marks slots.

Letters: B scenes, K captions a scene, P = B * K pairs, M slots, L sequence, H width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import Qwen2Config, Qwen2ForCausalLM

from soundjudge.model.lalm import prompt
from soundjudge.sample.composition.scenes import Recording
from soundjudge.sample.standins import text_matching, vocabulary


@dataclass(frozen=True, kw_only=True)
class StandinLlmTraining:
    """How the stand-in language model is trained."""

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
    noise: float  # standard deviation added to a slot
    order: prompt.Order  # in which it is asked; captions come behind the slots either way


class MatchingModel(nn.Module):
    """The language model with the heads that it needs only while it learns to read."""

    def __init__(self, llm: Any, width: int) -> None:  # noqa: ANN401  untyped library
        super().__init__()
        self.llm = llm
        self.mark = nn.Parameter(torch.randn(width) * 0.3)
        self.overlap = nn.Linear(width, 1)
        self.same = nn.Linear(width, 1)
        self.named = nn.Linear(width, 1)


def train_llm(
    pool: Sequence[Recording], training: StandinLlmTraining, log: Callable[[str], None]
) -> tuple[Any, Any]:
    """The trained Qwen2ForCausalLM and its tokenizer."""
    torch.manual_seed(training.seed)
    rng = np.random.default_rng([training.seed, 13])
    texts = vocabulary.sample_captions(pool, 3000, training.seed)
    tokenizer = vocabulary.qwen_tokenizer(texts, training.vocabulary)
    reader = MatchingModel(build_llm(training, tokenizer), training.width)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=training.learning_rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.learning_rate, total_steps=training.steps, pct_start=0.1
    )
    reader.train()
    running = 0.0
    for step in range(1, training.steps + 1):
        batch = text_matching.sample_batch(pool, training.batch, training.slots, rng)
        parts = _losses(reader, tokenizer, batch, training)
        loss = torch.stack(parts).sum()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(reader.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        running = loss.item() if step == 1 else 0.95 * running + 0.05 * loss.item()
        if step % 50 == 0:
            each = ", ".join(f"{part.item():.3f}" for part in parts)
            log(f"LLM step {step}/{training.steps}: loss {running:.3f} ({each})")
    return reader.llm.eval(), tokenizer


def build_llm(training: StandinLlmTraining, tokenizer: Any) -> Any:  # noqa: ANN401
    """A Qwen2 of the configured size at a start from which its attention can compare words."""
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
    reader: MatchingModel,
    tokenizer: Any,  # noqa: ANN401
    read: text_matching.MatchingBatch,
    training: StandinLlmTraining,
) -> list[Tensor]:
    """ListNet on the overlap, matched or not, named or not slot by slot, and saying it.

    Slots before the text cannot tell whether it names them.
    """
    slots = _slots(reader, tokenizer, read.slots, training.noise)  # (B, M, H)
    count = slots.shape[1]
    eos = tokenizer.eos_token_id
    tokens = prompt.TokenIds(audio_start=eos, audio_end=eos, score=eos, eos=eos)
    ids = tokenizer(read.texts, add_special_tokens=False)["input_ids"]
    asked = prompt.scoring_sequences(ids, tokens, count, training.order)
    hidden = _hidden(
        reader, asked, slots.repeat_interleave(text_matching.CAPTIONS, dim=0)
    )  # (P, L, H)
    at_score = hidden[torch.arange(len(ids)), asked.score_index]  # (P, H)
    overlap = reader.overlap(at_score).view(-1, text_matching.CAPTIONS)
    target = (read.overlap / 0.2).softmax(dim=1)
    listwise = -(target * overlap.log_softmax(dim=1)).sum(dim=1).mean()
    binary = functional.binary_cross_entropy_with_logits
    same = binary(reader.same(at_score).squeeze(1), read.same)
    told = prompt.caption_sequences(ids[:: text_matching.CAPTIONS], tokens, count)
    saying = _hidden(reader, told, slots)  # (B, L, H)
    logits = reader.llm.lm_head(saying[:, :-1])  # (B, L - 1, V)
    spoken = told.text[:, 1:]
    caption = functional.cross_entropy(logits[spoken], told.ids[:, 1:][spoken])
    if training.order == "audio_first":
        return [listwise, same, caption]
    at_slots = reader.named(hidden[asked.audio]).view(-1, count)  # (P, M)
    return [listwise, same, binary(at_slots, read.named), caption]


def _hidden(reader: MatchingModel, sequences: prompt.PromptSequences, slots: Tensor) -> Tensor:
    table = reader.llm.get_input_embeddings()
    output = reader.llm.model(
        inputs_embeds=prompt.embed_sequences(sequences, table, slots),
        attention_mask=sequences.mask.long(),
        position_ids=sequences.positions,
        use_cache=False,
    )
    hidden: Tensor = output.last_hidden_state
    return hidden


def _slots(
    reader: MatchingModel, tokenizer: Any, slots: list[list[list[str]]], noise: float
) -> Tensor:  # noqa: ANN401
    """The mean embedding of the words in each slot, marked and blurred: (B, M, H)."""
    distinct = sorted({text for row in slots for slot in row for text in slot})
    row_of = {text: i for i, text in enumerate(distinct)}
    table = reader.llm.get_input_embeddings()
    ids = tokenizer(distinct, add_special_tokens=False)["input_ids"]
    flat = torch.tensor([token for each in ids for token in each])
    starts = torch.tensor(np.cumsum([0, *(len(each) for each in ids[:-1])]))
    means = functional.embedding_bag(flat, table.weight, starts, mode="mean")  # (texts, H)
    sounding = torch.zeros(len(slots), len(slots[0]), len(distinct))
    for b, row in enumerate(slots):
        for m, slot in enumerate(row):
            for text in slot:
                sounding[b, m, row_of[text]] = 1.0
    content = sounding @ means  # (B, M, H); a silent slot is zero
    content = content * (1.0 + 0.2 * torch.randn(*content.shape[:2], 1))
    return content + reader.mark + noise * torch.randn_like(content)
