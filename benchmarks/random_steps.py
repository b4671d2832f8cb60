"""Steps of `pretrain` on random weights, features and captions, as the loop takes them or plainly.

Letters: P = pairs, L = lists, S = pairs in a list, M = audio tokens, D = encoder width.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from operations import PAIRS, RECIPE, Sizes
from random_lalm import FIRST_WORD, build_lalm, text
from torch import Tensor

from soundjudge import params
from soundjudge.data.arrays import array_store
from soundjudge.model.lalm import lalm as lalm_module
from soundjudge.model.lalm import prompt
from soundjudge.model.lalm.adaptation import LlmTraining
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.training.lalm.training_pairs import PairReader, TrainingPairs, make_pairs
from soundjudge.training.loop.objective import Indices, Inputs, ItemLoss, ListLoss, Loss
from soundjudge.training.loop.updates import Updates
from soundjudge.training.pretrain import pretrain
from soundjudge.training.ranking.lists import random_lists
from soundjudge.training.ranking.ranking import list_loss

WORDS = (3, 23)  # tokens of a caption, each length as likely: 13 on average
CAPTIONS = 4  # of a clip


@dataclass(frozen=True, kw_only=True)
class Way:
    """What of the loop is in use; nothing of it is the plain way."""

    fills: bool = False  # deterministic torch fills the memory that operations take
    masks: bool = False  # padding mask, positions, audio tokens by a mask
    reads_ahead: bool = True  # tokens once, inputs by a thread, copies that nothing waits for
    compiled: bool = False  # the layers of the language model


PLAIN = Way(fills=True, masks=True, reads_ahead=False)


class RandomTraining:
    """A model, its optimizer and the steps of an epoch."""

    def __init__(
        self, sizes: Sizes, folder: Path, device: torch.device, precision: str, way: Way
    ) -> None:
        config = params.build(
            pretrain.PretrainConfig, RECIPE["pretrain"]["training"], "pretrain.training"
        )
        optimization = replace(config.optimization, precision=precision)
        self.way, self.device = way, device
        torch.manual_seed(0)
        width = sizes.beats.encoder_embed_dim
        with device:
            self.model = build_lalm(sizes.llm, sizes.config, sizes.frontend, width)
        self.features, self.pairs = write_corpus(folder, sizes, clips=PAIRS * 16)
        self.model.prepare_for_training(LlmTraining(training="full", compile=way.compiled))
        self.reader = PairReader(self.model, self.features, self.pairs)
        self.compare = list_loss(config, self.pairs.targets)
        objective: Loss[Lalm] = ItemLoss(read=lambda items: (items,), loss=self.loss)
        if way.reads_ahead:
            objective = self.list_loss(config.list_size)
        self.updates: Updates[Lalm] = Updates(self.model, objective, optimization)
        self.lists = random_lists(len(self.pairs), config.list_size)(np.random.default_rng(1))

    def list_loss(self, list_size: int) -> ListLoss[Lalm]:
        """The loss as `pretrain` has it."""

        def read(items: Indices) -> Inputs:
            return pretrain.read_pairs(self.reader, items, 1)

        def scores(model: Lalm, inputs: Inputs, _: torch.Generator) -> Tensor:
            return model.sequence_scores(*inputs)

        def loss(scores: Tensor, items: Indices) -> Tensor:
            return self.compare(scores, *self.pairs.targets_of(items, scores.device))

        return ListLoss(read=read, scores=scores, loss=loss, list_size=list_size)

    def loss(self, model: Lalm, inputs: Inputs, _: torch.Generator) -> Tensor:
        """The loss with everything read, tokenized and copied when it is asked for."""
        (items,) = inputs
        flat = items.ravel()
        sounds = self.reader.features_of(flat).float()
        scores = model.scores(sounds, self.pairs.texts_of(flat)).view(items.shape)
        return self.compare(scores, *self.pairs.targets_of(items, scores.device))

    def steps(self, count: int) -> Generator[Tensor, None, None]:
        """The summed loss of one step after the other, on the device."""
        batches = [self.lists[i : i + 1] for i in range(count)]
        generator, rate = torch.Generator(), 1e-5
        with as_way(self.way):
            for step in self.updates.read_ahead(batches):
                yield self.updates.step(step.result(), rate, generator)


def write_corpus(
    folder: Path, sizes: Sizes, clips: int
) -> tuple[array_store.ArrayStore, TrainingPairs]:
    """Features (M, D) of clips in float16, and their captions with targets."""
    rng = np.random.default_rng(0)
    names = [f"clip{number:06d}" for number in range(clips)]
    shape = (clips, sizes.frontend.audio_tokens, sizes.beats.encoder_embed_dim)
    if not folder.exists():
        rows = rng.standard_normal(shape, np.float32).astype(np.float16)
        array_store.write_rows(folder, names, [rows])
    lengths = rng.integers(*WORDS, endpoint=True, size=CAPTIONS * clips)
    last = sizes.llm.vocab_size - len(prompt.NEW_TOKENS)
    texts = [text(rng.integers(FIRST_WORD, last, size=n).tolist()) for n in lengths]
    pairs = make_pairs(
        pd.Series(names).repeat(CAPTIONS), pd.Series(texts), rng.uniform(-1, 1, len(texts))
    )
    return array_store.ArrayStore(folder), pairs


@contextmanager
def as_way(way: Way) -> Iterator[None]:
    """While it is active, what `way` lacks is done plainly."""
    deterministic: Any = torch.utils.deterministic
    before = deterministic.fill_uninitialized_memory
    deterministic.fill_uninitialized_memory = way.fills
    changes: list[Any] = []
    if way.masks:
        changes += [
            mock.patch.object(Lalm, "hidden_states", _masked_hidden_states),
            mock.patch.object(prompt, "embed_sequences", _embed_by_mask),
        ]
    if not way.reads_ahead:
        names = [(lalm_module, "copy_to"), (prompt, "copy_to"), (pretrain_pairs(), "copy_to")]
        changes += [mock.patch.object(module, name, waiting_copy) for module, name in names]
    try:
        for change in changes:
            change.start()
        yield
    finally:
        for change in changes:
            change.stop()
        deterministic.fill_uninitialized_memory = before


def pretrain_pairs() -> object:
    """The module whose targets are copied to the device."""
    from soundjudge.training.lalm import training_pairs

    return training_pairs


def waiting_copy(tensor: Tensor, device: torch.device) -> Tensor:
    """A copy that the processor waits for where the device is a GPU."""
    return tensor.to(device)


def _masked_hidden_states(
    self: Lalm, sequences: prompt.PromptSequences, features: Tensor
) -> Tensor:
    output = self.llm.get_decoder()(
        inputs_embeds=self._embed(sequences, features),
        attention_mask=waiting_copy(sequences.attention_mask, self.device),
        position_ids=waiting_copy(sequences.position_ids, self.device),
        use_cache=False,
    )
    hidden: Tensor = output.last_hidden_state
    return hidden


def _embed_by_mask(
    sequences: prompt.PromptSequences, table: torch.nn.Module, audio: Tensor
) -> Tensor:
    embeddings = table(waiting_copy(sequences.ids, audio.device))
    mask = waiting_copy(sequences.audio_mask, audio.device).unsqueeze(2)
    return embeddings.masked_scatter(mask, audio.to(embeddings.dtype))
