"""A judge's folder, checked, to its manifest and its loaded members.

    judge.json         members, weights, calibration, window, sha256 of every file, score id
    members/<name>/    one trained checkpoint each
    encoders/<name>/   official networks that members share
    README.md          the model card
Nothing else may lie there, and no file may differ from what judge.json says of it.
"""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch

from soundjudge.data.hub import hub
from soundjudge.data.hub.hub import HubOptions
from soundjudge.errors import HubError, SoundjudgeError
from soundjudge.runtime import devices
from soundjudge.scoring.judge import integrity
from soundjudge.scoring.judge.manifest import REMEDY, JudgeManifest, read_manifest
from soundjudge.scoring.members import members
from soundjudge.scoring.members.encodings import Member


@dataclass(frozen=True, kw_only=True)
class LoadedJudge:
    """A judge's folder in memory."""

    manifest: JudgeManifest
    members: dict[str, Member]
    "those that have a weight"
    folder: Path
    device: torch.device


def load_judge(
    name: str | Path, device: str, m2d: Path | None, verify: bool, options: HubOptions
) -> LoadedJudge:
    """The judge `name`; arguments as in `Judge.from_pretrained`."""
    folder = _folder(name, options)
    manifest = read_manifest(folder)
    integrity.check_folder(folder, manifest, verify)
    loader = members.MemberLoader(
        root=folder,
        device=devices.resolve_device(device),
        window_seconds=manifest.window_seconds,
        m2d=m2d,
    )
    # A member without weight would be computed for nothing.
    weighted = zip(manifest.ensemble.members, manifest.ensemble.weights, strict=True)
    used = [member for member, weight in weighted if weight > 0]
    with devices.plain_arithmetic(), cpu_default():  # whatever the caller's defaults are
        loaded = {member: loader.member(folder / "members" / member) for member in used}
    return LoadedJudge(manifest=manifest, members=loaded, folder=folder, device=loader.device)


def cpu_default() -> AbstractContextManager[object]:
    """New tensors lie on the CPU, whatever the caller's default device is.

    Torch's own context passes each operation through Python, a tenth of a small judge's scoring:
    where the CPU is the default already, it is left out.
    """
    if torch.get_default_device().type == "cpu":
        return nullcontext()
    return torch.device("cpu")


def find_folder(name: str | Path) -> Path:
    """The folder `name`; if there is none and `name` is no Path, the judge fetched by that name.

    Raises SoundjudgeError for a judge that can be fetched and is not here yet.
    """
    if isinstance(name, Path) or Path(name).is_dir():
        return Path(name)
    # By name: no stage depends on the code for what others published.
    installed = import_module("soundjudge.scoring.published.installed")
    return installed.find_judge(name) or Path(name)


def _folder(name: str | Path, options: HubOptions) -> Path:
    if isinstance(name, Path) or not hub.is_hub_id(name):
        if options.get("revision"):
            raise SoundjudgeError(f"{name} is a folder, not of the hub: it has no revision")
        return find_folder(name)
    try:
        return hub.snapshot_folder(name, **options)
    except HubError as error:
        raise SoundjudgeError(
            f"{name} is neither a folder here nor a judge that the hub gives out: {REMEDY}"
        ) from error
