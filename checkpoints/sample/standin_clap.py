"""The stand-in CLAP: a small transformers `ClapModel` trained on the sample's recordings.

Trained from scratch on a fixed set of scenes, whose spectrograms are computed once and whose
captions are written anew for every batch, by the contrastive loss of CLAP (Wu et al. 2023, equation
3) and by tagging, with which the official audio tower is pre-trained, too. Like the official one it
tells which events there are, but hardly their order or number.
Letters: N = training scenes, B = scenes of a batch, F = frames, M = mel bands, E = embedding
dimensions, H = width of the audio tower, C = classes.

reads   ../../data/sample/clips/
writes  clap/ in the layout of a transformers ClapModel
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import vocabulary
from one_cycle import OneCycle
from torch import Tensor, nn
from torch.nn import functional
from transformers import ClapConfig, ClapModel

from soundjudge import params
from soundjudge.clap.encoders.spectrogram import FeatureExtractor
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.data.tables.tables import SAMPLE_RATE
from soundjudge.runtime.artifacts import atomic_folder
from soundjudge.sample.composition import generators, scenes
from soundjudge.sample.composition.scenes import Recording, Scene

MEL_BANDS = 32
WIDTH = 32  # of the first Swin stage; doubles at every stage
STAGES = (1, 2, 2)
CLIPS = Path("../../data/sample/clips")
CLAP = Path("clap")


@dataclass(frozen=True, kw_only=True)
class ClapTraining:
    """Section `clap` of checkpoints/sample/params.yaml."""

    seed: int
    scenes: int  # N
    steps: int
    batch: int  # B
    learning_rate: float
    dimensions: int  # E
    text_layers: int
    vocabulary: int  # tokens at most


def train_clap(
    pool: Sequence[Recording], training: ClapTraining, log: Callable[[str], None]
) -> TransformersClap:
    """A CLAP of the configured size, trained on scenes composed from `pool`."""
    torch.manual_seed(training.seed)
    rng = np.random.default_rng([training.seed, 12])
    texts = vocabulary.sample_captions(pool, 3000, training.seed)
    tokenizer = vocabulary.roberta_tokenizer(texts, training.vocabulary)
    model = ClapModel(clap_config(training, len(tokenizer)))
    clap = TransformersClap(model, tokenizer, feature_extractor())
    captions = sorted({recording.caption for recording in pool})
    classes = {caption: i for i, caption in enumerate(captions)}
    tagger = nn.Linear(model.config.audio_config.hidden_size, len(classes))
    train_scenes = [scenes.sample_scene(pool, rng) for _ in range(training.scenes)]
    mels = _spectrograms(clap, train_scenes, rng)
    log(f"CLAP: {len(train_scenes)} scenes rendered")
    parameters = [*clap.parameters(), *tagger.parameters()]
    optimizer = OneCycle(parameters, training.learning_rate, training.steps)
    clap.train()
    running = 0.0
    for step in range(1, training.steps + 1):
        rows = rng.choice(training.scenes, training.batch, replace=False)
        batch = [train_scenes[row] for row in rows]
        loss = _loss(clap, tagger, mels[rows].float(), batch, classes, rng)
        optimizer.step(loss)
        with torch.no_grad():
            model.logit_scale_a.clamp_(max=math.log(100.0))
        running = loss.item() if step == 1 else 0.98 * running + 0.02 * loss.item()
        if step % 100 == 0:
            log(f"CLAP step {step}/{training.steps}: loss {running:.3f}")
    return clap.eval()


def feature_extractor() -> FeatureExtractor:
    """The spectrogram settings; 16 kHz, so that the sample need not be resampled."""
    return FeatureExtractor(
        feature_size=MEL_BANDS,
        sampling_rate=SAMPLE_RATE,
        hop_length=256,
        max_length_s=8,
        fft_window_size=512,
        frequency_min=50,
        frequency_max=8000,
        truncation="rand_trunc",
        padding="pad",
    )


def clap_config(training: ClapTraining, tokens: int) -> ClapConfig:
    """The official configuration with the stand-in's sizes."""
    top = WIDTH * 2 ** (len(STAGES) - 1)
    audio_config = {
        "window_size": 8,
        "num_mel_bins": MEL_BANDS,
        "spec_size": 4 * MEL_BANDS,
        "patch_size": 4,
        "patch_stride": [4, 4],
        "hidden_size": top,
        "projection_dim": training.dimensions,
        "depths": list(STAGES),
        "num_attention_heads": [2, 4, 8],
        "num_hidden_layers": len(STAGES),
        "patch_embeds_hidden_size": WIDTH,
        "enable_fusion": False,
        "hidden_dropout_prob": 0.0,
        "drop_path_rate": 0.0,
    }
    text_config = {
        "vocab_size": tokens,
        "hidden_size": 128,
        "num_hidden_layers": training.text_layers,
        "num_attention_heads": 4,
        "intermediate_size": 256,
        "max_position_embeddings": 130,
        "projection_dim": training.dimensions,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "bos_token_id": 0,
        "pad_token_id": 1,
        "eos_token_id": 2,
        "type_vocab_size": 1,
    }
    return ClapConfig(
        text_config=text_config, audio_config=audio_config, projection_dim=training.dimensions
    )


def _spectrograms(
    clap: TransformersClap, train_scenes: Sequence[Scene], rng: np.random.Generator
) -> Tensor:
    """The scenes rendered through random channels: (N, 1, F, M) float16, in dB."""
    waves = (
        generators.apply_random_channel(scenes.render_scene(scene, rng)[0], rng)
        for scene in train_scenes
    )
    return torch.cat([clap.log_mel([wave]).half() for wave in waves])


def _loss(
    clap: TransformersClap,
    tagger: nn.Module,
    mels: Tensor,
    batch: Sequence[Scene],
    classes: dict[str, int],
    rng: np.random.Generator,
) -> Tensor:
    pooled = clap.pool_mels(mels)  # (B, H)
    sounds = clap.project_sounds(pooled)  # (B, E)
    texts = clap.embed_texts([scenes.write_caption(scene, rng) for scene in batch])  # (B, E)
    logits = clap.model.logit_scale_a.exp() * sounds @ texts.T  # (B, B)
    target = torch.arange(len(batch))
    by_sound = functional.cross_entropy(logits, target)
    contrastive = by_sound + functional.cross_entropy(logits.T, target)
    tags = torch.zeros(len(batch), len(classes))  # (B, C), rows with sums of one
    for row, scene in zip(tags, batch, strict=True):
        for event in scene.events:
            row[classes[event.recording.caption]] = 1.0 / len(scene.events)
    return contrastive / 2 + functional.cross_entropy(tagger(pooled), tags)


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    training = params.load("clap", ClapTraining)
    clap = train_clap(scenes.load_recordings(CLIPS), training, logging.info)
    clap.model.half()  # half the bytes in git; it is loaded as float32
    with atomic_folder(CLAP) as folder:
        clap.save(folder)


if __name__ == "__main__":
    main()
