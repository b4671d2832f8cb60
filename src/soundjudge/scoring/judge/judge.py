"""The public scorer: sounds and texts in, numbers from 0 (no match) to 10 (exact match) out.

A judge is a folder:
    judge.json         members, weights, calibration, window, sha256 of every file, score id
    members/<name>/    one trained checkpoint each
    encoders/<name>/   official networks that members share
    README.md          the model card

B pairs, K members, T samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundjudge import params
from soundjudge.data.audio import audio
from soundjudge.data.fetch import hub
from soundjudge.errors import HubError, SoundjudgeError
from soundjudge.runtime import artifacts, devices
from soundjudge.scoring.ensemble import ensemble
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.members import members
from soundjudge.scoring.members.predict import PredictionConfig, raw_scores

MANIFEST = "judge.json"
FORMAT_VERSION = 2  # raise it when an older judge would be misread

Sound = str | Path | tuple[ArrayLike, int]
"""A file, or samples (T,) or (T, channels) with their sample rate in Hz."""


@dataclass(frozen=True, kw_only=True)
class FileRecord:
    """What a file of the judge's folder must be."""

    bytes: int
    sha256: str


@dataclass(frozen=True, kw_only=True)
class JudgeManifest:
    """judge.json."""

    format: int
    score_id: str
    "name@version+fingerprint: two judges with one id give the same scores"
    window_seconds: float
    ensemble: Ensemble
    files: dict[str, FileRecord]


class Judge:
    """Scores pairs of sound and text. A score depends on its pair and the judge alone."""

    def __init__(self, contents: JudgeManifest, loaded: dict[str, members.Member]) -> None:
        self.contents = contents
        self.members = loaded

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str = "auto", m2d: Path | None = None
    ) -> Self:
        """The judge of a folder, or of a hub id ("owner/name" or "owner/name@revision").

        `device`: auto (a CUDA device if there is one), cpu, cuda, cuda:1, mps. `m2d`: your own copy
        of M2D-CLAP, where the judge stands on it; else what SOUNDJUDGE_M2D names.
        """
        folder = _folder(name)
        contents = read_manifest(folder)
        for path, file in contents.files.items():
            size = (folder / path).stat().st_size if (folder / path).is_file() else None
            if size != file.bytes:
                state = "is missing" if size is None else f"has {size} bytes, not {file.bytes}"
                raise SoundjudgeError(
                    f"{folder / path} {state}: the judge is incomplete, copy it again"
                )
        loader = members.MemberLoader(
            root=folder,
            device=devices.resolve_device(device),
            window_seconds=contents.window_seconds,
            m2d=m2d,
            by_name=False,  # the copies are held by their sha256
        )
        # A member without weight would be computed for nothing.
        weighted = zip(contents.ensemble.members, contents.ensemble.weights, strict=True)
        used = [member for member, weight in weighted if weight > 0]
        return cls(
            contents, {member: loader.member(folder / "members" / member) for member in used}
        )

    @property
    def score_id(self) -> str:
        """Name, version and fingerprint of what makes these scores: cite it with them."""
        return self.contents.score_id

    def score(self, sound: Sound, text: str) -> float:
        """How well the sound matches the text, 0 to 10."""
        return self.score_pairs([sound], [text], batch_size=1)[0]

    def score_pairs(
        self, sounds: Sequence[Sound], texts: Sequence[str], batch_size: int = 32
    ) -> list[float]:
        """A score for each sound with its text, in order; holds one batch of sounds at once."""
        if isinstance(texts, str) or len(sounds) != len(texts):
            raise SoundjudgeError("score_pairs needs as many texts as sounds, each in a list")
        scores: list[float] = []
        for start in range(0, len(sounds), max(1, batch_size)):
            batch = slice(start, start + batch_size)
            waves = [load_waveform(sound) for sound in sounds[batch]]
            scores += self.score_waves(waves, texts[batch], batch_size)
        return scores

    def score_waves(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str], batch_size: int
    ) -> list[float]:
        """Scores of sounds that are read already: (T,) mono at 16 kHz."""
        for text in texts:
            if not isinstance(text, str) or not text.strip():
                raise SoundjudgeError("a text is empty: there is nothing to match the sound with")
        prediction = PredictionConfig(
            window_seconds=self.contents.window_seconds, batch_size=batch_size
        )
        said = raw_scores(list(self.members.values()), waves, texts, prediction)  # (B, used)
        blend = self.contents.ensemble
        scores = np.tile(np.asarray(blend.mean), (len(waves), 1))  # (B, K)
        scores[:, [blend.members.index(name) for name in self.members]] = said
        return [float(score) for score in ensemble.apply_ensemble(blend, scores)]


def load_waveform(sound: Sound) -> NDArray[np.float32]:
    """Mono samples at 16 kHz: (T,)."""
    if isinstance(sound, str | Path):
        return audio.read_audio(Path(sound))
    samples, sample_rate = sound
    return audio.from_samples(samples, sample_rate)


def read_manifest(folder: Path) -> JudgeManifest:
    """judge.json, strictly."""
    path = folder / MANIFEST
    if not path.is_file():
        raise SoundjudgeError(
            f"{folder} holds no {MANIFEST}: make a judge with 'dvc repro package', or name its folder"
        )
    values = artifacts.read_json(path)
    found = values.get("format") if isinstance(values, dict) else None
    if found != FORMAT_VERSION:
        raise SoundjudgeError(
            f"{path} is of format {found}, and this version reads format {FORMAT_VERSION} alone: package "
            "that judge again with 'dvc repro package'"
        )
    return params.build(JudgeManifest, values, f"{path}: ")


def verify_files(folder: Path) -> None:
    """Reads every byte of a judge and compares it with the sums in judge.json."""
    for path, file in read_manifest(folder).files.items():
        if artifacts.sha256(folder / path) != file.sha256:
            raise SoundjudgeError(
                f"{folder / path} is not the file that was packaged: copy it again"
            )


def _folder(name: str | Path) -> Path:
    if isinstance(name, Path) or not hub.is_hub_id(name):
        return Path(name)
    try:
        return hub.snapshot_folder(name)
    except HubError as error:
        raise SoundjudgeError(
            f"{name} is neither a folder here nor a judge that the hub gives out: "
            "make one with 'dvc repro package', or name its folder"
        ) from error
