"""Rated silence is learned and scored: every kind of CLAP embeds it, and nothing is infinite."""

from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_m2d
import tiny_mgaclap
import tiny_msclap
import tiny_towers
import torch

from soundjudge.clap.encoders.encoder import ClapEncoder
from soundjudge.clap.encoders.m2d import M2dClap


def m2d(folder: Path) -> ClapEncoder:
    return M2dClap.load(tiny_m2d.write(folder / "m2d"), "cpu", None)


KINDS = {
    "transformers": lambda _: tiny_clap.clap(),
    "fused": lambda _: tiny_clap.clap(truncation="fusion"),
    "towers": lambda _: tiny_towers.clap(),
    "msclap": lambda _: tiny_msclap.clap(),
    "mgaclap": lambda _: tiny_mgaclap.clap(),
    "m2d": m2d,
}


@pytest.mark.parametrize("kind", KINDS)
def test_digital_silence_and_one_faint_step_have_embeddings_of_length_one(kind, tmp_path):
    clap = KINDS[kind](tmp_path)
    faint = np.zeros(16_000, np.float32)
    faint[::7] = 1 / 32_768
    with torch.no_grad():
        embeddings = clap.embed_sounds([np.zeros(16_000, np.float32), faint])
    torch.testing.assert_close(embeddings.norm(dim=-1), torch.ones(2), atol=1e-4, rtol=0)
