"""A CLAP of frozen towers that never met, joined by two linear projections.

The audio towers are aisfx and perhaps YAMNet, the text tower all-MiniLM-L6-v2. Beside
the projections they can be joined by named categories of sound, those of aisfx' classifiers and the
tags of YAMNet, which need no captioned example. A folder holds towers.json and model.safetensors.
As it lies in git it holds the projections and names the packages that carry the towers; inside a
checkpoint or a judge it holds the towers, too, and needs no package.

B batch, T samples at 16 kHz, V values of what an audio tower reads of a sound, H width of a tower,
of two audio towers the sum, E embedding dimensions, C categories, G tags.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from soundjudge.clap.encoders import deltas, tower_checks, tower_files
from soundjudge.clap.encoders.aisfx import AISFX_SAMPLE_RATE, AisfxNetwork, BlockedLogMel
from soundjudge.clap.encoders.encoder import Parts
from soundjudge.clap.encoders.sentence_transformer import SentenceEncoder
from soundjudge.clap.encoders.sound_categories import (
    SoundCategories,
    blank_categories,
    describe_categories,
    join_vectors,
)
from soundjudge.clap.encoders.yamnet import YAMNET_SAMPLE_RATE, PatchedLogMel, YamnetNetwork
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

# Keys of CONFIG and of weights, where there are any.
CATEGORIES, TAGS = "categories", "tags"
CONFIG, WEIGHTS = "towers.json", "model.safetensors"
KIND = "towers"
WINDOW_SECONDS = 10.0
PARTS = ("audio_model", "audio_projection", "text_model", "text_projection")
VERSION = 1  # of the code around the weights: raise it when equal weights give other embeddings


class TowersClap(nn.Module):
    """The towers and their projections behind the interface of `ClapEncoder`.

    Front end, tower and projection can be run one by one, as those of `TransformersClap`.
    """

    def __init__(
        self,
        audio_model: AisfxNetwork,
        audio_projection: nn.Linear,
        text_model: SentenceEncoder,
        text_projection: nn.Linear,
        attributions: Sequence[str] = (),
        categories: SoundCategories | None = None,
        *,
        tagger: YamnetNetwork | None = None,
        tags: SoundCategories | None = None,
    ) -> None:
        """`attributions`: a line per tower whose license asks for one, kept by every copy.

        `tagger` is the second audio tower, `tags` are categories of its classes.
        """
        super().__init__()
        self.attributions = tuple(attributions)
        self.categories, self.tagger, self.tags = categories, tagger, tags
        self.audio_model, self.audio_projection = audio_model, audio_projection
        self.text_model, self.text_projection = text_model, text_projection
        self.blocks = BlockedLogMel(WINDOW_SECONDS)
        self.patches = PatchedLogMel(WINDOW_SECONDS)
        self.sample_rate = AISFX_SAMPLE_RATE
        self.window_seconds = WINDOW_SECONDS
        self.dimensions = audio_projection.out_features
        self.eval()

    @classmethod
    def load(cls, folder: Path, device: str | torch.device) -> Self:
        """The CLAP of a folder that `save` or `save_projections` wrote, strictly, in eval mode.

        Raises SoundjudgeError for a package that is missing or another, and for weights that do
        not fit or are not finite.
        """
        path = folder / CONFIG
        config = artifacts.read_json_object(path)
        try:
            if config["kind"] != KIND:
                raise SoundjudgeError(f"{path}: kind is {config['kind']!r}, not {KIND}.")
            dimensions = config["dimensions"]
            tower_checks.check_widths(path, [dimensions])
            own = tower_files.read_towers(path, config)
            text_width = own.text_model.width
            clap = cls(
                own.audio_model,
                nn.Linear(own.audio_width, dimensions),
                own.text_model,
                nn.Linear(text_width, dimensions),
                own.attributions,
                blank_categories(config.get(CATEGORIES), own.audio_model.classes, text_width),
                tagger=own.tagger,
                tags=blank_categories(config.get(TAGS), own.tag_classes, text_width),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise SoundjudgeError(f"{path} is not as soundjudge writes it: {error!r}.") from error
        stored = artifacts.load_tensors(folder / WEIGHTS)
        expected = clap._stored_weights(config[tower_files.AUDIO].get("package") is None)
        tower_checks.check_weights(folder / WEIGHTS, stored, expected)
        with torch.no_grad():
            for name, weights in expected.items():
                weights.copy_(stored[name])
        return clap.to(device)

    def save(self, folder: Path) -> None:
        """Writes all weights, so that no package is needed; equal weights give equal bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        self.text_model.save(folder / tower_files.TEXT_FOLDER)
        own = tower_files.describe_towers(self.audio_model, self.tagger)
        own[tower_checks.ATTRIBUTIONS] = list(self.attributions)
        self._write(folder, own, with_audio_models=True)

    def save_projections(self, folder: Path) -> None:
        """Writes the projections alone; the towers must be those of the packages, as they are."""
        folder.mkdir(parents=True, exist_ok=True)
        packages = tower_files.packages(with_tagger=self.tagger is not None)
        records = {part: package.record() for part, package in packages.items()}
        self._write(folder, records, with_audio_models=False)

    def _write(self, folder: Path, towers: Mapping[str, Any], *, with_audio_models: bool) -> None:
        config = {"kind": KIND, "dimensions": self.dimensions, **towers}
        for key, own in ((CATEGORIES, self.categories), (TAGS, self.tags)):
            if own is not None:
                config[key] = describe_categories(own)
        artifacts.save_tensors(folder / WEIGHTS, self._stored_weights(with_audio_models))
        artifacts.write_json(folder / CONFIG, config)

    def _stored_weights(self, with_audio_models: bool) -> dict[str, Tensor]:
        """What WEIGHTS holds, live; the text tower has a folder of its own."""
        names = ("audio_projection.", "text_projection.", f"{CATEGORIES}.", f"{TAGS}.")
        prefixes = (*names, "audio_model.", "tagger.") if with_audio_models else names
        return {name: w for name, w in self.state_dict().items() if name.startswith(prefixes)}

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of weights and vocabulary."""
        vocabulary = self.text_model.tokenizer.get_vocab()
        settings = vocabulary if self.tags is None else [vocabulary, self.tags.temperature]
        digits = deltas.short_digest(settings, self.state_dict())
        protocol = f"{AISFX_SAMPLE_RATE / 1000:g}k-first{WINDOW_SECONDS:g}s-peak"
        if self.tagger is not None:
            protocol += f"+{YAMNET_SAMPLE_RATE / 1000:g}k"
        return f"{KIND}-{digits}/{protocol}/projection@{VERSION}"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.audio_projection.weight.device

    def parts(self) -> Parts:
        """The weights that can be trained; both audio towers count as one part."""
        parts = {name: list(getattr(self, name).parameters()) for name in PARTS}
        if self.tagger is not None:
            parts["audio_model"] += self.tagger.parameters()
        return parts

    def log_mel(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """What the audio tower reads of 16 kHz mono sounds, of two towers side by side: (B, V)."""
        blocks: Tensor = self.blocks(waves)
        if self.tagger is None:
            return blocks
        return torch.cat([blocks.flatten(1), self.patches(waves).flatten(1)], dim=1)

    def pool_mels(self, mels: Tensor) -> Tensor:
        """The audio tower, or both side by side: what `log_mel` gave -> (B, H)."""
        if self.tagger is None:
            pooled: Tensor = self.audio_model(mels)
            return pooled
        blocks, patches = mels.tensor_split([math.prod(self.blocks.shape)], dim=1)
        first = self.audio_model(blocks.reshape(-1, *self.blocks.shape))
        second = self.tagger(patches.reshape(-1, *self.patches.shape))
        return torch.cat([first, second], dim=1)

    def project_sounds(self, pooled: Tensor) -> Tensor:
        """Audio tower outputs (B, H) as unit embeddings (B, E)."""
        return nn.functional.normalize(self.audio_projection(pooled), dim=-1)

    def match_sounds(self, pooled: Tensor) -> Tensor:
        """Audio tower outputs (B, H) as unit vectors that are compared: (B, E [+ C] [+ G])."""
        parts = [self.project_sounds(pooled)]
        first, second = pooled.tensor_split([self.audio_model.width], dim=1)
        if self.categories is not None:
            parts.append(self.categories.of_sounds(self.audio_model.classify(first)))
        if self.tags is not None and self.tagger is not None:
            parts.append(self.tags.of_sounds(self.tagger.classify(second)))
        return join_vectors(parts)

    def pool_texts(self, texts: Sequence[str]) -> Tensor:
        """The text tower: (B, H); of a long text the first 256 tokens."""
        pooled: Tensor = self.text_model(texts)
        return pooled

    def project_texts(self, pooled: Tensor) -> Tensor:
        """Text tower outputs (B, H) as unit embeddings (B, E)."""
        return nn.functional.normalize(self.text_projection(pooled), dim=-1)

    def match_texts(self, pooled: Tensor) -> Tensor:
        """Text tower outputs (B, H) as unit vectors that are compared: (B, E [+ C] [+ G])."""
        named = [own.of_texts(pooled) for own in (self.categories, self.tags) if own is not None]
        return join_vectors([self.project_texts(pooled), *named])

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return self.text_model.cut_texts(texts)

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        return self.project_sounds(self.encode_sounds(waves))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, E)."""
        return self.project_texts(self.encode_texts(texts))

    def encode_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Audio tower outputs of 16 kHz mono sounds: (B, H)."""
        return self.pool_mels(self.log_mel(waves))

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Text tower outputs: (B, H)."""
        return self.pool_texts(texts)
