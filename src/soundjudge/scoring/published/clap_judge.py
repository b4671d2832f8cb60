"""A published CLAP as a judge without any training: ten times the cosine, clipped to 0..10."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.clap.encoders.checkpoints import load_tunable
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.weight_files import check_finite
from soundjudge.data.hub import hub
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.ensemble.ensemble import identity_ensemble
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.card import Packaging
from soundjudge.scoring.judge.judge_folder import check_new_folder
from soundjudge.scoring.judge.manifest import JudgeManifest

MEMBER = "clapscore"
PATTERNS = ("*.json", "*.txt", "*.safetensors")
REPORT = """\
## Protocol

`{protocol}`: the checkpoint by the first digits of a sha256 of its weights, configuration and
tokenizer, what is done to a sound, and the layer that is read. The score is ten times the cosine of
the embeddings of sound and text, clipped to 0..10; nothing was trained or calibrated.

Papers differ in what they call CLAPScore, and the differences change which system wins: compare
numbers of one score id alone. Sounds are brought to 16 kHz before the checkpoint hears them, so
what lies above 8 kHz does not count; published CLAPScores of 48 kHz sounds are other numbers.
"""


def import_clap(source: str, out: Path, license_name: str = "other") -> JudgeManifest:
    """Writes the judge of a CLAP to `out`, which must not exist or be empty.

    `source` is a folder, a .pt file, or hf://owner/name@revision of the hub. Raises SoundjudgeError
    for what is no CLAP.
    """
    check_new_folder(out)
    of_hub = source.startswith(hub.SCHEME)
    path = hub.snapshot_folder(source, PATTERNS) if of_hub else Path(source)
    if not path.exists():
        raise SoundjudgeError(f"{path} does not exist: name a CLAP here, or hf://owner/name")
    clap = load_tunable(ClapSource(path=path), "cpu")
    score = ClapScore(clap, mean=0.0, std=1.0)
    check_finite(source, score.state_dict())
    protocol = clap.name()
    name = hub.repository_name(source) if of_hub else path.absolute().stem
    slug = re.sub(r"[^A-Za-z0-9_-]+", "-", name).strip("-")
    packaging = Packaging(
        name=f"clapscore-{slug}",
        version="1.0",
        license=license_name,
        data=f"The weights of {name} as published: nothing was trained or calibrated here.",
        notes=(f"{name}: {license_name}; see the page of its authors",),
    )
    with torch.no_grad(), artifacts.atomic_folder(out) as folder, TemporaryDirectory() as temporary:
        check_new_folder(out)  # again: another run may have made it since
        score.save(Path(temporary))
        return package.build_judge(
            folder,
            ensemble=identity_ensemble(MEMBER),
            checkpoints={MEMBER: Path(temporary)},
            window_seconds=clap.window_seconds,
            packaging=packaging,
            report=REPORT.format(protocol=protocol),
        )
