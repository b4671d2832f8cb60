"""Folders in transformers' format, read strictly and without the library's own searching.

`from_pretrained` of a model would take an adapter from outside of the folder, a pickle instead of
safetensors, or files elsewhere that an index names; and it draws what is missing at random.
"""

import json
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
# Keys of a configuration that decide what a pass returns; nothing here asks for more.
RETURNED = ("output_hidden_states", "output_attentions", "return_dict")
SHARD = re.compile(r"\w[\w.-]*\.safetensors")
MAX_LISTED = 3  # names in an error
LAYERS = re.compile(r".*layers|depths")  # keys of a configuration that count layers
MAX_LAYERS = 1000  # more is nonsense, and takes hours to build


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raises SoundjudgeError with `path` for whatever a library raises over foreign files."""
    try:
        yield
    except MemoryError:
        raise
    except SoundjudgeError as error:
        raise SoundjudgeError(f"{path}: {error}") from error
    except Exception as error:  # noqa: BLE001  they share no class; tokenizers raises Exception
        raise SoundjudgeError(f"{path} can't be read: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    """What an error of a library says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def read_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of `model.safetensors`, or of the files beside its index, on the CPU."""
    if (folder / WEIGHTS).is_file():
        return artifacts.load_tensors(folder / WEIGHTS)
    index = folder / INDEX
    if not index.is_file():
        raise SoundjudgeError(
            f"{folder} holds no {WEIGHTS}, and pickles such as pytorch_model.bin are not read: "
            "take the checkpoint's safetensors"
        )
    files = artifacts.read_json_object(index).get("weight_map")
    if not isinstance(files, dict) or not all(
        isinstance(file, str) and SHARD.fullmatch(file) for file in files.values()
    ):
        raise SoundjudgeError(
            f"{index}: weight_map must name .safetensors files of this folder alone: load both"
        )
    weights: dict[str, Tensor] = {}
    for file in sorted(set(files.values())):
        if not (folder / file).is_file():
            raise SoundjudgeError(f"{folder / file} is missing, and {INDEX} names it: load it")
        tensors = artifacts.load_tensors(folder / file)
        if tensors.keys() != {name for name, owner in files.items() if owner == file}:
            raise SoundjudgeError(f"{folder / file} does not hold what {INDEX} says: load both")
        weights |= tensors
    return weights


def read_checkpoint(path: Path, **options: Any) -> Any:  # noqa: ANN401
    """What `torch.save` wrote, on the CPU; `options` are those of `torch.load`.

    Raises SoundjudgeError for what is no such file.
    """
    artifacts.check_readable(path)
    try:
        with warnings.catch_warnings(action="ignore"):  # of what is refused or read all the same
            return torch.load(path, map_location="cpu", **options)
    except SoundjudgeError:
        raise
    except Exception as error:  # a damaged pickle raises what its opcodes stumble over
        # What torch says would advise to trust the file.
        raise SoundjudgeError(
            f"{path} is not a readable PyTorch checkpoint: get it again"
        ) from error


def check_tensors(path: Path, weights: Mapping[Any, Any]) -> None:
    """Raises SoundjudgeError unless `weights` are dense tensors of real numbers by their names."""
    for name, tensor in weights.items():
        dense = (
            isinstance(tensor, Tensor)
            and tensor.layout is torch.strided
            and tensor.device.type == "cpu"
            and not (tensor.is_complex() or tensor.is_quantized or tensor.is_nested)
        )
        if not dense or not isinstance(name, str):
            raise SoundjudgeError(f"{path}: {name!r} is no dense tensor of weights: get it again")


def build_model(
    auto: Any,  # noqa: ANN401  a class of transformers
    make_config: Callable[..., Any],
    values: Mapping[str, Any],
    attention: str,
    path: Path,
) -> Any:  # noqa: ANN401
    """The model of a configuration's `values`, in float32; `load_weights` must fill it.

    `auto` and `make_config` are transformers'; `path` names the configuration in errors.
    """
    # transformers' own is a heavy import.
    from transformers.initialization import no_init_weights

    with reading(path):
        check_numbers(values)
    with reading(path), torch.random.fork_rng(devices=[]), no_init_weights():
        model = auto.from_config(
            make_config(**{key: value for key, value in values.items() if key not in RETURNED}),
            dtype=torch.float32,
            attn_implementation=attention,
            trust_remote_code=False,
        )
        model.tie_weights()
    return model


def check_numbers(values: object, name: str = "the configuration") -> None:
    """Raises SoundjudgeError, with the innermost key, for numbers that no model has.

    `values` are nested mappings and lists.
    """
    if isinstance(values, dict):
        for key, value in values.items():
            check_numbers(value, str(key))
    elif isinstance(values, list | tuple):
        for value in values:
            check_numbers(value, name)
    elif isinstance(values, int | float):
        if not math.isfinite(values):
            raise SoundjudgeError(f"{name} is {values}: a finite number is needed")
        if LAYERS.fullmatch(name) and values > MAX_LAYERS:
            raise SoundjudgeError(f"{name} is {values}: it must be {MAX_LAYERS} at most")
        if "drop" in name and not 0 <= values <= 1:
            raise SoundjudgeError(f"{name} is {values}: it must be 0 to 1")


def load_weights(
    module: nn.Module, weights: Mapping[str, Tensor], path: Path, computed: tuple[str, ...] = ()
) -> None:
    """Copies `weights` into `module`: every name and shape must fit, or SoundjudgeError is raised.

    `computed` are endings of the names of constants that the module has computed itself. Of weights
    that share one tensor the first name is enough.
    """
    own = module.state_dict()
    stored = {name: tensor for name, tensor in weights.items() if not name.endswith(computed)}
    stored |= {name: tensor for name, tensor in own.items() if name.endswith(computed)}
    stored |= {
        name: stored[first]
        for name, first in shared_names(module).items()
        if first in stored and name not in stored
    }
    missing, unexpected = sorted(own.keys() - stored.keys()), sorted(stored.keys() - own.keys())
    mismatched = [
        name
        for name in sorted(own.keys() & stored.keys())
        if own[name].shape != stored[name].shape
        or own[name].is_floating_point() != stored[name].is_floating_point()
    ]
    if missing or unexpected or mismatched:
        raise SoundjudgeError(
            f"{path}: the weights do not fit the configuration; missing {missing[:MAX_LISTED]}, "
            f"unexpected {unexpected[:MAX_LISTED]}, other shape or kind {mismatched[:MAX_LISTED]}"
        )
    module.load_state_dict(stored, strict=True)


def shared_names(module: nn.Module) -> dict[str, str]:
    """Names of parameters that are listed before under another name, and that name."""
    first: dict[int, str] = {}
    shared = {}
    for name, parameter in module.named_parameters(remove_duplicate=False):
        if id(parameter) in first:
            shared[name] = first[id(parameter)]
        first.setdefault(id(parameter), name)
    return shared


def read_tokenizer(kind: Any, folder: Path) -> Any:  # noqa: ANN401  transformers types none
    """The tokenizer of the folder's own files, by a class of transformers."""
    with reading(folder):
        tokenizer = kind.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    for key in ("is_local", "local_files_only"):  # would be saved, and says nothing about it
        tokenizer.init_kwargs.pop(key, None)
    if not isinstance(tokenizer.model_max_length, int | float):
        raise SoundjudgeError(f"{folder}: model_max_length of the tokenizer is no number")
    with reading(folder):
        _check_templates(tokenizer)
        tokenizer(["a dog"], split_special_tokens=True)
    return tokenizer


def _check_templates(tokenizer: Any) -> None:  # noqa: ANN401
    """Raises SoundjudgeError for tokens around a text that have no id: the library would abort."""
    processor = getattr(getattr(tokenizer, "backend_tokenizer", None), "post_processor", None)
    described = [json.loads(processor.__getstate__())] if processor is not None else []
    for part in described:
        described += part.get("processors", [])  # of a sequence
        pieces = [*part.get("single", []), *part.get("pair", [])]
        names = {piece["SpecialToken"]["id"] for piece in pieces if "SpecialToken" in piece}
        if missing := sorted(names - part.get("special_tokens", {}).keys()):
            raise SoundjudgeError(f"tokenizer.json: post_processor gives {missing[0]!r} no id")
