"""Small corpora in the layouts of their downloads, and their preparation, for tests."""

from pathlib import Path

import numpy as np
from optional_packages import soundfile

from soundjudge import params
from soundjudge.data.corpora import intake, preparation
from soundjudge.data.corpora.acceptance import Preparation
from soundjudge.data.tables import tables
from soundjudge.runtime import artifacts
from soundjudge.runtime.work import work_folder

CONFIG = {
    "xacle": "raw/xacle",
    "audiocaps": "raw/audiocaps",
    "vggsound": "raw/vggsound",
    "min_seconds": 0.05,
    "max_seconds": 0.5,
    "silence_dbfs": -70.0,
    "max_characters": 200,
    "max_rejected_fraction": 0.5,
    "max_missing_fraction": 0.9,
    "shard_samples": 12_000,
}


def write_sound(path: Path, seconds: float = 0.2, level: float = 0.5, rate: int = 16_000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    wave = level * np.sin(np.arange(round(seconds * rate)) * (0.1 + len(path.stem) / 100))
    soundfile.write(path, wave, rate)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def xacle_folder(folder: Path) -> Path:
    rows = {
        "train": ["00000.wav,a dog barks,{},sa,m1", '00001.wav,"rain, heavy",{},sb,m2'],
        "validation": ["00002.wav,a bell,{},sc,m1"],
        "test": ["00003.wav,a car,{},sd,m3"],
    }
    for split, lines in rows.items():
        header = "wav_file_name,text,score,listener_id,model_id\n"
        rows_of_split = [
            line.format(score).replace(",s", f",{score}s") for line in lines for score in (3, 8)
        ]
        write_text(folder / f"meta_data/{split}.csv", header + "\n".join(rows_of_split) + "\n")
        for line in lines:
            write_sound(folder / "wav" / split / line[:9])
    return folder


def audiocaps_folder(folder: Path) -> Path:
    header = "audiocap_id,youtube_id,start_time,caption\n"
    write_text(
        folder / "train.csv", header + "1,abc,30,A dog barks\n2,-x_y,0,Rain falls\n3,gone,5,Lost\n"
    )
    write_text(folder / "val.csv", header + "4,val,10, A bell rings \n5,val,10,A bell\n")
    write_sound(folder / "audio/train/abc_30.wav")
    write_sound(folder / "audio/-x_y_0.flac")
    write_sound(folder / "audio/val/val.ogg", rate=44_100)
    return folder


def vggsound_folder(folder: Path) -> Path:
    write_text(
        folder / "vggsound.csv", 'Yone,30,"dog, barking",train\ntwo,7,rain,test\nmute,0,x,train\n'
    )
    captions = (
        "id,caption\nYone_000030,A dog barks\nYtwo_000007,Rain\ntwo_000007,It rains\nno_000001,x\n"
    )
    write_text(folder / "VGGSound_AudioSetCaps_caption.csv", captions)
    write_sound(folder / "audio/Yone_000030.wav")
    write_sound(folder / "audio/two_000007.wav")
    return folder


def raw_folder() -> Path:
    """All three corpora, in raw/ of the working folder."""
    xacle_folder(Path("raw/xacle"))
    audiocaps_folder(Path("raw/audiocaps"))
    vggsound_folder(Path("raw/vggsound"))
    return Path("raw")


def config(**change) -> Preparation:
    return params.build(Preparation, CONFIG | change, "prepare")


def prepare_corpora(folder: str = "out", workers: int = 2, log=lambda line: None, **change) -> dict:
    """Prepares as the stage does, and returns the metrics."""
    changed = config(**change)
    corpora = preparation.list_corpora(changed)
    identity = intake.intake_identity(corpora.sounds, changed)
    work = work_folder("prepare", identity, [])
    with artifacts.atomic_folder(Path(folder)) as out:
        result = preparation.write_prepared(corpora, changed, out, work, workers, log)
    return result.metrics()


def rejection_reasons(folder: str = "out") -> dict[str, str]:
    """File -> reason."""
    frame = tables.read_table(Path(folder) / "rejected.csv", tables.REJECTED)
    return dict(zip(frame["file"], frame["reason"], strict=True))
