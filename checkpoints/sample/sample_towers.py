"""The sample's CLAP on real pretrained towers: projections fitted on its recordings.

Recordings as they are, and scenes composed of them, so that order and company of sounds in a rated
scene are not new to it. A recording's target lies halfway between its caption and its label. The
categories of the audio towers' classifiers join the towers beside the projections.

reads   ../../data/sample/clips/, sound_categories.yaml, the packages of ../../towers.txt
writes  towers/: projections, categories and tags; the towers stay in their packages
"""

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import fit_categories
import fit_towers
import numpy as np
import torch
import yaml
from fit_towers import CaptionedSounds, Floats, TowersFit
from numpy.typing import NDArray

from soundjudge import params
from soundjudge.clap.encoders import tower_files, yamnet
from soundjudge.clap.encoders.encoder import encode_batches, encode_distinct
from soundjudge.clap.encoders.packaged_weights import YAMNET
from soundjudge.clap.encoders.sound_categories import SoundCategories
from soundjudge.clap.encoders.towers import TowersClap
from soundjudge.runtime.artifacts import atomic_folder
from soundjudge.sample.composition import generators, scenes
from soundjudge.sample.composition.scenes import Recording

BATCH = 16  # sounds or texts at once
CLIPS = Path("../../data/sample/clips")
PHRASES = Path(__file__).with_name("sound_categories.yaml")
TAG_TEMPERATURE = 0.05  # of the softmax over tags of a text; they are many
TOWERS = Path("towers")


@dataclass(frozen=True, kw_only=True)
class TowersTraining:
    """How the sample's projections are fitted."""

    seed: int
    scenes: int  # composed sounds beside the recordings
    scene_weight: float  # of a scene's squared error; a recording has about 1
    penalty: float
    dimensions: int  # of the shared space


def fit_clap(
    pool: Sequence[Recording], training: TowersTraining, log: Callable[[str], None]
) -> TowersClap:
    """The packaged towers, joined by what is fitted on `pool` and on scenes composed from it."""
    towers = load_towers()
    data = encode_pool(towers, pool, training)
    log(f"towers: {len(data.sounds)} sounds encoded")
    fit = TowersFit(penalty=training.penalty, dimensions=training.dimensions)
    return join_towers(towers, data, len(pool), fit)


def load_towers() -> TowersClap:
    """The packaged towers with projections that are yet to be fitted."""
    audio_model, text_model = tower_files.load_packaged_towers()
    tagger = tower_files.load_packaged_tagger()
    return TowersClap(
        audio_model,
        torch.nn.Linear(audio_model.width + tagger.width, 1),
        text_model,
        torch.nn.Linear(text_model.width, 1),
        tagger=tagger,
    )


def join_towers(
    towers: TowersClap, data: CaptionedSounds, recordings: int, fit: TowersFit
) -> TowersClap:
    """`towers` with all that joins them; the first `recordings` of `data` are no scenes."""
    audio_projection, text_projection = fit_towers.fit_projections(data, fit)
    own = data.sounds[:recordings], data.captions[:recordings]
    return TowersClap(
        towers.audio_model,
        audio_projection,
        towers.text_model,
        text_projection,
        categories=fit_sound_categories(towers, *own),
        tagger=towers.tagger,
        tags=fit_tags(towers, *own),
    )


def fit_sound_categories(towers: TowersClap, sounds: Floats, captions: Floats) -> SoundCategories:
    """The categories of the classifiers of aisfx, by tower outputs of captioned recordings."""
    network = towers.audio_model
    with torch.inference_mode():
        pooled = torch.from_numpy(sounds[:, : network.width]).float()
        joined = network.classify(pooled).double().numpy()
    categories = fit_categories.blank_categories(
        read_phrases(), sum(network.classes), captions.mean(axis=0), encoder_of(towers)
    )
    parts = np.split(joined, np.cumsum(network.classes)[:-1], axis=1)
    fit_categories.fit_categories(categories, parts, captions)
    return categories


def fit_tags(towers: TowersClap, sounds: Floats, captions: Floats) -> SoundCategories:
    """The classes of YAMNet by their names, and their scores standardized over recordings."""
    assert towers.tagger is not None
    names = yamnet.read_class_names(YAMNET.find() / "assets/yamnet_class_map.csv")
    phrases = {name: [name.lower()] for name in names}
    tags = fit_categories.blank_categories(
        phrases, len(names), captions.mean(axis=0), encoder_of(towers), TAG_TEMPERATURE
    )
    scores = towers.tagger.classify(torch.from_numpy(sounds)).numpy()
    fit_categories.set_evidence(tags, [scores], [np.arange(len(names))])
    return tags


def encoder_of(towers: TowersClap) -> fit_categories.Encode:
    """Its text tower."""
    return lambda texts: encode_distinct(towers.pool_texts, texts, BATCH).astype(np.float64)


def encode_pool(
    clap: TowersClap, pool: Sequence[Recording], training: TowersTraining
) -> CaptionedSounds:
    """Tower outputs of the recordings and of scenes of them, with captions and targets."""
    rng = np.random.default_rng([training.seed, 14])
    composed = [scenes.sample_scene(pool, rng) for _ in range(training.scenes)]
    captions = [one.caption for one in pool] + [scenes.write_caption(one, rng) for one in composed]

    def pool_sounds(waves: Sequence[NDArray[np.float32]]) -> torch.Tensor:
        return clap.pool_mels(clap.log_mel(waves))

    rendered = (
        generators.apply_random_channel(scenes.render_scene(one, rng)[0], rng) for one in composed
    )
    waves = itertools.chain((one.wave for one in pool), rendered)
    sounds = np.concatenate(list(encode_batches(pool_sounds, waves, BATCH))).astype(np.float64)
    text_outputs = encode_distinct(clap.pool_texts, captions, BATCH).astype(np.float64)
    labels = encode_distinct(clap.pool_texts, [one.label for one in pool], BATCH)
    row = {one.clip_id: number for number, one in enumerate(pool)}
    members = [[row[one.clip_id]] for one in pool]
    members += [[row[event.recording.clip_id] for event in one.events] for one in composed]
    label_means = np.stack([labels[rows].mean(axis=0) for rows in members])
    weights = np.concatenate(
        [
            fit_towers.caption_weights([one.caption for one in pool]),
            np.full(len(composed), training.scene_weight),
        ]
    )
    return CaptionedSounds(
        sounds=sounds,
        captions=text_outputs,
        targets=(text_outputs + label_means) / 2,
        weights=weights,
    )


def read_phrases() -> dict[str, list[str]]:
    """By category, in the order of the classes: phrases for what belongs to it."""
    phrases: dict[str, list[str]] = yaml.safe_load(PHRASES.read_text(encoding="utf-8"))
    return phrases


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    training = params.load("towers", TowersTraining)
    clap = fit_clap(scenes.load_recordings(CLIPS), training, logging.info)
    with atomic_folder(TOWERS) as folder:
        clap.save_projections(folder)


if __name__ == "__main__":
    main()
