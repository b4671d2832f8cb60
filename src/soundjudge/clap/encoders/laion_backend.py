"""LAION's CLAP run by its own package, laion-clap: a second opinion on the first.

Scores do not need it: `laion.py` reads the same files without it. The package is old, and what it
does to its surroundings is undone here: it parses the command line when it is imported, leaves its
folder in sys.path and modules called `training` and `hook` behind, fetches RoBERTa from the hub to
overwrite it, and cuts long sounds at random.

B batch, T samples at 16 kHz, S samples at 48 kHz, E embedding dimensions, L tokens.
"""

import importlib.util
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self
from unittest import mock

import numpy as np
import torch
import transformers
from numpy.typing import NDArray
from torch import Tensor

from soundjudge.clap.encoders import laion, naming
from soundjudge.clap.encoders.spectrogram import FeatureExtractor, resample_waves
from soundjudge.clap.encoders.tokenization import are_cut, check_tokenizer
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

AUDIO_MODELS = {96: "HTSAT-tiny", 128: "HTSAT-base", 256: "HTSAT-large"}  # by width of a patch
STRAY_MODULES = ("hook", "clap_module", "training", "evaluate", "unit_test")
VERSION = 1  # of the code around the package: raise it when equal weights give other embeddings


class LaionClap:
    """`laion_clap.CLAP_Module` as a `ClapEncoder`; it can't be tuned."""

    def __init__(self, module: Any, tokenizer: Any, weights: str) -> None:  # noqa: ANN401
        self.module, self.tokenizer, self.weights = module, tokenizer, weights
        self.extractor = FeatureExtractor(**laion.FRONTEND, truncation="rand_trunc")
        self.sample_rate = self.extractor.sampling_rate
        self.window_seconds = self.extractor.max_length_s
        self.dimensions: int = module.model.joint_embed_shape

    @classmethod
    def load(cls, path: Path, device: str | torch.device, sha256: str | None) -> Self:
        """The CLAP of a .pt file, with the tokenizer beside it, strictly, in eval mode."""
        state = laion.read_laion_weights(path, sha256)
        state.pop("text_branch.embeddings.position_ids", None)
        tokenizer = laion.load_tokenizer(path.parent)
        try:
            text = transformers.RobertaConfig(**laion.infer_text_config(state))
            width = len(state["audio_branch.patch_embed.proj.weight"])
        except KeyError as error:
            raise SoundjudgeError(
                f"{path} has no {error}: it is no CLAP of HTSAT and RoBERTa."
            ) from error
        check_tokenizer(tokenizer, text)
        if width not in AUDIO_MODELS:
            raise SoundjudgeError(f"{path}: laion-clap knows no HTSAT of width {width}.")
        fused = "audio_branch.patch_embed.mel_conv2d.weight" in state
        module = build_package_model(AUDIO_MODELS[width], fused, text, str(device))
        try:
            module.model.load_state_dict(state)
        except RuntimeError as error:
            raise SoundjudgeError(f"{path} does not fit laion-clap's model: {error}") from error
        return cls(module.eval(), tokenizer, artifacts.sha256(path))

    def name(self) -> str:
        """Checkpoint, protocol and pooling; the digits are of file and settings."""
        settings = [self.weights, *naming.tokenizer_settings(self.tokenizer)]
        digits = naming.short_digest(settings, {})
        return f"laion-{digits}/{self.extractor.protocol}/projection@{VERSION}"

    def embed_sounds(self, waves: Sequence[NDArray[np.float32]]) -> Tensor:
        """Unit embeddings of 16 kHz mono sounds, no gradients: (B, E)."""
        sounds = resample_waves(waves, self.window_seconds, self.sample_rate, torch.device("cpu"))
        # No sound is longer than the window, so nothing is cropped; rounding to 16 bits is theirs.
        rows = [sound.numpy() for sound in sounds]  # B x (S,)
        return torch.from_numpy(self.module.get_audio_embedding_from_data(rows))

    def embed_texts(self, texts: Sequence[str]) -> Tensor:
        """Unit embeddings of texts, no gradients: (B, E)."""
        with torch.no_grad():
            embedded = self.module.get_text_embedding(list(texts), tokenizer=self._tokens)
        return torch.from_numpy(embedded)

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether each text is longer than what is read of it."""
        return are_cut(self.tokenizer, texts, laion.MAX_TOKENS)

    def _tokens(self, texts: list[str]) -> Mapping[str, Tensor]:
        # The package's own would flatten a batch of one.
        tokens: Mapping[str, Tensor] = self.tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=laion.MAX_TOKENS,
            return_tensors="pt",
            split_special_tokens=True,
        )  # (B, L)
        return {key: tokens[key] for key in ("input_ids", "attention_mask")}


def build_package_model(
    audio: str, fused: bool, text: transformers.RobertaConfig, device: str
) -> Any:  # noqa: ANN401
    """The package's model with random weights; SoundjudgeError if it is not installed."""
    spec = importlib.util.find_spec("laion_clap")
    if spec is None or not spec.submodule_search_locations:
        raise SoundjudgeError(
            "laion-clap is not installed: pip install 'soundjudge[laion]', or set "
            "encoders.clap.backend to transformers, which reads the same files."
        )
    random = transformers.RobertaModel(text)
    with (
        _contain_side_effects(spec.submodule_search_locations[0]),
        mock.patch.object(transformers.RobertaModel, "from_pretrained", return_value=random),
        mock.patch.object(transformers.RobertaTokenizer, "from_pretrained", return_value=None),
    ):
        import laion_clap

        return laion_clap.CLAP_Module(enable_fusion=fused, device=device, amodel=audio)


@contextmanager
def _contain_side_effects(folder: str) -> Iterator[None]:
    """Lets the package find its own modules, and leaves everything as it was before."""
    arguments, path = sys.argv, list(sys.path)
    ours = _remove_stray_modules()
    sys.argv = arguments[:1]
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.argv, sys.path[:] = arguments, path
        _remove_stray_modules()
        sys.modules.update(ours)


def _remove_stray_modules() -> dict[str, Any]:
    names = [name for name in sys.modules if name.partition(".")[0] in STRAY_MODULES]
    return {name: sys.modules.pop(name) for name in names}
