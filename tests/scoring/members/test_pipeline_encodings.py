"""Members that read what stages before have encoded score as a judge, which has none of it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_judge
import torch
from tiny_clips import write_clips

from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.clap.features import stored_clap
from soundjudge.data.arrays.array_store import write_rows
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.corpora.clip_writer import Clip
from soundjudge.data.tables import tables
from soundjudge.model.audio import audio_encoder
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.scoring.members import members, predict
from soundjudge.scoring.members.pipeline_encodings import PipelineEncodings

CPU, COUNT = torch.device("cpu"), 6
FRONTEND = AudioFrontend(audio_tokens=4, window_seconds=tiny_judge.SECONDS)
BEATS = Path("checkpoints/encoders/beats.pt")
IDS = [f"xacle/{number}.wav" for number in range(COUNT)]
TEXTS = tiny_judge.pairs(COUNT)[1]


def project() -> PipelineEncodings:
    """The tiny judge's checkpoints, clips of which the last is longer than a window, encodings."""
    tiny_judge.write_checkpoints(Path())
    lengths = [0.4, 0.6, 0.8, 1.0, 1.1, 2.6]
    sounds = [
        Clip(
            clip_id=name, corpus="xacle", split="test",
            pcm=(tiny_judge.noise(seconds, number) * 32_768).round().astype(np.int16),
        )
        for number, (name, seconds) in enumerate(zip(IDS, lengths, strict=True))
    ]  # fmt: skip
    prepared = Path("data/prepared")
    table = write_clips(prepared, sounds, 100_000)
    tables.write_table(table, prepared / "clips.parquet", tables.CLIPS)
    clips, texts = ClipStore(prepared), sorted(set(TEXTS))
    clap = TransformersClap.load(Path("checkpoints/encoders/clap"), "cpu")
    with torch.no_grad():
        for folder, encode in stored_clap.clap_encoders([clap], clips).items():
            keys = IDS if folder.endswith("clips") else texts
            write_rows(Path("data/clap_features") / folder, keys, [encode(keys).numpy()])
    encoder = audio_encoder.load_audio_encoder(BEATS, CPU)
    features = audio_encoder.encode_waves(encoder, [clips.wave(i) for i in IDS], FRONTEND)
    write_rows(Path("data/features"), IDS, [features.numpy()])
    return PipelineEncodings(
        clips=clips,
        clap_features=Path("data/clap_features"),
        features=Path("data/features"),
        audio=BEATS,
        frontend=FRONTEND,
    )


def scores(name: str, stored: PipelineEncodings | None, ids: list[str]) -> np.ndarray:
    loader = members.MemberLoader(
        root=Path(), device=CPU, window_seconds=tiny_judge.SECONDS, stored=stored
    )
    member = loader.member(Path(tiny_judge.CHECKPOINTS[name]))
    waves = [ClipStore(Path("data/prepared")).wave(clip_id) for clip_id in ids]
    return predict.raw_scores([member], waves, TEXTS[: len(ids)], tiny_judge.PREDICTION)[:, 0]


@pytest.fixture
def encoded(monkeypatch):
    """How many sounds each encoder was given."""
    counts = {"clap": 0, "beats": 0}
    pool, encode = TransformersClap.pool_mels, audio_encoder.encode_waves

    def count_mels(self, mels):
        counts["clap"] += len(mels)
        return pool(self, mels)

    def count_waves(encoder, waves, *rest):
        counts["beats"] += len(waves)
        return encode(encoder, waves, *rest)

    monkeypatch.setattr(TransformersClap, "pool_mels", count_mels)
    monkeypatch.setattr(audio_encoder, "encode_waves", count_waves)
    return counts


@pytest.mark.parametrize(("name", "kind"), [("regress", "clap"), ("one", "beats")])
def test_a_member_reads_whole_clips_and_hears_the_windows_of_longer_ones(
    name, kind, in_folder, encoded
):
    stored = project()
    expected = scores(name, None, IDS)
    assert expected.std() > 0.01
    encoded[kind] = 0
    assert scores(name, stored, IDS) == pytest.approx(expected, abs=1e-5)
    # 2.6 s are three windows of 1.2 s, of which the last, of 0.2 s, is left out.
    assert encoded[kind] == 2


@pytest.mark.parametrize(
    "change",
    [
        {"frontend": AudioFrontend(audio_tokens=5, window_seconds=tiny_judge.SECONDS)},
        pytest.param({"audio": Path("checkpoints/encoders/other.pt")}, marks=pytest.mark.slow),
        pytest.param({"features": Path("data/none")}, marks=pytest.mark.slow),
    ],
    ids=lambda change: next(iter(change)),
)
def test_features_of_another_front_end_or_encoder_are_not_read(change, in_folder, encoded):
    stored = replace(project(), **change)
    expected = scores("one", None, IDS[:4])
    encoded["beats"] = 0
    assert scores("one", stored, IDS[:4]) == pytest.approx(expected, abs=1e-5)
    assert encoded["beats"] == 4


def test_features_that_were_rounded_are_not_read(in_folder, encoded):
    stored = project()
    rounded = Path("data/rounded")
    write_rows(rounded, IDS, [np.zeros((COUNT, 4, 16), np.float16)])
    expected = scores("one", None, IDS[:4])
    assert scores("one", replace(stored, features=rounded), IDS[:4]) == pytest.approx(expected)
