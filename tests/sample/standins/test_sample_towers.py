"""The sample's CLAP on pretrained towers hears recordings that it was never given.

And a row of the study of its fit is measured again: the towers' outputs, half a minute, serve both.
"""

import functools
from collections.abc import Iterator

import fit_towers
import numpy as np
import pytest
import sample_towers
import torch
from fit_towers import CaptionedSounds, TowersFit
from packaged_towers import needs_packages
from repository import ROOT, benchmark_row, load_benchmark
from sample_towers import TowersTraining

from soundjudge.clap.encoders.towers import TowersClap
from soundjudge.sample.composition import scenes
from soundjudge.sample.composition.scenes import Recording

pytestmark = [pytest.mark.slow, needs_packages]


@pytest.fixture(scope="module")
def pool() -> list[Recording]:
    return scenes.load_recordings(ROOT / "data/sample/clips")


@pytest.fixture(scope="module")
def towers() -> Iterator[TowersClap]:
    """The towers; each fit encodes the same names of categories, which are encoded once here."""
    towers = sample_towers.load_towers()
    encode = sample_towers.encoder_of(towers)
    encode_once = functools.cache(lambda texts: encode(list(texts)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            sample_towers, "encoder_of", lambda _: lambda texts: encode_once(tuple(texts))
        )
        yield towers


@pytest.fixture(scope="module")
def encoded(towers, pool) -> CaptionedSounds:
    training = TowersTraining(seed=1, scenes=0, scene_weight=0.3, penalty=2000.0, dimensions=128)
    return sample_towers.encode_pool(towers, pool, training)


def test_matched_captions_beat_others_on_the_fifth_of_the_recordings_that_a_fit_never_saw(
    towers, pool, encoded
):
    # Five fits, each on four fifths: single fifths have 75 to 95 recordings.
    groups = np.array(sorted({one.group for one in pool}))
    np.random.default_rng(0).shuffle(groups)
    fold_of = {group: number % 5 for number, group in enumerate(groups)}
    folds = np.array([fold_of[one.group] for one in pool])  # siblings of a take stay together
    rates = np.zeros(len(pool))
    for fold in range(5):
        seen, unseen = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        known = CaptionedSounds(
            sounds=encoded.sounds[seen],
            captions=encoded.captions[seen],
            targets=encoded.targets[seen],
            weights=fit_towers.caption_weights([pool[row].caption for row in seen]),
        )
        fit = TowersFit(penalty=2000.0, dimensions=128)
        clap = sample_towers.join_towers(towers, known, len(seen), fit)
        with torch.inference_mode():
            sounds = clap.match_sounds(torch.from_numpy(encoded.sounds[unseen]).float())
            texts = clap.match_texts(torch.from_numpy(encoded.captions[unseen]).float())
        rates[unseen] = win_rates((sounds @ texts.T).numpy(), [pool[row] for row in unseen])
    assert rates.mean() > 0.92  # measured .938 for two other draws of folds, .904 without YAMNet


def test_a_row_of_the_study_of_the_fit_is_measured_again(towers, encoded, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = load_benchmark("towers_study")
    pool_waves = script.pool_waves

    def pool_known_waves(clap, waves):
        """The recordings are encoded; the first batch of them again."""
        if len(waves) < len(encoded.sounds):
            return pool_waves(clap, waves)
        np.testing.assert_array_equal(pool_waves(clap, waves[:16]), encoded.sounds[:16])
        return encoded.sounds

    monkeypatch.setattr(script, "packaged_clap", lambda: towers)
    monkeypatch.setattr(script, "pool_waves", pool_known_waves)
    monkeypatch.setattr(script, "CACHE", tmp_path)
    monkeypatch.setattr(script, "SCENES_PER_FOLD", 1)  # this row is of recordings alone
    study = script.Study()
    way = "**all three, equal weights: the sample's**"
    fit, how = script.ways()[way]
    rates = study.held_out(script.pd.factorize(study.sources)[0], fit, **how)
    stated = benchmark_row("towers_study", f"| {way} |")[2]
    assert script.interval(rates, study.groups) == stated.replace("**", "")


def win_rates(scores: np.ndarray, recordings: list[Recording]) -> np.ndarray:
    """Per recording: the share of captions of other labels that its own caption beats."""
    labels = np.array([one.label for one in recordings])
    differ = labels[:, None] != labels
    wins = scores < np.diag(scores)[:, None]
    return (wins & differ).sum(axis=1) / differ.sum(axis=1)
