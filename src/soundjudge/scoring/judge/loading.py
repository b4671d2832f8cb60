"""A judge's folder, checked, to its manifest and its loaded members.

    judge.json         members, weights, calibration, window, sha256 of every file, score id
    members/<name>/    one trained checkpoint each
    encoders/<name>/   official networks that members share
    README.md          the model card
Nothing else may lie there, and no file may differ from what judge.json says of it.
"""

from pathlib import Path

from soundjudge.data.hub import hub
from soundjudge.data.hub.hub import HubOptions
from soundjudge.errors import HubError, SoundjudgeError
from soundjudge.runtime import devices
from soundjudge.scoring.judge import integrity
from soundjudge.scoring.judge.manifest import REMEDY, JudgeManifest, read_manifest
from soundjudge.scoring.members import members
from soundjudge.scoring.members.encodings import Member


def load_judge(
    name: str | Path, device: str, m2d: Path | None, verify: bool, options: HubOptions
) -> tuple[JudgeManifest, dict[str, Member], Path]:
    """The members that have a weight, and the folder; arguments: see `Judge.from_pretrained`."""
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
    with devices.plain_arithmetic():
        loaded = {member: loader.member(folder / "members" / member) for member in used}
    return manifest, loaded, folder


def _folder(name: str | Path, options: HubOptions) -> Path:
    if isinstance(name, Path) or not hub.is_hub_id(name):
        if options.get("revision"):
            raise SoundjudgeError(f"{name} is a folder, not of the hub: it has no revision")
        return Path(name)
    try:
        return hub.snapshot_folder(name, **options)
    except HubError as error:
        raise SoundjudgeError(
            f"{name} is neither a folder here nor a judge that the hub gives out: {REMEDY}"
        ) from error
