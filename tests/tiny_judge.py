"""A judge of random networks, small enough to build in every test module, and its checkpoints."""

import functools
import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_lalm
import torch
from optional_packages import soundfile

from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression import kernel_machine, regressor
from soundjudge.model.audio.beats.beats import Beats, save_beats
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.model.frontend.frontend import AudioFrontend
from soundjudge.model.lalm import checkpoint
from soundjudge.model.lalm.lalm import Lalm
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble, apply_ensemble
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.card import Packaging
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.members import members
from soundjudge.scoring.members.predict import PredictionConfig, raw_scores

SECONDS = 1.2
WORDS = ["a", "dog", "barks", "rain", "roof", "bell", "car", "then", "and", "engine"]
CHECKPOINTS = {
    "clapscore": "checkpoints/clapscore",
    "regress": "checkpoints/regress",
    "one": "checkpoints/finetune/one",
    "two": "checkpoints/finetune/two",
}
PACKAGING = Packaging(
    name="tiny", version="1.0", license="mit", data="Nothing: it is random.", notes=("All free.",)
)
PREDICTION = PredictionConfig(window_seconds=SECONDS, batch_size=4)


def noise(seconds: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    loudness = np.sin(np.arange(round(seconds * 16_000)) / (300 + 100 * seed)) ** 2
    return (0.15 * loudness * rng.normal(size=len(loudness))).astype(np.float32)


def pairs(count: int) -> tuple[list[np.ndarray], list[str]]:
    """Sounds of .3 to 2.7 s and texts of one to five words."""
    rng = np.random.default_rng(7)
    waves = [noise(0.3 + 0.4 * (n % 7), n) for n in range(count)]
    texts = [" ".join(rng.choice(WORDS, 1 + n % 5)) for n in range(count)]
    return waves, texts


def write_sound(path: Path) -> None:
    soundfile.write(path, noise(1.0, 1), 16_000, subtype="FLOAT")


def write_checkpoints(root: Path) -> None:
    """Two encoders and four members, as the pipeline would leave them."""
    shutil.copytree(Path(_built().name, "checkpoints"), root / "checkpoints", dirs_exist_ok=True)


def _train(root: Path) -> None:
    encoders = root / "checkpoints/encoders"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        clap = tiny_clap.clap(hop_length=320, max_length_s=SECONDS)
        clap.save(encoders / "clap")
        ClapScore(clap, mean=7.0, std=2.0).save(root / CHECKPOINTS["clapscore"])
        sources = [ClapSource(Path("checkpoints/encoders/clap"))]
        folder = root / CHECKPOINTS["regress"]
        regressor.save_regressor(folder, _machine(clap), sources, [clap.name()])
        save_beats(_enlarge_weights(Beats(_beats_config())), encoders / "beats.pt")
        llm = tiny_lalm.llm_folder(encoders / "llm")
        frontend = AudioFrontend(audio_tokens=4, window_seconds=SECONDS)
        for name in ("one", "two"):
            lalm = Lalm.from_llm(llm, tiny_lalm.CONFIG, frontend, feature_dim=16)
            folder = root / CHECKPOINTS[name]
            checkpoint.save_lalm(
                folder, _enlarge_weights(lalm), "checkpoints/encoders/beats.pt", {}
            )


def ensemble(root: Path) -> Ensemble:
    """Equal parts of all four, scaled so that scores fill the middle of 0 to 10."""
    loader = members.MemberLoader(
        root=root, device=torch.device("cpu"), window_seconds=PREDICTION.window_seconds
    )
    loaded = [loader.member(root / path) for path in CHECKPOINTS.values()]
    raw = raw_scores(loaded, *pairs(12), PREDICTION)
    assert (raw.std(axis=0) > 1e-3).all(), "the random members tell no pairs apart"
    return Ensemble(
        members=tuple(CHECKPOINTS),
        mean=tuple(raw.mean(axis=0).tolist()),
        std=tuple(raw.std(axis=0).tolist()),
        weights=(0.25, 0.25, 0.25, 0.25),
        calibration=Calibration(method="linear", scores=(-2.0, 2.0), ratings=(1.0, 9.0)),
    )


def build(folder: Path, root: Path) -> Path:
    """The judge of these checkpoints in `folder`."""
    write_checkpoints(root)
    shutil.copytree(Path(_built().name, "judge"), folder)
    return folder


@functools.cache
def _built() -> tempfile.TemporaryDirectory:
    """Checkpoints and judge, once per process: all others are copies."""
    folder = tempfile.TemporaryDirectory(prefix="judge-")
    root = Path(folder.name)
    _train(root)
    package.build_judge(
        root / "judge",
        ensemble=ensemble(root),
        checkpoints={name: root / path for name, path in CHECKPOINTS.items()},
        root=root,
        window_seconds=SECONDS,
        packaging=PACKAGING,
        report="# Agreement with listeners (simulated ratings)\n\n## test, 3 pairs\n",
    )
    return folder


def forge(folder: Path, change: Callable[[dict], object] = lambda values: None) -> None:
    """Changes judge.json as a forger would: with all files as they are now, under a fitting id."""
    path = folder / "judge.json"
    values = json.loads(path.read_text())
    files = (p for p in sorted(folder.rglob("*")) if p.is_file() and p.parent != folder)
    values["files"] = {
        file.relative_to(folder).as_posix(): {
            "bytes": file.stat().st_size,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
        }
        for file in files
    }
    values["score_id"] = ""
    change(values)
    digits = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]
    path.write_text(json.dumps(values | {"score_id": f"tiny@1.0+{digits}"}))


def _enlarge_weights(module: torch.nn.Module) -> torch.nn.Module:
    """The same with larger weights, so that its outputs differ between inputs."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return module.eval()


def _machine(clap: tiny_clap.TransformersClap) -> kernel_machine.KernelMachine:
    waves, texts = pairs(8)
    with torch.no_grad():
        audio_embeddings = clap.embed_sounds(waves).numpy()
        text_embeddings = clap.embed_texts(texts).numpy()
    config = kernel_machine.RegressionConfig(
        extra_encoders=(), c=1.0, epsilon=0.01, gamma="scale", batch_size=8
    )
    return kernel_machine.fit_kernel_machine(
        audio_embeddings, text_embeddings, [clap.dimensions], np.linspace(0, 10, 8), config
    )


def _beats_config() -> BeatsConfig:
    return BeatsConfig(
        embed_dim=8,
        encoder_layers=2,
        encoder_embed_dim=16,
        encoder_ffn_embed_dim=16,
        encoder_attention_heads=2,
        deep_norm=True,
        conv_pos=8,
        conv_pos_groups=2,
        relative_position_embedding=True,
        num_buckets=16,
        max_distance=32,
        gru_rel_pos=True,
    )


def check_packaging(
    loaded: Sequence[members.Member],
    checkpoints: Mapping[str, str],
    weights: tuple[float, ...],
    root: Path,
    folder: Path,
) -> None:
    """Packages members of the project `root`, moves that away, and compares the judge's scores."""
    waves, texts = pairs(9)
    raw = raw_scores(loaded, waves, texts, PREDICTION)
    fitted = Ensemble(
        members=tuple(checkpoints),
        mean=tuple(raw.mean(axis=0).tolist()),
        std=tuple(raw.std(axis=0).tolist()),
        weights=weights,
        calibration=Calibration(method="linear", scores=(-2.0, 2.0), ratings=(1.0, 9.0)),
    )
    package.build_judge(
        folder,
        ensemble=fitted,
        checkpoints={name: root / path for name, path in checkpoints.items()},
        root=root,
        window_seconds=SECONDS,
        packaging=PACKAGING,
        report="",
    )
    root.rename(root.with_name("gone"))
    judge = Judge.from_pretrained(folder, device="cpu")
    expected = apply_ensemble(fitted, raw)
    assert np.ptp(expected) > 1
    assert judge.score_waves(waves, texts, 4) == pytest.approx(expected, abs=1e-4)
