"""Every training reads a text in the form in which scoring reads it, whatever a table holds."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch

from soundjudge.clap.embeddings import embeddings
from soundjudge.clap.regression import regressor
from soundjudge.data.tables.texts import clean_text
from soundjudge.training.lalm import training_pairs
from soundjudge.training.tune_clap import tune_clap

WRITTEN = ["Rain falls ", "a dog  barks", "wind\nand rain", "cafe\u0301 noise"]
READ = ["Rain falls", "a dog barks", "wind and rain", "caf\u00e9 noise"]
NAMES = [f"{n}.wav" for n in range(4)]


def test_a_text_is_read_without_what_nobody_sees() -> None:
    assert [clean_text(text) for text in WRITTEN] == READ


def test_the_language_model_is_trained_on_what_it_scores() -> None:
    pairs = training_pairs.make_pairs(pd.Series(NAMES), pd.Series(WRITTEN), np.zeros(4))
    assert pairs.texts_of(np.arange(4)) == READ


def test_clap_is_tuned_on_what_it_scores() -> None:
    table = pd.DataFrame({"wav_file_name": NAMES, "text": WRITTEN, "mean_score": 5.0})
    assert tune_clap.rated_pairs(table, "mean", 5.0, 1.0).texts == READ


class Recorder:
    """A CLAP that keeps the texts that it is given."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def embed_sounds(self, waves: Sequence[np.ndarray]) -> torch.Tensor:
        return torch.ones(len(waves), 1)

    def embed_texts(self, texts: Sequence[str]) -> torch.Tensor:
        self.texts += texts
        return torch.ones(len(texts), 1)


class Clips:
    def wave(self, clip_id: str) -> np.ndarray:
        return np.ones(1, dtype=np.float32)


def test_a_regressor_is_fitted_on_what_it_scores() -> None:
    clap = Recorder()
    regressor.embed_pairs([clap], Clips(), NAMES, WRITTEN, 2)
    assert sorted(clap.texts) == sorted(READ)


def test_stored_features_are_those_of_what_is_scored() -> None:
    rated = pd.DataFrame({"wav_file_name": NAMES, "text": WRITTEN})
    ids = [f"xacle/{name}" for name in NAMES]
    clips = pd.DataFrame({"clip_id": ids, "sha256": list("abcd")})
    _, texts = embeddings.distinct_rated(rated, clips)
    assert sorted(texts.keys) == sorted(texts.items) == sorted(READ)
    captions = embeddings.distinct_texts(["k0", "k1"], ["Rain falls ", "Rain  falls"])
    assert captions.items == ["Rain falls"]
    assert sorted(captions.keys) == ["k0", "k1"]
