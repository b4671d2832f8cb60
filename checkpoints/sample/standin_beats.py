"""The stand-in BEATs: a small encoder trained on all recordings of the sample.

It learns to classify at every time step which of the sample's recordings sound, in crops of scenes
that are composed anew for every batch. Its training task is its own; its file has the official
layout.
Letters: B = sounds, T = samples, F = frames (10 ms), S = time steps (16 frames), N = patches (8 per
step), D = width, C = classes.

reads   ../../data/sample/clips/
writes  beats.pt in the layout of Microsoft's files
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from one_cycle import OneCycle
from torch import Tensor, nn
from torch.nn import functional

from soundjudge import params
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.model.audio.beats.beats import Beats, save_beats
from soundjudge.model.audio.beats.fbank import log_mel_fbank
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.sample.composition import generators, scenes
from soundjudge.sample.composition.scenes import Recording

STEP_SAMPLES = 2560  # one row of patches: 16 frames of 10 ms
PATCHES = 8  # patches per step: 128 mel bins / 16
CLIPS = Path("../../data/sample/clips")
BEATS = Path("beats.pt")


@dataclass(frozen=True, kw_only=True)
class BeatsTraining:
    """Section `beats` of checkpoints/sample/params.yaml."""

    seed: int
    width: int  # D
    layers: int
    heads: int
    phases: tuple["Phase", ...]
    learning_rate: float
    mixed: float  # fraction of sounds to which a second scene is added


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of the training with sounds of one length."""

    steps: int
    batch: int  # sounds
    seconds: float


def train_beats(
    pool: Sequence[Recording], training: BeatsTraining, log: Callable[[str], None]
) -> Beats:
    """A BEATs of the configured size, trained on scenes composed from `pool`."""
    torch.manual_seed(training.seed)
    rng = np.random.default_rng([training.seed, 11])
    captions = sorted({recording.caption for recording in pool})
    classes = {caption: i for i, caption in enumerate(captions)}
    beats = Beats(beats_config(training))
    head = nn.Linear(training.width, len(classes) + 1)  # the last class is silence
    total = sum(phase.steps for phase in training.phases)
    parameters = [*beats.parameters(), *head.parameters()]
    optimizer = OneCycle(parameters, training.learning_rate, total)
    beats.train()
    step = 0
    for phase in training.phases:
        running = 0.0
        for _ in range(phase.steps):
            waves, targets = _sample_batch(pool, classes, phase, training.mixed, rng)
            loss = _loss(beats, head, waves, targets)
            optimizer.step(loss)
            step += 1
            running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
            if step % 100 == 0:
                log(f"BEATs step {step}/{total}: loss {running:.3f}")
    return beats.eval()


def beats_config(training: BeatsTraining) -> BeatsConfig:
    """The official configuration with the stand-in's sizes."""
    return BeatsConfig(
        embed_dim=training.width,
        encoder_embed_dim=training.width,
        encoder_ffn_embed_dim=4 * training.width,
        encoder_layers=training.layers,
        encoder_attention_heads=training.heads,
        conv_pos=32,
        conv_pos_groups=8,
    )


def _loss(beats: Beats, head: nn.Module, waves: Tensor, targets: Tensor) -> Tensor:
    """Cross-entropy of the time steps; waves (B, T), targets (B, S, C) with sums of one."""
    with torch.no_grad():
        spectrograms = log_mel_fbank(waves)  # (B, F, 128)
    patches = beats(spectrograms)  # (B, N, D)
    steps = patches.unflatten(1, (-1, PATCHES)).mean(dim=2)  # (B, S, D)
    logits = head(steps)  # (B, S, C)
    return functional.cross_entropy(
        logits.flatten(0, 1), targets[:, : steps.shape[1]].flatten(0, 1)
    )


def _sample_batch(
    pool: Sequence[Recording],
    classes: dict[str, int],
    phase: Phase,
    mixed: float,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Random sounds (B, T) and the fraction of each class in every time step (B, S, C)."""
    steps = int(phase.seconds * SAMPLE_RATE) // STEP_SAMPLES
    # Kaldi's frames reach 15 ms past the last step.
    waves = np.zeros((phase.batch, steps * STEP_SAMPLES + 240), np.float32)
    active = np.zeros((phase.batch, steps, len(classes) + 1), np.float32)
    for row in range(phase.batch):
        _mix_in(pool, classes, waves[row], active[row], rng)
        if rng.random() < mixed:
            _mix_in(pool, classes, waves[row], active[row], rng)
        waves[row] = generators.apply_random_channel(waves[row], rng)
    active[..., -1] = active.sum(axis=2) == 0
    return torch.from_numpy(waves), torch.from_numpy(active / active.sum(axis=2, keepdims=True))


def _mix_in(
    pool: Sequence[Recording],
    classes: dict[str, int],
    wave: NDArray[np.float32],
    active: NDArray[np.float32],
    rng: np.random.Generator,
) -> None:
    """Adds a random crop of a random scene to `wave` (T,) and its events to `active` (S, C)."""
    scene, spans = scenes.render_scene(scenes.sample_scene(pool, rng), rng)
    latest = max(len(scene) - len(wave), 0)
    start = int(rng.integers(latest + 1))
    crop = scene[start : start + len(wave)]
    wave[: len(crop)] += crop * 10 ** rng.uniform(-0.4, 0.2)
    centers = start + (np.arange(len(active)) + 0.5) * STEP_SAMPLES
    for span in spans:
        inside = (centers >= span.start) & (centers < span.end)
        active[inside, classes[span.event.recording.caption]] = 1.0


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    training = params.load("beats", BeatsTraining)
    beats = train_beats(scenes.load_recordings(CLIPS), training, logging.info)
    save_beats(beats, BEATS)


if __name__ == "__main__":
    main()
