"""The stand-in BEATs: a small encoder that has heard every recording of the sample.

The official encoder has heard millions of sounds; this one learns to tell, step by step in time,
which of the sample's recordings is sounding, from scenes and crops composed anew for every batch.
Its training task is its own; its file has the official layout.

Letters: B sounds, T samples, F frames (10 ms), S time steps (16 frames), N tokens (8 a step),
D features, C classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.model.audio.beats.beats import Beats
from soundjudge.model.audio.beats.fbank import log_mel_fbank
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.sample.composition import generators, scenes
from soundjudge.sample.composition.scenes import Recording

STEP_SAMPLES = 2560  # one row of patches: 16 frames of 10 ms
PATCHES = 8  # patches a step: 128 mel bins / 16


@dataclass(frozen=True, kw_only=True)
class BeatsTraining:
    """How the stand-in BEATs is trained."""

    seed: int
    width: int  # D
    layers: int
    heads: int
    phases: tuple["Phase", ...]
    learning_rate: float
    mixed: float  # share of scenes to which another scene is added


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A stretch of training on sounds of one length."""

    steps: int
    batch: int  # sounds
    seconds: float


def train_beats(
    pool: Sequence[Recording], training: BeatsTraining, log: Callable[[str], None]
) -> Beats:
    """A BEATs of the configured size, trained on scenes composed from `pool`."""
    torch.manual_seed(training.seed)
    rng = np.random.default_rng([training.seed, 11])
    classes = {text: i for i, text in enumerate(sorted({one.caption for one in pool}))}
    beats = Beats(beats_config(training))
    head = nn.Linear(training.width, len(classes) + 1)  # the last class is silence
    parameters = [*beats.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=training.learning_rate, weight_decay=0.01)
    total = sum(phase.steps for phase in training.phases)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, training.learning_rate, total_steps=total, pct_start=0.1
    )
    beats.train()
    done = 0
    for phase in training.phases:
        running = 0.0
        for _ in range(phase.steps):
            waves, targets = _batch(pool, classes, phase, training.mixed, rng)
            loss = _loss(beats, head, waves, targets)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            done += 1
            running = loss.item() if done == 1 else 0.98 * running + 0.02 * loss.item()
            if done % 100 == 0:
                log(f"BEATs step {done}/{total}: loss {running:.3f}")
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
    """Cross-entropy of every time step; waves (B, T), targets (B, S, C) each summing to one."""
    with torch.no_grad():
        mels = log_mel_fbank(waves)  # (B, F, 128)
    tokens = beats(mels)  # (B, N, D)
    steps = tokens.unflatten(1, (-1, PATCHES)).mean(dim=2)  # (B, S, D)
    logits = head(steps)  # (B, S, C)
    return functional.cross_entropy(
        logits.flatten(0, 1), targets[:, : steps.shape[1]].flatten(0, 1)
    )


def _batch(
    pool: Sequence[Recording],
    classes: dict[str, int],
    phase: Phase,
    mixed: float,
    rng: np.random.Generator,
) -> tuple[Tensor, Tensor]:
    """Sounds (B, T) and the share of each class in every time step (B, S, C)."""
    steps = int(phase.seconds * SAMPLE_RATE) // STEP_SAMPLES
    # kaldi frames reach 15 ms past the last step
    waves = np.zeros((phase.batch, steps * STEP_SAMPLES + 240), np.float32)
    active = np.zeros((phase.batch, steps, len(classes) + 1), np.float32)
    for row in range(phase.batch):
        _mix_in(pool, classes, waves[row], active[row], rng)
        if rng.random() < mixed:
            _mix_in(pool, classes, waves[row], active[row], rng)
        waves[row] = generators.place_at_random(waves[row], rng)
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
    longest = max(len(scene) - len(wave), 0)
    start = int(rng.integers(longest + 1))
    part = scene[start : start + len(wave)]
    wave[: len(part)] += part * 10 ** rng.uniform(-0.4, 0.2)
    centers = start + (np.arange(len(active)) + 0.5) * STEP_SAMPLES
    for span in spans:
        inside = (centers >= span.start) & (centers < span.end)
        active[inside, classes[span.event.recording.caption]] = 1.0
