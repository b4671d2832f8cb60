"""Lets torchaudio and torchvision import beside a CPU build of torch.

Their index wheels link against CUDA: on CPU torch `import torchaudio` raises OSError and
torchvision RuntimeError, and with them every model import of transformers. Stub modules, in place
before the first import, leave out the compiled extensions; all that is used here is plain torch
code. Where torch itself has CUDA, or the companion is a CPU build too, nothing is touched.
"""

import importlib.metadata
import sys
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import NoReturn


def install_shim() -> None:
    """Puts the stubs in place, before torchaudio, torchvision or transformers is imported."""
    if _needs_stub("torchaudio", "torchaudio._extension"):
        stub = _stub("torchaudio._extension")
        stub.__dict__["_IS_TORCHAUDIO_EXT_AVAILABLE"] = False
        stub.__dict__["_IS_ALIGN_AVAILABLE"] = False
        stub.__dict__["_check_cuda_version"] = lambda: None
        stub.__dict__["fail_if_no_align"] = _fail_if_no_align
    if _needs_stub("torchvision", "torchvision._meta_registrations"):
        _stub("torchvision._meta_registrations")


def _needs_stub(companion: str, extension: str) -> bool:
    if extension in sys.modules:
        return False
    return _version("torch").endswith("+cpu") and not _version(companion).endswith(
        ("+cpu", "absent")
    )


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def _stub(name: str) -> ModuleType:
    module = ModuleType(name)
    module.__spec__ = ModuleSpec(name, loader=None, is_package=True)
    module.__path__ = []
    sys.modules[name] = module
    return module


def _fail_if_no_align(function: Callable[..., object]) -> Callable[..., NoReturn]:
    def unavailable(*_args: object, **_kwargs: object) -> NoReturn:
        raise RuntimeError(f"{function.__name__} needs torchaudio's compiled extension")

    return unavailable
