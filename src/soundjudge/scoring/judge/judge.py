"""The public scorer: sounds and texts in, numbers from 0 (no match) to 10 (exact match) out.

B pairs, W windows, K members, T samples, C channels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, Self, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from soundjudge.data.audio import audio
from soundjudge.data.hub.hub import HubOptions
from soundjudge.data.tables.texts import clean_text
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime.read_ahead import DECODERS, read_ahead
from soundjudge.scoring.ensemble import ensemble
from soundjudge.scoring.judge.judge_folder import JudgeFolder
from soundjudge.scoring.judge.loading import LoadedJudge, cpu_default, load_judge
from soundjudge.scoring.judge.manifest import Long
from soundjudge.scoring.judge.pair_inputs import SoundInput, check_batch_size, list_pairs
from soundjudge.scoring.judge.pair_score import PairScore, pair_scores
from soundjudge.scoring.members.pair_scorer import DEFAULT_BYTES, PairScorer, WindowScores
from soundjudge.scoring.members.windows import PredictionConfig

Precision = Literal["fp32", "bf16"]  # of matrix products; sounds are read and framed in fp32


class Judge(JudgeFolder):
    """Scores pairs of sound and text; a score depends on its pair and the judge alone."""

    def __init__(self, loaded: LoadedJudge, precision: Precision = "fp32") -> None:
        super().__init__(loaded.manifest, loaded.folder)
        self.members, self.device, self.precision = loaded.members, loaded.device, precision
        bf16 = loaded.device if precision == "bf16" else None
        if bf16 is not None and bf16.type not in ("cpu", "cuda"):
            raise SoundjudgeError(f"there is no bf16 on {bf16.type}: use fp32, or cpu or cuda")
        self._scorer = PairScorer(list(loaded.members.values()), DEFAULT_BYTES, bf16)

    def __deepcopy__(self, memo: object) -> Self:
        """The judge itself, which nothing changes: metrics are copied with what they hold."""
        return self

    @classmethod
    def from_pretrained(
        cls,
        name: str | Path,
        device: str = "auto",
        m2d: Path | None = None,
        verify: bool = True,
        precision: Precision = "fp32",
        **options: Unpack[HubOptions],
    ) -> Self:
        """The judge of a folder, a fetched one's name, or hub "owner/name", "hf://owner/name@revision".

        `device`: auto (a CUDA device if there is one), cpu, cuda, cuda:1, mps. `m2d`: your own copy
        of M2D-CLAP, where the judge stands on it; else what SOUNDJUDGE_M2D names. `verify`: compute
        the sha256 of every file, of large ones once. `precision` bf16: faster on a GPU, and other
        scores, with an id of their own. `options` are huggingface_hub's: revision, token,
        cache_dir, force_download, local_files_only. A Path is a folder and nothing else. Raises
        SoundjudgeError for a folder that is not what its score id says.
        """
        return cls(load_judge(name, device, m2d, verify, options), precision)

    @property
    def score_id(self) -> str:
        """Name, version and fingerprint of what makes these scores: cite it with them."""
        return super().score_id + ("" if self.precision == "fp32" else f"-{self.precision}")

    @classmethod
    def from_clap(cls, source: str | Path, device: str = "auto") -> Self:
        """The judge of a CLAP, without training: a folder, a .pt file, or "hf://owner/name".

        `soundjudge import-clap` writes the same judge to a folder.
        """
        # By name: no stage depends on the code for what others published.
        clap_judge = import_module("soundjudge.scoring.published.clap_judge")
        return cls._from_import(lambda folder: clap_judge.import_clap(str(source), folder), device)

    @classmethod
    def from_tmu(
        cls, model: Path, llm: Path, device: str = "auto", *, long: Long = "windows"
    ) -> Self:
        """The judge of the published model.pt of the TMU system; `llm`: see `import_tmu`.

        `soundjudge import-tmu` writes the same judge to a folder.
        """
        tmu = import_module("soundjudge.scoring.published.tmu")
        return cls._from_import(
            lambda folder: tmu.import_tmu(model, folder, llm=llm, long=long), device
        )

    @classmethod
    def _from_import(cls, write: Callable[[Path], object], device: str) -> Self:
        with TemporaryDirectory() as temporary:
            folder = Path(temporary) / "judge"
            write(folder)
            return cls.from_pretrained(folder, device, verify=False)

    def score(self, sound: object, text: str, *, sample_rate: float | None = None) -> float:
        """How well the sound matches the text, 0 to 10; sounds as in `score_pairs`."""
        return self.score_pairs([sound], [text], batch_size=1, sample_rate=sample_rate)[0]

    @overload
    def score_pairs(
        self,
        sounds: object,
        texts: object,
        batch_size: int = 32,
        *,
        sample_rate: float | None = None,
        details: Literal[False] = False,
    ) -> list[float]: ...

    @overload
    def score_pairs(
        self,
        sounds: object,
        texts: object,
        batch_size: int = 32,
        *,
        sample_rate: float | None = None,
        details: Literal[True],
    ) -> list[PairScore]: ...

    def score_pairs(
        self,
        sounds: object,
        texts: object,
        batch_size: int = 32,
        *,
        sample_rate: float | None = None,
        details: bool = False,
    ) -> list[float] | list[PairScore]:
        """A score for each sound with its text, in order; `details`: a `PairScore` for each.

        Paired by position, whatever holds them: lists, generators, columns of pandas. A sound is a
        path, the bytes of a file, (samples, sample rate in Hz), {"array", "sampling_rate"},
        {"bytes"} or {"path"}; samples are an array of numpy or a tensor of any float type on any
        device, (T,), (T, C) or (C, T). With `sample_rate` a sound may be samples alone, and all
        sounds one batch (B, T) or (B, C, T). Each distinct sound and text is encoded once; threads
        decode the next batch of sounds while one is scored.

        A `PairScore` has `value` (0..10), `members` ({name: 0..10}), `spread` (rating points),
        `windows` (`start` and `end` in seconds, `value`), `interval` ((low, high), or None for a
        judge without `intervals`) and `flags` (keys of `pair_score.FLAG_MEANINGS`).
        """
        batch_size = check_batch_size(batch_size)
        listed, written = list_pairs(sounds, texts, sample_rate)
        results: dict[int, Any] = {}
        # By the first of the pairs that share a sound.
        pairs_of: dict[object, list[int]] = {}
        for pair, sound in enumerate(listed):
            pairs_of.setdefault(sound.key, []).append(pair)
        distinct = [listed[pairs[0]] for pairs in pairs_of.values()]
        ahead = read_ahead(SoundInput.read, distinct, batch_size, threads=DECODERS)
        with closing(ahead) as reading:
            groups = zip(pairs_of.values(), reading, strict=True)
            while chunk := list(islice(groups, batch_size)):
                pairs = [pair for group, _ in chunk for pair in group]
                read = {pair: future for group, future in chunk for pair in group}
                loaded = [read[pair].result() for pair in pairs]
                of_pairs = [written[pair] for pair in pairs]
                scored: Sequence[float | PairScore] = (
                    self.score_sounds(loaded, of_pairs, batch_size)
                    if details
                    else self.score_waves([sound.wave for sound in loaded], of_pairs, batch_size)
                )
                results |= dict(zip(pairs, scored, strict=True))
        return [results[pair] for pair in range(len(listed))]

    def score_waves(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str], batch_size: int
    ) -> list[float]:
        """Scores of sounds that are read already: (T,) mono at 16 kHz."""
        silent, raw = self._window_scores(waves, texts, batch_size)
        with self._finite():
            blended = ensemble.apply_ensemble(self.manifest.ensemble, raw.of_pairs(), silent)
            return [float(score) for score in blended]

    def score_sounds(
        self, sounds: Sequence[audio.Sound], texts: Sequence[str], batch_size: int
    ) -> list[PairScore]:
        """Scores, with details, of sounds that are read already."""
        silent, raw = self._window_scores([sound.wave for sound in sounds], texts, batch_size)
        first = self.manifest.window_seconds if self.manifest.long == "cut" else None
        cut, blend = self.cut_texts(texts), self.manifest.ensemble
        with self._finite():
            return pair_scores(blend, self.intervals, raw, silent, sounds, cut, first)

    def _window_scores(
        self, waves: Sequence[NDArray[np.float32]], texts: Sequence[str], batch_size: int
    ) -> tuple[NDArray[np.bool_], WindowScores]:
        """Which sounds are silent (B,), and raw scores with a column per member of the ensemble."""
        seconds, blend = self.manifest.window_seconds, self.manifest.ensemble
        prediction = PredictionConfig(window_seconds=seconds, batch_size=max(1, batch_size))
        # By identity: a sound that several pairs share is encoded once.
        prepared = {id(wave): self.manifest.prepare(wave) for wave in waves}
        silent = np.array([prepared[id(wave)][0] for wave in waves], dtype=bool)
        waves = [prepared[id(wave)][1] for wave in waves]
        with cpu_default():
            loaded = self._scorer.window_scores(waves, texts, prediction)
        scores = np.tile(np.asarray(blend.mean), (len(loaded.cuts), 1))  # (W, K)
        scores[:, [blend.members.index(name) for name in self.members]] = loaded.scores
        return silent, replace(loaded, scores=scores)

    @contextmanager
    def _finite(self) -> Iterator[None]:
        """Raises SoundjudgeError where numbers overflow."""
        try:
            with np.errstate(over="raise", divide="raise", invalid="raise"):
                yield
        except FloatingPointError as error:
            raise SoundjudgeError(
                f"{self.score_id} gives no finite score: the numbers in its judge.json are absurd"
            ) from error

    def cut_texts(self, texts: Sequence[str]) -> list[bool]:
        """Whether a member reads less than all of each text: what is behind its limit is cut."""
        if not texts:
            return []
        cleaned = [clean_text(text) for text in texts]
        cut = [member.cut_texts(cleaned) for member in self.members.values()]  # K x (B,)
        return [any(column) for column in zip(*cut, strict=True)]
