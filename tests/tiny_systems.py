"""Systems of five constant sounds, prompts, and a stand-in for a judge, for tests of reports."""

import json
from pathlib import Path

import numpy as np
from optional_packages import soundfile

from soundjudge.page import report
from soundjudge.scoring.judge.pair_score import CUT_TEXT, PairScore
from soundjudge.scoring.systems.system_report import SystemReport

TEXTS = ["rain", "a dog barks", "wind & <hail>", "a bell", "a car"]


class Loudness:
    """Stands for a judge: ten times the peak of the sound."""

    score_id = "loudness@1+0"

    def __init__(self, note: str = "") -> None:
        self.note = note

    def score_sounds(self, sounds, texts, batch_size):
        return [
            PairScore(
                value=float(10 * np.abs(sound.wave).max()),
                members={},
                spread=0.0,
                windows=(),
                interval=None,
                flags=tuple(sound.flags.names()) + ((CUT_TEXT,) if len(text) > 99 else ()),
            )
            for sound, text in zip(sounds, texts, strict=True)
        ]


def write_prompts(folder: Path, texts: list[str] = TEXTS) -> Path:
    path = folder / "prompts.jsonl"
    lines = [json.dumps({"id": f"{n}", "text": text}) for n, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_system(folder: Path, peaks: list[float]) -> Path:
    folder.mkdir(parents=True)
    for number, peak in enumerate(peaks):
        soundfile.write(folder / f"{number}.wav", np.full(1600, peak), 16_000)
    return folder


def write_report(
    systems: list[Path],
    prompts: Path,
    out: Path,
    note: str = "",
    clap: Loudness | None = None,
    **options: object,
) -> SystemReport:
    """The report of these systems by `Loudness`, in `out`; `clap` stands for a CLAPScore."""
    return report.write_report(
        systems,
        prompts,
        out,
        load_judge=lambda: Loudness(note),
        load_clap=None if clap is None else lambda: clap,
        progress=lambda done, total: None,
        resamples=200,
        **options,
    )
