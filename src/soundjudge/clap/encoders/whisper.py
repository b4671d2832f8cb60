"""The encoder of Whisper as an encoder of sound alone: the mean of what it makes of a sound.

A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023. The
encoder always gets 30 s, silence behind the sound; the mean is over the frames of the sound alone.

B batch, T samples at 16 kHz, F frames, E width of the encoder.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import WhisperConfig, WhisperFeatureExtractor
from transformers.models.whisper.modeling_whisper import WhisperEncoder

from soundjudge.clap.encoders import naming, saving, weight_files
from soundjudge.clap.encoders.spectrogram import MAX_SAMPLE_RATE
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, model_folder

MODEL_TYPE = "whisper"  # in config.json
# What names of the encoder begin with in a model for recognition, in a bare one, and in ours.
PREFIXES = ("model.encoder.", "encoder.", "")
DECODER = ("model.decoder.", "decoder.", "proj_out.")
STRIDE = 2  # frames of the spectrogram per frame of the encoder
# Of the front end: the most that makes sense, and what alone gives a sound one embedding.
SIZES = {"feature_size": 1024, "sampling_rate": MAX_SAMPLE_RATE, "hop_length": 1 << 16,
         "chunk_length": 3600, "n_fft": 1 << 16}  # fmt: skip
PADDING = {"padding_side": "right", "padding_value": 0.0, "dither": 0.0}
VERSION = 1  # of the code around the weights: raise it when equal weights give other embeddings


def is_whisper(folder: Path) -> bool:
    """Whether the transformers folder holds a Whisper."""
    path = folder / "config.json"
    values = artifacts.read_json_object(path) if path.is_file() else {}
    return values.get("model_type") == MODEL_TYPE


class _EncoderAlone:
    """What of the library's `AutoModel` builds a model, for the encoder without its decoder."""

    @staticmethod
    def from_config(config: Any, trust_remote_code: bool, **options: Any) -> Any:  # noqa: ANN401
        """The encoder, with new weights; no code comes from elsewhere."""
        assert not trust_remote_code
        return WhisperEncoder._from_config(config, **options)


class WhisperMeans:
    """A `WhisperEncoder` as a `ClapEncoder` that tells no text from another."""

    sample_rate = SAMPLE_RATE

    def __init__(self, model: Any, extractor: WhisperFeatureExtractor) -> None:  # noqa: ANN401
        config = model.config
        if extractor.sampling_rate != SAMPLE_RATE or extractor.feature_size != config.num_mel_bins:
            raise SoundjudgeError(
                f"the front end makes {extractor.feature_size} mel bands at "
                f"{extractor.sampling_rate} Hz, the encoder takes {config.num_mel_bins} at "
                f"{SAMPLE_RATE} Hz: take both from one checkpoint."
            )
        if extractor.nb_max_frames != STRIDE * config.max_source_positions:
            raise SoundjudgeError(
                f"the front end makes {extractor.nb_max_frames} frames, the encoder takes "
                f"{STRIDE * config.max_source_positions}: take both from one checkpoint."
            )
        self.model, self.extractor = model, extractor
        self.dimensions = (int(config.d_model), 1)
        self.window_seconds = extractor.n_samples / SAMPLE_RATE

    @classmethod
    def load(cls, folder: Path, device: str | torch.device) -> Self:
        """The encoder of a transformers folder, strictly, in float32 and eval mode."""
        config = artifacts.read_json_object(folder / "config.json")
        weights = encoder_weights(model_folder.read_weights(folder), folder)
        weight_files.check_finite(folder, weights)
        model = model_folder.build_model(_EncoderAlone, WhisperConfig, config, "sdpa", folder)
        model_folder.load_weights(model, weights, folder)
        with model_folder.reading(folder):
            numbers, _ = WhisperFeatureExtractor.get_feature_extractor_dict(
                folder, local_files_only=True
            )
            _check_extractor(numbers)
            extractor = WhisperFeatureExtractor(**numbers)
            return cls(model.to(device).eval(), extractor)

    def save(self, folder: Path) -> None:
        """Writes a folder of the encoder alone; the same weights give the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        saving.save_model(self.model, folder)
        self.extractor.save_pretrained(folder)

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of weights and settings."""
        settings = [self.extractor.to_dict(), naming.model_settings(self.model.config)]
        digits = naming.short_digest(settings, self.model.state_dict())
        protocol = f"{SAMPLE_RATE / 1000:g}k-first{self.window_seconds:g}s-zeros"
        return f"whisper-{digits}/{protocol}/mean@{VERSION}"

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        mels = self.extractor(list(waves), sampling_rate=SAMPLE_RATE, return_tensors="pt")
        device = self.model.conv1.weight.device
        states = self.model(mels["input_features"].to(device)).last_hidden_state  # (B, F, E)
        samples = STRIDE * self.extractor.hop_length  # per frame
        frames = torch.tensor([math.ceil(len(wave) / samples) for wave in waves], device=device)
        mask = torch.arange(states.shape[1], device=device) < frames[:, None]  # (B, F) no padding
        total = (states * mask.unsqueeze(-1)).sum(dim=1)
        # Their direction is that of the mean.
        return nn.functional.normalize(total, dim=-1)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """The number 1 for each text: (B, 1)."""
        return torch.ones(len(texts), 1)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """That no text is cut."""
        return [False] * len(texts)


def _check_extractor(numbers: Mapping[str, Any]) -> None:
    """Raises SoundjudgeError for a front end that no encoder has, or that depends on chance.

    Before the library builds it, which computes filters of any size.
    """
    for name, most in SIZES.items():
        number = numbers.get(name, 1)
        if type(number) is not int or not 1 <= number <= most:
            raise SoundjudgeError(f"{name} is {number!r}: it must be 1 to {most}")
    for name, only in PADDING.items():
        if numbers.get(name, only) != only:
            raise SoundjudgeError(f"{name} is {numbers[name]!r}: only {only!r} can be used")


def encoder_weights(weights: Mapping[str, Tensor], folder: Path) -> dict[str, Tensor]:
    """The weights of the encoder under its own names; those of the decoder are left out."""
    kept = {name: tensor for name, tensor in weights.items() if not name.startswith(DECODER)}
    if not kept:
        raise SoundjudgeError(f"{folder} holds no encoder of a Whisper.")
    prefix = next(prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in kept))
    return {name.removeprefix(prefix): tensor for name, tensor in kept.items()}
