"""PE-AV, Meta's perception encoder for sound and text, as transformers has it.

`PeAudioModel`, or what of a `PeAudioVideoModel` concerns sound and text. Its loss compares
embeddings by their dot product; here, as for every CLAP, they are brought to length 1.

B batch, T samples at 16 kHz, S samples at the model's rate, E embedding dimensions, L tokens.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer, PeAudioConfig, PeAudioFeatureExtractor

from soundjudge.clap.encoders import naming, saving, weight_files
from soundjudge.clap.encoders.spectrogram import MAX_SAMPLE_RATE, resample_waves
from soundjudge.clap.encoders.tokenization import are_cut, check_tokenizer, save_tokenizer, tokenize
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, model_folder

AUDIO, AUDIO_VIDEO = "pe_audio", "pe_audio_video"  # model_type in config.json
WINDOW_SECONDS = 30.0  # ours: the model hears sounds of any length
VERSION = 1  # of the code around the weights: raise it when equal weights give other embeddings
# Of a PeAudioVideoModel: the names of what concerns video, and of what is named otherwise alone.
VIDEO = ("video_", "audio_video_", "text_audio_video_", "audio_plus_text_")
AUDIO_MODEL = "audio_model."


def is_pe_audio(folder: Path) -> bool:
    """Whether the transformers folder holds a PE-AV."""
    path = folder / "config.json"
    values = artifacts.read_json_object(path) if path.is_file() else {}
    return values.get("model_type") in (AUDIO, AUDIO_VIDEO)


class PeAudioClap(nn.Module):
    """`PeAudioModel` and its tokenizer as a `ClapEncoder`."""

    def __init__(self, model: Any, tokenizer: Any, sample_rate: int, hop_length: int) -> None:  # noqa: ANN401
        super().__init__()
        check_tokenizer(tokenizer, model.config.text_config)
        if type(sample_rate) is not int or not 1 <= sample_rate <= MAX_SAMPLE_RATE:
            raise SoundjudgeError(
                f"sampling_rate is {sample_rate!r}: it must be 1 to {MAX_SAMPLE_RATE} Hz"
            )
        own = model.config.audio_config.dac_config.hop_length
        if hop_length != own:
            raise SoundjudgeError(
                f"the processor has a hop of {hop_length} samples, the model one of {own}: "
                "they are not of one checkpoint."
            )
        self.model, self.tokenizer = model, tokenizer
        self.sample_rate, self.hop_length = sample_rate, hop_length
        self.window_seconds = WINDOW_SECONDS
        self.dimensions: int = model.config.text_config.hidden_size

    @classmethod
    def load(cls, folder: Path, device: str | torch.device) -> Self:
        """The sound and text part of a transformers folder, strictly, in float32 and eval mode."""
        config = artifacts.read_json_object(folder / "config.json")
        weights = model_folder.read_weights(folder)
        weight_files.check_finite(folder, weights)
        if "PeAudioFrameLevelModel" in (config.get("architectures") or ()):
            raise SoundjudgeError(
                f"{folder} embeds frames, not whole sounds: take a pe-av in place of a pe-a-frame."
            )
        if config["model_type"] == AUDIO_VIDEO:
            weights = audio_weights(weights)
            audio = (config.get("audio_video_config") or {}).get("audio_config")
            config = {"text_config": config.get("text_config"), "audio_config": audio}
        config = {name: value for name, value in config.items() if value is not None}
        model = model_folder.build_model(AutoModel, PeAudioConfig, config, "eager", folder)
        model_folder.load_weights(model, weights, folder)
        tokenizer = model_folder.read_tokenizer(AutoTokenizer, folder)
        with model_folder.reading(folder):
            extractor = PeAudioFeatureExtractor.from_pretrained(folder, local_files_only=True)
            clap = cls(model, tokenizer, extractor.sampling_rate, extractor.hop_length)
        return clap.to(device).eval()

    def save(self, folder: Path) -> None:
        """Writes a folder of `PeAudioModel`; the same weights give the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        saving.save_model(self.model, folder)
        save_tokenizer(self.tokenizer, folder)
        numbers = {"sampling_rate": self.sample_rate, "hop_length": self.hop_length}
        PeAudioFeatureExtractor(**numbers).save_pretrained(folder)

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of weights and settings."""
        settings = [naming.model_settings(self.model.config), self.sample_rate, self.hop_length]
        settings += naming.tokenizer_settings(self.tokenizer)
        digits = naming.short_digest(settings, self.model.state_dict())
        protocol = f"{self.sample_rate / 1000:g}k-first{self.window_seconds:g}s-reflect"
        return f"pe-audio-{digits}/{protocol}/projection@{VERSION}"

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        device: torch.device = self.model.audio_head.proj.weight.device
        return device

    @property
    def max_tokens(self) -> int:
        """Tokens of a text that are read, its first and last among them."""
        positions = self.model.config.text_config.max_position_embeddings
        return int(min(positions, self.tokenizer.model_max_length))

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds: (B, E)."""
        sounds = [self._whole_hops(wave) for wave in waves]
        embeddings = torch.empty(len(sounds), self.dimensions, device=self.device)
        # Sounds of one length need no padding, which would let batch-mates count.
        for length in sorted({len(sound) for sound in sounds}):
            rows = [row for row, sound in enumerate(sounds) if len(sound) == length]
            batch = torch.stack([sounds[row] for row in rows]).unsqueeze(1)  # (<=B, 1, S)
            embeddings[rows] = self.model.get_audio_embeds(batch).float()
        return nn.functional.normalize(embeddings, dim=-1)

    def _whole_hops(self, wave: NDArray[np.float32]) -> Tensor:
        """A sound at the model's rate, reflected at its end up to whole hops: (S,)."""
        (sound,) = resample_waves([wave], self.window_seconds, self.sample_rate, self.device)
        missing = -len(sound) % self.hop_length
        reflected = np.pad(sound.cpu().numpy(), (0, missing), "reflect")
        return torch.from_numpy(reflected).float().to(self.device)

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts: (B, E). Texts beyond `max_tokens` are cut."""
        tokens = tokenize(self.tokenizer, texts, self.max_tokens).to(self.device)  # (B, L)
        states = self.model.text_model(
            input_ids=tokens["input_ids"], attention_mask=tokens["attention_mask"]
        ).last_hidden_state  # (B, L, E)
        return nn.functional.normalize(self.model.text_audio_head(states[:, 0]), dim=-1)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return are_cut(self.tokenizer, texts, self.max_tokens)


def audio_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a `PeAudioVideoModel` that a `PeAudioModel` has, under its names.

    The text model, which all parts share, has its name; what is of video is left out.
    """
    return {
        name.removeprefix(AUDIO_MODEL): tensor
        for name, tensor in weights.items()
        if not name.startswith(VIDEO)
    }
