"""MS-CLAP of 2023: the same embeddings as by Microsoft's package, and strict about its file."""

import re
from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_gpt2
import tiny_msclap
import torch
from tiny_msclap import PUBLISHED

from soundjudge.clap.encoders import checkpoints, msclap
from soundjudge.clap.encoders.msclap import MsClap
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.published import clap_judge

# The names in `CLAP` of msclap 1.3.4, with N for the number of a layer or block.
RECORDED = set(Path(__file__).with_name("msclap_names.txt").read_text().split())
TEXTS = ["a dog barks", "the bell rings!! then stops!", "rain"]
# By msclap 1.3.4 with the weights of `tiny_msclap.clap()`, brought to length 1; of the sound of 9 s
# the mean of what it gives for the first 7 s and for the last.
SOUND_EMBEDDINGS = [
    [0.040929, -0.214287, 0.373976, -0.407022, 0.215522, -0.568787, -0.122101, 0.511864],
    [0.052522, -0.224987, 0.345254, -0.390251, 0.180533, -0.563179, -0.131466, 0.555049],
    [0.061408, -0.230468, 0.301105, -0.385001, 0.165506, -0.561337, -0.116630, 0.590025],
]
TEXT_EMBEDDINGS = [
    [-0.100188, 0.879928, -0.131235, 0.136287, -0.194010, -0.011593, -0.256753, 0.276038],
    [0.210418, -0.320399, -0.183003, 0.350033, -0.170778, 0.080316, 0.655036, -0.482046],
    [0.382686, -0.369027, -0.192419, -0.115186, -0.036731, 0.158718, 0.707343, -0.374437],
]


def noise(seconds: float, seed: int) -> np.ndarray:
    samples = round(seconds * 16_000)
    swell = np.linspace(0.1, 1, samples) ** (seed + 1)
    return (0.1 * np.random.default_rng(seed).normal(size=samples) * swell).astype(np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("msclap")
    tiny_msclap.write(folder, tiny_msclap.state(tiny_msclap.clap()))
    return folder


@pytest.fixture(scope="module")
def clap(folder: Path) -> MsClap:
    loaded = checkpoints.load_encoder(ClapSource(folder), "cpu")
    assert isinstance(loaded, MsClap)
    return loaded


def write(folder: Path, **changes: torch.Tensor | None) -> Path:
    """A file in which weights, by their published names with __ for a dot, are other or missing."""
    state = tiny_msclap.state(tiny_msclap.clap())
    for name, tensor in changes.items():
        if tensor is None:
            del state[name.replace("__", ".")]
        else:
            state[name.replace("__", ".")] = tensor
    return tiny_msclap.write(folder, state)


def test_embeddings_equal_those_of_microsofts_package(clap):
    with torch.no_grad():
        sounds = clap.embed_sounds([noise(2.5, 0), noise(7, 1), noise(9, 2)])
        texts = clap.embed_texts(TEXTS)
    np.testing.assert_allclose(sounds, SOUND_EMBEDDINGS, atol=5e-5)
    np.testing.assert_allclose(texts, TEXT_EMBEDDINGS, atol=2e-6)
    assert (clap.sample_rate, clap.dimensions, clap.window_seconds) == (44_100, 8, 10.0)


def test_the_file_itself_can_be_named_and_its_name_says_the_protocol(folder, clap):
    of_file = checkpoints.load_encoder(ClapSource(folder / PUBLISHED), "cpu")
    assert of_file.name() == clap.name()
    protocol = "44.1k-7s-repeat-ends-of-10s/projection@1"
    assert re.fullmatch(rf"msclap-[0-9a-f]{{8}}/{re.escape(protocol)}", clap.name())


@pytest.mark.slow
def test_no_embedding_depends_on_its_batch_mates(clap):
    waves = [noise(0.001, 1), noise(3, 0), noise(9, 2)]
    texts = [*TEXTS, "a dog " * 60, ""]
    with torch.no_grad():
        together, words = clap.embed_sounds(waves), clap.embed_texts(texts)
        for row, wave in enumerate(waves):
            np.testing.assert_allclose(together[row], clap.embed_sounds([wave])[0], atol=1e-5)
        for row, text in enumerate(texts):
            np.testing.assert_allclose(words[row], clap.embed_texts([text])[0], atol=1e-5)
    np.testing.assert_allclose(together.norm(dim=-1), 1.0, atol=1e-5)
    np.testing.assert_allclose(words.norm(dim=-1), 1.0, atol=1e-5)


def test_ten_seconds_count_to_their_end_and_no_more(clap):
    wave = noise(12, 0)
    other = wave.copy()
    other[9 * 16_000 : 10 * 16_000] = 0.0
    with torch.no_grad():
        whole = clap.embed_sounds([wave])
        assert torch.equal(whole, clap.embed_sounds([wave[:160_000]]))
        assert not torch.allclose(whole, clap.embed_sounds([other]), atol=1e-4)


def test_of_a_long_text_the_end_is_cut_and_the_end_token_stays(clap):
    long = "a dog " * 60
    assert clap.cut_texts(["a dog", long]) == [False, True]
    rows = clap.tokenizer([f"{long} <|endoftext|>"])["input_ids"][0]
    ids = torch.tensor([[*rows[:76], 300]])
    with torch.no_grad():
        expected = clap.text_model(ids).last_hidden_state[:, -1]
        assert torch.allclose(clap.pool_texts([long]), expected, atol=1e-5)


def test_a_judges_copy_is_the_same_and_its_bytes_repeat(folder, clap, tmp_path):
    for name in ("a", "b"):
        checkpoints.copy_encoder(ClapSource(folder), tmp_path / name)
    assert artifacts.sha256(tmp_path / "a") == artifacts.sha256(tmp_path / "b")
    again = checkpoints.load_encoder(ClapSource(tmp_path / "a"), "cpu")
    with torch.no_grad():
        assert torch.equal(again.embed_texts(TEXTS), clap.embed_texts(TEXTS))
        assert torch.equal(again.embed_sounds([noise(9, 2)]), clap.embed_sounds([noise(9, 2)]))
    assert again.name() == clap.name()


def test_it_becomes_a_judge_without_training(folder, tmp_path):
    manifest = clap_judge.import_clap(str(folder), tmp_path / "judge")
    assert manifest.window_seconds == 10.0


def test_all_of_it_can_be_tuned(clap):
    trained = sum(len(parameters) for parameters in clap.parts().values())
    assert trained == len(list(clap.parameters()))
    assert clap.pool_texts(["a"]).requires_grad


def test_the_table_knows_every_weight_and_drops_the_rest_knowingly():
    model = tiny_msclap.clap()
    state = tiny_msclap.state(model)
    renamed = msclap.TABLE.rename(state)
    assert renamed.keys() == model.state_dict().keys()
    assert all(torch.equal(renamed[name], w) for name, w in model.state_dict().items())
    older = {f"{msclap.TEXT}h.N.attn.{name}" for name in ("bias", "masked_bias")}
    numbers = r"(layers|blocks|\bh)\.\d+"
    assert {re.sub(numbers, r"\1.N", name) for name in state} == RECORDED | older


HTSAT = "audio_encoder__base__htsat__"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"caption_encoder__base__ln_f__bias": None}, r"missing.*text_model\.ln_f\.bias"),
        ({"caption_encoder__base__wte__weight": None}, r"wte\.weight.*no MS-CLAP of 2023"),
        ({f"{HTSAT}extra__weight": torch.zeros(1)}, r"htsat\.extra\.weight.*GPT-2"),
        ({f"{HTSAT}norm__bias": torch.zeros(3)}, r"other shape.*encoder\.norm\.bias"),
        ({f"{HTSAT}norm__bias": torch.full((16,), torch.nan)}, r"norm\.bias holds infinite"),
        (
            {f"{HTSAT}spectrogram_extractor__stft__conv_real__weight": torch.ones(513, 1, 1024)},
            "the window of this CLAP",
        ),
        ({f"{HTSAT}layers__0__blocks__1__attn_mask": None}, "attn_mask.*no MS-CLAP"),
    ],
)
def test_other_weights_are_refused_in_a_sentence(tmp_path, changes, message):
    path = write(tmp_path, **changes)
    with pytest.raises(SoundjudgeError, match=f"{re.escape(str(path))}.*{message}"):
        checkpoints.load_encoder(ClapSource(path), "cpu")


def test_what_is_no_ms_clap_is_refused_in_a_sentence(folder, tmp_path):
    path = tmp_path / PUBLISHED
    whole = (folder / PUBLISHED).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SoundjudgeError, match="not a readable PyTorch checkpoint"):
        checkpoints.load_encoder(ClapSource(path), "cpu")
    torch.save({"state_dict": {"a": torch.zeros(1)}}, path)
    with pytest.raises(SoundjudgeError, match=r"holds no weights.*MS-CLAP of 2023"):
        checkpoints.load_encoder(ClapSource(path), "cpu")
    torch.save({"model": Path("a")}, path)
    with pytest.raises(SoundjudgeError, match="could run foreign code"):
        checkpoints.load_encoder(ClapSource(path), "cpu")


def test_a_tokenizer_that_is_missing_or_another_is_refused(tmp_path):
    path = write(tmp_path)
    for file in tmp_path.glob("*.json"):
        file.unlink()
    with pytest.raises(
        SoundjudgeError,
        match=r"config\.json, tokenizer\.json and tokenizer_config\.json of openai-community/gpt2",
    ):
        checkpoints.load_encoder(ClapSource(path), "cpu")
    tiny_clap.tokenizer().save_pretrained(tmp_path)
    with pytest.raises(SoundjudgeError, match="not GPT-2's"):
        checkpoints.load_encoder(ClapSource(path), "cpu")


def test_a_saved_folder_that_is_not_whole_is_refused(folder, tmp_path):
    checkpoints.copy_encoder(ClapSource(folder), tmp_path)
    (tmp_path / "msclap.json").write_text('{"kind": "msclap"}')
    with pytest.raises(SoundjudgeError, match="not as soundjudge writes it"):
        checkpoints.load_encoder(ClapSource(tmp_path), "cpu")
    (tmp_path / "msclap.json").write_text("[]")
    with pytest.raises(SoundjudgeError, match="holds no JSON object"):
        checkpoints.load_encoder(ClapSource(tmp_path), "cpu")


def test_of_gpt2s_kind_a_tiny_tokenizer_has_the_padding_first():
    assert tiny_gpt2.tokenizer().convert_tokens_to_ids("!") == 0
