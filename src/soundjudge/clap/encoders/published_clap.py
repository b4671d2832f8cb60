"""A CLAP of one published file with an HTSAT, whose tokenizer lies beside it, and its folder here.

The file, a .pt or .pth, holds a state dict under "model"; sizes follow from its tensors. `save`
writes safetensors, sizes and tokenizer, so that a judge needs no foreign file.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from transformers import AutoTokenizer
from transformers.initialization import no_init_weights

from soundjudge.clap.encoders import htsat, naming, weight_files
from soundjudge.clap.encoders.name_tables import NameTable
from soundjudge.clap.encoders.tokenization import save_tokenizer
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, model_folder

WEIGHTS = "model.safetensors"
SIZES = {"kind", "dimensions", "fft_bins", "audio", "text"}  # keys of a folder's configuration


@dataclass(frozen=True, kw_only=True)
class PublishedFile:
    """What a published file holds, and under which names."""

    kind: str  # of CLAP; <kind>.json is the configuration of its folder
    title: str  # for errors
    pattern: str  # of its name
    tokenizer: str  # on the hub, which the file lacks
    table: NameTable
    mel_filters: str  # its name of (bins of the FFT, mel bands)
    stft_kernel: str  # its name of the real part of its Fourier transform
    infer_sizes: Callable[[Mapping[str, Tensor]], dict[str, Any]]
    more_sizes: tuple[str, ...] = ()  # keys of its sizes beside SIZES

    def locate(self, path: Path) -> Path:
        """The file itself, or that of its folder."""
        if not path.is_dir():
            return path
        files = sorted(path.glob(self.pattern))
        if len(files) != 1:
            raise SoundjudgeError(f"{path} holds {len(files)} files {self.pattern}: name one.")
        return files[0]

    def read(self, file: Path, sha256: str | None) -> tuple[dict[str, Any], dict[str, Tensor]]:
        """Sizes, and weights under our names; SoundjudgeError for another file."""
        saved = weight_files.read_weights(file, sha256)
        state = saved.get("model") if isinstance(saved, Mapping) else None
        if not isinstance(state, Mapping):
            raise SoundjudgeError(f"{file} holds no weights: it is no {self.title}.")
        model_folder.check_tensors(file, state)
        with model_folder.reading(file):
            try:
                htsat.check_window(state[self.stft_kernel], state[self.mel_filters])
                sizes = {"kind": self.kind, "fft_bins": len(state[self.mel_filters])}
                return sizes | self.infer_sizes(state), self.table.rename(state)
            except KeyError as error:
                raise SoundjudgeError(f"it has no {error}: it is no {self.title}.") from error

    def read_saved(self, folder: Path, sha256: str | None) -> tuple[Any, dict[str, Tensor]]:
        """Sizes and weights of a folder that `PublishedClap.save` wrote."""
        weight_files.check_sha256(folder / WEIGHTS, sha256)
        config = folder / f"{self.kind}.json"
        sizes = artifacts.read_json_object(config)
        keys = SIZES.union(self.more_sizes)
        if sizes.keys() != keys or sizes["kind"] != self.kind:
            raise SoundjudgeError(f"{config} is not as soundjudge writes it.")
        return sizes, artifacts.load_tensors(folder / WEIGHTS)

    def read_tokenizer(self, folder: Path) -> Any:  # noqa: ANN401  transformers types none
        """The tokenizer beside the file."""
        try:
            return model_folder.read_tokenizer(AutoTokenizer, folder)
        except SoundjudgeError as error:
            raise SoundjudgeError(
                f"{folder} holds no tokenizer: put config.json, tokenizer.json and "
                f"tokenizer_config.json of {self.tokenizer} there."
            ) from error


class PublishedClap(nn.Module):
    """What such CLAPs share; their own are the towers, and what is done to sounds and texts."""

    file: ClassVar[PublishedFile]

    def __init__(self, sizes: Mapping[str, Any], tokenizer: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.sizes, self.tokenizer = dict(sizes), tokenizer
        self.dimensions: int = sizes["dimensions"]

    @classmethod
    def load(cls, path: Path, device: str | torch.device, sha256: str | None = None) -> Self:
        """The published file, or a folder with it or that `save` wrote; strictly, in eval mode.

        Raises SoundjudgeError for weights of another model and for such that are not finite.
        """
        if (path / f"{cls.file.kind}.json").is_file():
            folder, file = path, path / WEIGHTS
            sizes, weights = cls.file.read_saved(path, sha256)
        else:
            file = cls.file.locate(path)
            folder = file.parent
            sizes, weights = cls.file.read(file, sha256)
        tokenizer = cls.file.read_tokenizer(folder)
        with model_folder.reading(file), no_init_weights():
            clap = cls(sizes, tokenizer)
            model_folder.load_weights(clap, weights, file, htsat.COMPUTED)
            weight_files.check_finite(file, weights)
        return clap.to(device).eval()

    def save(self, folder: Path) -> None:
        """Writes a folder; the same weights give the same bytes."""
        folder.mkdir(parents=True, exist_ok=True)
        artifacts.write_json(folder / f"{self.file.kind}.json", self.sizes, digits=None)
        weights = {n: w for n, w in self.state_dict().items() if not n.endswith(htsat.COMPUTED)}
        artifacts.save_tensors(folder / WEIGHTS, weights)
        save_tokenizer(self.tokenizer, folder)

    def checkpoint_name(self) -> str:
        """Kind, and the first digits of a sha256 of weights and settings."""
        settings = [self.sizes, *naming.tokenizer_settings(self.tokenizer)]
        digits = naming.short_digest(settings, self.state_dict())
        return f"{self.file.kind}-{digits}"
