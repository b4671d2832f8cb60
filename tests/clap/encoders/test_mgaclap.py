"""MGA-CLAP: the same embeddings as by its authors' code, and strict about its file."""

import re
from pathlib import Path

import numpy as np
import pytest
import tiny_mgaclap
import torch
from tiny_mgaclap import PUBLISHED

from soundjudge.clap.encoders import checkpoints, mgaclap
from soundjudge.clap.encoders.mgaclap import MgaClap, sparsemax
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts

# The names in `ASE` of the code of December 2024, with N for the number of a layer or block.
RECORDED = set(Path(__file__).with_name("mgaclap_names.txt").read_text().split())
TEXTS = ["a dog barks", "the bell rings then stops", "rain falls " * 20]
# By that code with the weights of `tiny_mgaclap.clap()`.
SOUND_EMBEDDINGS = [
    [-0.191420, -0.063965, -0.042819, 0.336256, 0.305173, 0.648799, 0.388913, -0.423133],
    [-0.189103, -0.092017, -0.075324, 0.279667, 0.332218, 0.670376, 0.369564, -0.418969],
    [-0.181052, -0.092773, -0.078929, 0.289285, 0.352023, 0.640749, 0.385830, -0.430527],
]
TEXT_EMBEDDINGS = [
    [-0.475928, 0.083607, 0.237643, 0.732693, -0.188655, 0.047124, 0.367875, -0.006778],
    [-0.471363, 0.097709, 0.235500, 0.733333, -0.199854, 0.046890, 0.364524, -0.003806],
    [-0.472158, 0.096565, 0.239932, 0.733097, -0.202287, 0.056574, 0.358641, -0.000044],
]


def noise(seconds: float, seed: int) -> np.ndarray:
    samples = round(seconds * 16_000)
    swell = np.linspace(0.1, 1, samples) ** (seed + 1)
    return (0.1 * np.random.default_rng(seed).normal(size=samples) * swell).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("checkpoints")
    tiny_mgaclap.write(folder, tiny_mgaclap.state(tiny_mgaclap.clap()))
    return folder


@pytest.fixture(scope="module")
def clap(folder: Path) -> MgaClap:
    loaded = checkpoints.load_encoder(ClapSource(folder), "cpu")
    assert isinstance(loaded, MgaClap)
    return loaded


def test_embeddings_equal_those_of_its_authors_code(clap):
    with torch.no_grad():
        sounds = clap.embed_sounds([noise(2.5, 0), noise(7, 1), noise(10, 2)])
        texts = clap.embed_texts(TEXTS)
    np.testing.assert_allclose(sounds, SOUND_EMBEDDINGS, atol=2e-5)
    np.testing.assert_allclose(texts, TEXT_EMBEDDINGS, atol=2e-6)
    assert (clap.sample_rate, clap.dimensions, clap.window_seconds) == (32_000, 8, 10.0)
    protocol = "32k-first10s-zeros/codebook@1"
    assert re.fullmatch(rf"mgaclap-[0-9a-f]{{8}}/{protocol}", clap.name())


@pytest.mark.slow
def test_no_embedding_depends_on_its_batch_mates(clap):
    waves = [noise(0.001, 1), noise(3, 0), noise(12, 2), np.zeros(900, np.float32)]
    texts = [*TEXTS, "", "!?"]
    with torch.no_grad():
        together, words = clap.embed_sounds(waves), clap.embed_texts(texts)
        for row, wave in enumerate(waves):
            np.testing.assert_allclose(together[row], clap.embed_sounds([wave])[0], atol=1e-5)
        for row, text in enumerate(texts):
            np.testing.assert_allclose(words[row], clap.embed_texts([text])[0], atol=1e-5)
        assert torch.equal(clap.embed_sounds([waves[2][:160_000]]), clap.embed_sounds([waves[2]]))
    np.testing.assert_allclose(together.norm(dim=-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(words.norm(dim=-1), 1.0, atol=1e-5)


def test_punctuation_is_taken_out_and_a_long_text_is_cut(clap):
    with torch.no_grad():
        plain, marked = clap.embed_texts(["a dog then a bell", 'a "dog", then (a bell!'])
    np.testing.assert_allclose(plain, marked, atol=1e-6)
    assert clap.cut_texts(["a dog!!", TEXTS[2]]) == [False, True]


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    logits = torch.tensor([[0.5, 0.5, -3.0], [2.0, 0.0, 0.0], [0.6, 0.4, 0.0], [0.0, 0.0, 0.0]])
    expected = [[0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.6, 0.4, 0.0], [1 / 3] * 3]  # by hand
    np.testing.assert_allclose(sparsemax(logits), expected, atol=1e-6)
    rows = sparsemax(torch.randn(5, 40, generator=torch.Generator().manual_seed(0)))
    assert (rows >= 0).all() and (rows == 0).any()
    np.testing.assert_allclose(rows.sum(dim=-1), 1.0, atol=1e-6)


def test_a_judges_copy_is_the_same_and_its_bytes_repeat(folder, clap, tmp_path):
    for name in ("a", "b"):
        checkpoints.copy_encoder(ClapSource(folder), tmp_path / name)
    assert artifacts.sha256(tmp_path / "a") == artifacts.sha256(tmp_path / "b")
    again = checkpoints.load_encoder(ClapSource(tmp_path / "a"), "cpu")
    with torch.no_grad():
        assert torch.equal(again.embed_texts(TEXTS), clap.embed_texts(TEXTS))
        assert torch.equal(again.embed_sounds([noise(9, 2)]), clap.embed_sounds([noise(9, 2)]))
    assert again.name() == clap.name()


def test_the_table_knows_every_weight_and_drops_the_rest_knowingly():
    model = tiny_mgaclap.clap()
    state = tiny_mgaclap.state(model)
    renamed = mgaclap.TABLE.rename(state)
    assert renamed.keys() == model.state_dict().keys()
    assert all(torch.equal(renamed[name], w) for name, w in model.state_dict().items())
    names = {re.sub(r"(layers?|blocks)\.\d+", r"\1.N", name) for name in state}
    assert names == RECORDED | {f"{mgaclap.TEXT}embeddings.position_ids"}


def test_it_is_not_tuned_and_the_error_names_the_key(folder):
    with pytest.raises(SoundjudgeError, match=r"can't be tuned.*regress\.extra_encoders"):
        checkpoints.load_tunable(ClapSource(folder), "cpu")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"codebook": None}, "has no 'codebook': it is no MGA-CLAP"),
        ({"word_proj.4.bias": None}, r"missing.*word_projection\.4\.bias"),
        ({"strange.weight": torch.zeros(1)}, r"strange\.weight.*HTSAT and a BERT"),
        ({"frame_proj.1.bias": torch.zeros(3)}, r"other shape.*frame_projection\.1\.bias"),
        ({"frame_proj.1.bias": torch.full((8,), torch.inf)}, r"1\.bias holds infinite"),
    ],
)
def test_other_weights_are_refused_in_a_sentence(tmp_path, changes, message):
    state = tiny_mgaclap.state(tiny_mgaclap.clap()) | changes
    kept = {name: tensor for name, tensor in state.items() if tensor is not None}
    path = tiny_mgaclap.write(tmp_path, kept)
    with pytest.raises(SoundjudgeError, match=f"{re.escape(str(path))}.*{message}"):
        checkpoints.load_encoder(ClapSource(tmp_path), "cpu")


def test_what_is_no_mga_clap_is_refused_in_a_sentence(folder, tmp_path):
    path = tmp_path / PUBLISHED
    whole = (folder / PUBLISHED).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SoundjudgeError, match="not a readable PyTorch checkpoint"):
        checkpoints.load_encoder(ClapSource(path), "cpu")
    torch.save({"model": Path("a")}, path)
    with pytest.raises(SoundjudgeError, match="could run foreign code"):
        checkpoints.load_encoder(ClapSource(path), "cpu")
    path.write_bytes(whole)
    with pytest.raises(SoundjudgeError, match=r"config\.json, tokenizer\.json.*bert-base-uncased"):
        checkpoints.load_encoder(ClapSource(path), "cpu")
    (tmp_path / "mga2.pt").touch()
    with pytest.raises(SoundjudgeError, match=r"holds 2 files mga\*\.pt: name one"):
        checkpoints.load_encoder(ClapSource(tmp_path), "cpu")
