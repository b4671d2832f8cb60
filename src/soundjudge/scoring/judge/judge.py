"""The public scorer: sounds and texts in, numbers from 0 (no match) to 10 (exact match) out.

A judge is a folder:
    judge.json         members, weights, calibration, window, sha256 of every file, score id
    members/<name>/    one trained checkpoint each
    encoders/<name>/   official networks that members share
    README.md          the model card
Nothing else may lie there, and no file may differ from what judge.json says of it.

B pairs, K members, T samples.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from soundjudge.data.audio import audio, level
from soundjudge.data.hub import hub
from soundjudge.errors import HubError, SoundjudgeError
from soundjudge.runtime import devices
from soundjudge.scoring.ensemble import ensemble
from soundjudge.scoring.judge import integrity
from soundjudge.scoring.judge.manifest import REMEDY, JudgeManifest, Long, read_manifest
from soundjudge.scoring.judge.pair_inputs import list_pairs
from soundjudge.scoring.members import members
from soundjudge.scoring.members.predict import PredictionConfig, clean_text, raw_scores

Sound = str | Path | tuple[ArrayLike, float]
"""A file, or samples (T,) or (T, channels) with their sample rate in Hz."""


class Judge:
    """Scores pairs of sound and text; a score depends on its pair and the judge alone."""

    def __init__(self, manifest: JudgeManifest, loaded: dict[str, members.Member]) -> None:
        self.manifest = manifest
        self.members = loaded

    @classmethod
    def from_pretrained(
        cls, name: str | Path, device: str = "auto", m2d: Path | None = None, verify: bool = True
    ) -> Self:
        """The judge of a folder, or of the hub: "owner/name", "hf://owner/name", or with @revision.

        `device`: auto (a CUDA device if there is one), cpu, cuda, cuda:1, mps. `m2d`: your own copy
        of M2D-CLAP, where the judge stands on it; else what SOUNDJUDGE_M2D names. `verify`: compute
        the sha256 of every file, of large ones once. A Path is never looked up on the hub. Raises
        SoundjudgeError for a folder that is not what its score id says.
        """
        folder = _folder(name)
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
        return cls(manifest, loaded)

    @classmethod
    def from_clap(cls, source: str | Path, device: str = "auto") -> Self:
        """The judge of a CLAP, without training: a folder, a .pt file, or "hf://owner/name".

        `soundjudge import-clap` writes the same judge to a folder.
        """
        # By name: no stage depends on the code for what others published.
        clap_judge = import_module("soundjudge.scoring.published.clap_judge")
        with TemporaryDirectory() as temporary:
            folder = Path(temporary) / "judge"
            clap_judge.import_clap(str(source), folder)
            return cls.from_pretrained(folder, device, verify=False)

    @classmethod
    def from_tmu(
        cls, model: Path, llm: Path, device: str = "auto", *, long: Long = "windows"
    ) -> Self:
        """The judge of the published model.pt of the TMU system; `llm`: see `import_tmu`.

        `soundjudge import-tmu` writes the same judge to a folder.
        """
        tmu = import_module("soundjudge.scoring.published.tmu")
        with TemporaryDirectory() as temporary:
            folder = Path(temporary) / "judge"
            tmu.import_tmu(model, folder, llm=llm, long=long)
            return cls.from_pretrained(folder, device, verify=False)

    @property
    def score_id(self) -> str:
        """Name, version and fingerprint of what makes these scores: cite it with them."""
        return self.manifest.score_id

    def score(self, sound: Sound, text: str) -> float:
        """How well the sound matches the text, 0 to 10."""
        return self.score_pairs([sound], [text], batch_size=1)[0]

    def score_pairs(
        self, sounds: Iterable[Sound], texts: Iterable[str], batch_size: int = 32
    ) -> list[float]:
        """A score for each sound with its text, in order; reads one batch of sounds at a time.

        Paired by position, whatever holds them: lists, arrays, generators, columns of pandas.
        """
        listed, written = list_pairs(sounds, texts)
        scores: list[float] = []
        for start in range(0, len(listed), max(1, batch_size)):
            batch = slice(start, start + batch_size)
            waves = [load_waveform(sound) for sound in listed[batch]]
            scores += self.score_waves(waves, written[batch], batch_size)
        return scores

    def score_waves(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str], batch_size: int
    ) -> list[float]:
        """Scores of sounds that are read already: (T,) mono at 16 kHz."""
        prediction = PredictionConfig(
            window_seconds=self.manifest.window_seconds, batch_size=batch_size
        )
        if self.manifest.long == "cut":
            waves = [wave[: prediction.window_samples] for wave in waves]
        silent, waves = self._leveled(waves)
        loaded = raw_scores(list(self.members.values()), waves, texts, prediction)  # (B, loaded)
        blend = self.manifest.ensemble
        scores = np.tile(np.asarray(blend.mean), (len(waves), 1))  # (B, K)
        scores[:, [blend.members.index(name) for name in self.members]] = loaded
        try:
            with np.errstate(over="raise", divide="raise", invalid="raise"):
                return [float(score) for score in ensemble.apply_ensemble(blend, scores, silent)]
        except FloatingPointError as error:
            raise SoundjudgeError(
                f"{self.score_id} gives no finite score: the numbers in its judge.json are absurd"
            ) from error

    def _leveled(
        self, waves: Sequence[NDArray[np.float32]]
    ) -> tuple[NDArray[np.bool_], list[NDArray[np.float32]]]:
        """Which sounds are silent (B,), and all at the level that the judge was trained with."""
        silence, target = self.manifest.silence_dbfs, self.manifest.level_dbfs
        if silence is None:
            return np.zeros(len(waves), dtype=bool), list(waves)
        silent = np.array([level.is_silent(wave, silence) for wave in waves], dtype=bool)
        if target is None:
            return silent, list(waves)
        return silent, [level.normalize_level(wave, target, silence) for wave in waves]

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether a member reads less than all of each text: what is behind its limit is cut."""
        if not texts:
            return []
        cleaned = [clean_text(text) for text in texts]
        cut = [member.cut_texts(cleaned) for member in self.members.values()]  # K x (B,)
        return [any(column) for column in zip(*cut, strict=True)]


def load_waveform(sound: Sound) -> NDArray[np.float32]:
    """Mono samples at 16 kHz: (T,)."""
    if isinstance(sound, str | Path):
        return audio.read_audio(Path(sound))
    samples, sample_rate = sound
    return audio.from_samples(samples, sample_rate)


def _folder(name: str | Path) -> Path:
    if isinstance(name, Path) or not hub.is_hub_id(name):
        return Path(name)
    try:
        return hub.snapshot_folder(name)
    except HubError as error:
        raise SoundjudgeError(
            f"{name} is neither a folder here nor a judge that the hub gives out: {REMEDY}"
        ) from error
