"""A CLAP in the transformers format, as LAION's are published: unfused, larger and fused ones.

A fused CLAP was trained on a long sound as a whole and three crops of it. Here it is given what
every other is, the first window, as a sound that is not longer than it; its own extractor would
mark one sound of each batch as longer at random.

B batch, T samples at 16 kHz, F frames, M mel bands, H tower width, E embedding dimensions,
L tokens.
"""

import inspect
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, ClapConfig, ClapFeatureExtractor

from soundjudge.clap.encoders import naming, saving
from soundjudge.clap.encoders.encoder import Parts
from soundjudge.clap.encoders.spectrogram import FeatureExtractor, LogMel
from soundjudge.clap.encoders.tokenization import are_cut, check_tokenizer, save_tokenizer, tokenize
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, model_folder

__all__ = ["FeatureExtractor", "TransformersClap"]

# Constants that the model computes itself; older files lack some of them, newer ones hold them.
COMPUTED = ("position_ids", "token_type_ids", "relative_position_index")
VERSION = 1  # of the code around the weights: raise it when equal weights give other embeddings
MAX_SPEC_SIZE = 4096  # official ones have 256; the tower's input is a square of this


class TransformersClap(nn.Module):
    """`ClapModel`, its tokenizer and its log-mel front end as a `ClapEncoder`.

    Front end, tower and projection can be run one by one, so that what is frozen can be cached:
    waves -> `log_mel` -> `pool_mels` -> `project_sounds`; texts -> `pool_texts` -> `project_texts`.
    """

    def __init__(self, model: Any, tokenizer: Any, extractor: FeatureExtractor) -> None:  # noqa: ANN401
        super().__init__()
        check_config(model.config)
        check_tokenizer(tokenizer, model.config.text_config)
        check_window(extractor, model.config.audio_config)
        self.model = model
        self.tokenizer = tokenizer
        self.extractor = extractor
        self.log_mel = LogMel(extractor)  # waves B x (T,) -> (B, 1, F, M)
        self.sample_rate = extractor.sampling_rate
        self.window_seconds = extractor.max_length_s
        self.dimensions: int = model.config.projection_dim

    @classmethod
    def load(cls, folder: Path, device: str | torch.device) -> Self:
        """The CLAP of a transformers folder, strictly, in float32 and eval mode."""
        if not (folder / "config.json").is_file():
            raise SoundjudgeError(
                f"{folder}: there is no config.json, so this is no transformers CLAP."
            )
        if not any(
            (folder / f"{kind}_config.json").is_file() for kind in ("preprocessor", "processor")
        ):
            raise SoundjudgeError(
                f"{folder}: there is no preprocessor_config.json; take the checkpoint's."
            )
        config = artifacts.read_json_object(folder / "config.json")
        weights = model_folder.read_weights(folder)
        model = model_folder.build_model(AutoModel, ClapConfig, config, "eager", folder)
        model_folder.load_weights(model, weights, folder, COMPUTED)
        tokenizer = model_folder.read_tokenizer(AutoTokenizer, folder)
        with model_folder.reading(folder):
            # Not built by the library, which computes filters of any size that a file names.
            numbers, _ = ClapFeatureExtractor.get_feature_extractor_dict(
                folder, local_files_only=True
            )
            extractor = FeatureExtractor(**{name: numbers.get(name, d) for name, d in _defaults()})
            return cls(model, tokenizer, extractor).to(device).eval()

    def save(self, folder: Path) -> None:
        """Writes the official layout; the same weights give the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        saving.save_model(self.model, folder)
        save_tokenizer(self.tokenizer, folder)
        ClapFeatureExtractor(**asdict(self.extractor)).save_pretrained(folder)

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of weights and settings."""
        model = self.model.state_dict()
        weights = {key: tensor for key, tensor in model.items() if not key.endswith(COMPUTED)}
        settings = [asdict(self.extractor), naming.model_settings(self.model.config)]
        settings += naming.tokenizer_settings(self.tokenizer)
        kind = "fused" if self.model.config.audio_config.enable_fusion else "unfused"
        digits = naming.short_digest(settings, weights)
        return f"{kind}-{digits}/{self.extractor.protocol}/projection@{VERSION}"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.log_mel.mel_filters.device

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read, its first and last among them."""
        config = self.model.config.text_config
        positions = config.max_position_embeddings - config.pad_token_id - 1
        return int(min(positions, self.tokenizer.model_max_length))

    def parts(self) -> Parts:
        """The weights that can be trained."""
        names = ("audio_model", "audio_projection", "text_model", "text_projection")
        return {name: list(getattr(self.model, name).parameters()) for name in names}

    def pool_mels(self, mels: Tensor) -> Tensor:
        """The audio tower: (B, 1, F, M) -> (B, H)."""
        # With no sound marked as longer, a fused model encodes a spectrogram as an unfused does.
        longer = torch.zeros(len(mels), 1, dtype=torch.bool, device=mels.device)
        pooled: Tensor = self.model.audio_model(mels, is_longer=longer).pooler_output
        return pooled

    def project_sounds(self, pooled: Tensor) -> Tensor:
        """Audio tower outputs (B, H) as unit embeddings (B, E)."""
        return nn.functional.normalize(self.model.audio_projection(pooled), dim=-1)

    def pool_texts(self, texts: Sequence[str]) -> Tensor:
        """The text tower: (B, H). Texts beyond `max_tokens` are cut."""
        tokens = tokenize(self.tokenizer, texts, self.max_tokens).to(self.device)  # (B, L)
        pooled: Tensor = self.model.text_model(
            tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).pooler_output
        return pooled

    def project_texts(self, pooled: Tensor) -> Tensor:
        """Text tower outputs (B, H) as unit embeddings (B, E)."""
        return nn.functional.normalize(self.model.text_projection(pooled), dim=-1)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return are_cut(self.tokenizer, texts, self.max_tokens)

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        return self.project_sounds(self.pool_mels(self.log_mel(waves)))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, E)."""
        return self.project_texts(self.pool_texts(texts))


def _defaults() -> list[tuple[str, Any]]:
    """The numbers of an extractor whose file does not name them."""
    parameters = inspect.signature(ClapFeatureExtractor.__init__).parameters
    return [(name, parameters[name].default) for name in FeatureExtractor.__dataclass_fields__]


def check_config(config: Any) -> None:  # noqa: ANN401  transformers' ClapConfig
    """Raises SoundjudgeError for numbers by which a pass through the towers makes no sense."""
    audio, text = config.audio_config, config.text_config
    if not 1 <= audio.spec_size <= MAX_SPEC_SIZE:
        raise SoundjudgeError(f"spec_size is {audio.spec_size}: it must be 1 to {MAX_SPEC_SIZE}")
    strides, patch = audio.patch_stride, audio.patch_size
    strides = strides if isinstance(strides, list | tuple) else [strides]
    if not all(isinstance(stride, int) and 1 <= stride <= patch for stride in strides):
        raise SoundjudgeError(
            f"patch_stride is {audio.patch_stride}: whole numbers of 1 to {patch} are needed, "
            "which is patch_size"
        )
    if any(audio.spec_size % stride for stride in strides):
        raise SoundjudgeError(
            f"patch_stride is {audio.patch_stride}: it must divide spec_size {audio.spec_size}"
        )
    if text.num_attention_heads < 1:
        raise SoundjudgeError(f"num_attention_heads is {text.num_attention_heads}: 1 or more")
    for part in (audio, text):
        if part.chunk_size_feed_forward:  # it saves memory alone
            raise SoundjudgeError(
                f"chunk_size_feed_forward is {part.chunk_size_feed_forward}: write 0"
            )


def check_window(extractor: FeatureExtractor, config: Any) -> None:  # noqa: ANN401
    """Raises SoundjudgeError if the audio tower cannot encode the front end's spectrogram."""
    if extractor.feature_size != config.num_mel_bins:
        raise SoundjudgeError(
            f"the front end makes {extractor.feature_size} mel bands, "
            f"the audio tower takes {config.num_mel_bins}: take both from one checkpoint."
        )
    width = config.spec_size * (config.spec_size // config.num_mel_bins)
    if extractor.frames > width:
        raise SoundjudgeError(
            f"a window of {extractor.max_length_s} s has {extractor.frames} frames, "
            f"the audio tower takes at most {width}: shorten max_length_s or lengthen hop_length."
        )
