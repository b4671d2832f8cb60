"""The published TMU checkpoint becomes a judge that scores as the published network does.

The reference forward pass is built here from its description alone, on speechbrain's BEATs and
transformers' models.
"""

import json
import re
import shutil
from dataclasses import asdict
from pathlib import Path

import beats_reference
import numpy as np
import pytest
import tiny_judge
import torch
from optional_packages import soundfile
from tokenizers import pre_tokenizers
from torch import nn
from transformers import AutoModel, AutoTokenizer, Qwen2Config, Qwen2ForCausalLM, Qwen2Tokenizer
from typer.testing import CliRunner

from soundjudge import Judge
from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.beats import beats
from soundjudge.model.audio.beats.layers import BeatsConfig
from soundjudge.scoring.judge.manifest import read_manifest
from soundjudge.scoring.published import tmu, tmu_checkpoint, tmu_layout

WIDTH, HIDDEN, TOKENS = 16, 20, 100
HEAD = (12, 12, 6)
NEW_TOKENS = ["[AUDIO_START]", "[AUDIO_END]", "[SCORE]"]
RESEARCH = {
    "llm_wrapper.audio_encoder.": "model.model.llm_wrapper.audio_adapter.audio_encoder.",
    "llm_wrapper.audio_projection.": "model.model.llm_wrapper.audio_adapter.",
    "llm_wrapper.llm.": "model.model.llm_wrapper.llm.",
    "score_head.": "model.model.projection.",
    "final_linear.linear.": "model.projection.",
}
TEXTS = ["a dog barks", "rain on a roof and a car and a dog", "a (score) dog", "It's 12 dögs, ok!"]


class Published(nn.Module):
    """The network of the published checkpoint, under its names, for one pair at a time."""

    def __init__(self, encoder: nn.Module, llm: Path, width: int, hidden: int, head: tuple) -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(llm)
        self.tokenizer.add_special_tokens({"additional_special_tokens": NEW_TOKENS})
        wrapper = self.llm_wrapper = nn.Module()
        wrapper.audio_encoder = nn.Module()
        wrapper.audio_encoder.model = encoder
        wrapper.llm = AutoModel.from_pretrained(llm, dtype=torch.float32)
        wrapper.llm.resize_token_embeddings(len(self.tokenizer), mean_resizing=False)
        out = wrapper.llm.config.hidden_size
        projection = wrapper.audio_projection = nn.Module()
        projection.mlp = nn.Module()
        projection.mlp.norm = nn.LayerNorm(width)
        projection.mlp.fc1 = nn.Linear(width, 2 * hidden)
        projection.mlp.fc2 = nn.Linear(hidden, out)
        projection.residual_proj = nn.Linear(width, out)
        projection.residual_gate = nn.Linear(width, out)
        layers: list[nn.Module] = []
        for before, after in zip((out, *head), head, strict=False):
            layers += [nn.Linear(before, after), nn.ReLU(), nn.Dropout(0.1)]
        self.score_head = nn.Module()
        self.score_head.mlp = nn.Sequential(*layers[:-2])
        self.final_linear = nn.Module()
        self.final_linear.linear = nn.Linear(head[-1], 1)

    @torch.no_grad()
    def predict(self, wave: np.ndarray, text: str) -> float:
        """The score on the 0-10 scale, not clamped, of mono samples at 16 kHz."""
        sound = torch.zeros(1, 160_000)
        part = torch.from_numpy(wave[:160_000])
        sound[0, : len(part)] = part
        wrapper, projection = self.llm_wrapper, self.llm_wrapper.audio_projection
        frames = wrapper.audio_encoder.model.extract_features(sound, torch.ones(1))[0]
        pooled = nn.AdaptiveAvgPool1d(TOKENS)(frames.transpose(1, 2)).transpose(1, 2)
        value, gate = projection.mlp.fc1(projection.mlp.norm(pooled)).chunk(2, dim=-1)
        mlp = projection.mlp.fc2(value * gate * torch.sigmoid(gate))
        share = torch.sigmoid(projection.residual_gate(pooled))
        audio = share * projection.residual_proj(pooled) + (1 - share) * mlp
        ids = self.tokenizer(text, truncation=True, max_length=256)["input_ids"]
        start, end, score = self.tokenizer.convert_tokens_to_ids(NEW_TOKENS)
        table = wrapper.llm.get_input_embeddings()
        before = table(torch.tensor([[*ids, start]]))
        after = table(torch.tensor([[end, score, self.tokenizer.eos_token_id]]))
        sequence = torch.cat([before, audio, after], dim=1)
        assert sequence.shape[1] == len(ids) + 104
        mask = torch.ones(sequence.shape[:2], dtype=torch.long)
        hidden = wrapper.llm(inputs_embeds=sequence, attention_mask=mask).last_hidden_state
        out = self.final_linear.linear(self.score_head.mlp(hidden[:, -2]))
        return (float(out) + 1) * 5


def llm_folder(folder: Path) -> Path:
    """A random Qwen2 with a tokenizer of its kind: bytes, a few merges, rows to spare."""
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = [("d", "o"), ("do", "g"), ("Ġ", "dog"), ("r", "a"), ("i", "n"), ("ra", "in")]
    words = [*symbols, *("".join(pair) for pair in merges)]
    tokenizer = Qwen2Tokenizer(
        vocab={word: number for number, word in enumerate(words)},
        merges=merges,
        eos_token="<|im_end|>",
    )
    tokenizer.save_pretrained(folder)
    config = Qwen2Config(
        vocab_size=len(tokenizer) + 7,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.5,
        tie_word_embeddings=True,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def tiny_encoder(tuned: bool) -> beats.Beats:
    config = BeatsConfig(
        **asdict(tiny_judge._beats_config())
        | {"embed_dim": 24, "finetuned_model": tuned, "max_distance": 800}
        | ({"predictor_class": 5} if tuned else {})
    )
    return tiny_judge._enlarge_weights(beats.Beats(config))


def reference(folder: Path, tuned: bool = True) -> Published:
    """A random published network whose scores differ between pairs and stay between 0 and 10."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        encoder = beats_reference.reference(tiny_encoder(tuned))
        network = Published(encoder, llm_folder(folder), WIDTH, HIDDEN, HEAD)
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                if "audio_encoder" not in name:
                    parameter.add_(0.2 * torch.randn_like(parameter))
            network.final_linear.linear.weight.mul_(0.2)
            network.final_linear.linear.bias.fill_(0.1)
    return network.eval()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """llm/, beats.pt, pretrained.pt and model.pt."""
    root = tmp_path_factory.mktemp("published")
    network = reference(root / "llm")
    beats.save_beats(tiny_encoder(tuned=True), root / "beats.pt")
    beats.save_beats(tiny_encoder(tuned=False), root / "pretrained.pt")
    torch.save(network.state_dict(), root / "model.pt")
    return root


@pytest.fixture(scope="module")
def network(files: Path) -> Published:
    network = reference(files / "again")
    network.load_state_dict(torch.load(files / "model.pt"))
    return network


def run(*words: object) -> object:
    return CliRunner().invoke(app, [str(word) for word in words])


def import_judge(
    files: Path, out: Path, model: Path | None = None, encoder: str = "beats.pt"
) -> Judge:
    tmu.import_tmu(model or files / "model.pt", out, beats=files / encoder, llm=files / "llm")
    return Judge.from_pretrained(out, "cpu")


def write_changed(files: Path, tmp_path: Path, change: object) -> Path:
    """A model.pt after `change(state)`, which alters it in place or returns another content."""
    state = torch.load(files / "model.pt")
    content = change(state)
    torch.save(state if content is None else content, tmp_path / "model.pt")
    return tmp_path / "model.pt"


def without(name: str) -> object:
    """A change that removes a weight."""

    def change(state: dict) -> None:
        del state[name]

    return change


def test_the_reference_has_the_published_names(network: Published) -> None:
    names = set(network.state_dict())
    conv = "llm_wrapper.audio_encoder.model.encoder.pos_conv.0.parametrizations.weight.original"
    assert {
        f"{conv}0",
        f"{conv}1",
        "llm_wrapper.audio_encoder.model.predictor.weight",
        "llm_wrapper.audio_projection.mlp.fc1.weight",
        "llm_wrapper.audio_projection.residual_gate.bias",
        "llm_wrapper.llm.embed_tokens.weight",
        "llm_wrapper.llm.layers.1.self_attn.q_proj.bias",
        "llm_wrapper.llm.norm.weight",
        "score_head.mlp.0.weight",
        "score_head.mlp.3.bias",
        "score_head.mlp.6.weight",
        "final_linear.linear.weight",
    } <= names
    assert not any("lm_head" in name for name in names)


@pytest.mark.parametrize(
    "seconds", [10.0, *(pytest.param(other, marks=pytest.mark.slow) for other in (3.3, 0.4, 10.9))]
)
def test_a_judges_score_is_that_of_the_published_network(
    files: Path, network: Published, tmp_path: Path, seconds: float
) -> None:
    score = import_judge(files, tmp_path / "judge").score_pairs
    waves = [tiny_judge.noise(seconds, seed) for seed in range(4)]
    ours = score([(wave, 16_000) for wave in waves], TEXTS)  # four at once, of any text length
    theirs = [network.predict(wave, text) for wave, text in zip(waves, TEXTS, strict=True)]
    assert all(0 < value < 10 for value in theirs)
    assert np.ptp(theirs) > 0.05
    np.testing.assert_allclose(ours, theirs, atol=1e-4, rtol=0)


def test_a_special_token_in_a_text_is_text_and_not_the_published_networks_token(
    files: Path, network: Published, tmp_path: Path
) -> None:
    score = import_judge(files, tmp_path / "judge").score
    wave = tiny_judge.noise(3.0, 2)
    theirs = network.predict(wave, "a [SCORE] dog")
    assert abs(score((wave, 16_000), "a [SCORE] dog") - theirs) > 1e-3


def test_a_long_sound_is_scored_whole(files: Path, network: Published, tmp_path: Path) -> None:
    wave = tiny_judge.noise(15.0, 2)
    first, second = (network.predict(part, "a dog") for part in (wave[:160_000], wave[160_000:]))
    ours = import_judge(files, tmp_path / "judge").score((wave, 16_000), "a dog")
    assert ours == pytest.approx((10 * first + 5 * second) / 15, abs=1e-4)
    assert abs(first - second) > 1e-3


@pytest.mark.slow
def test_a_text_of_more_than_256_tokens_is_cut(
    files: Path, network: Published, tmp_path: Path
) -> None:
    wave, text = tiny_judge.noise(2.0, 1), "a dog barks " * 100
    ours = import_judge(files, tmp_path / "judge").score((wave, 16_000), text)
    assert ours == pytest.approx(network.predict(wave, text), abs=1e-4)
    assert ours == import_judge(files, tmp_path / "two").score((wave, 16_000), "a dog barks " * 101)


@pytest.mark.parametrize(
    "layout",
    [
        lambda state: {"model_state_dict": state, "epoch": 3},
        lambda state: {"state_dict": {f"model.{name}": t for name, t in state.items()}},
        lambda state: {"state_dict": {research(name): t for name, t in state.items()}},
        lambda state: {microsoft(name): t for name, t in state.items()},
    ],
    ids=["model_state_dict", "lightning", "research", "microsoft"],
)
def test_other_layouts_give_the_same_judge(files: Path, tmp_path: Path, layout: object) -> None:
    given = {"beats": files / "beats.pt", "llm": files / "llm"}
    plain = tmu.import_tmu(files / "model.pt", tmp_path / "one", **given)
    model = write_changed(files, tmp_path, layout)
    other = tmu.import_tmu(model, tmp_path / "two", **given)
    assert other == plain
    Judge.from_pretrained(tmp_path / "two", "cpu")


def research(name: str) -> str:
    theirs = next(new for new in RESEARCH if name.startswith(new))
    return RESEARCH[theirs] + name.removeprefix(theirs)


def microsoft(name: str) -> str:
    for new, old in (("original0", "weight_g"), ("original1", "weight_v")):
        name = name.replace(f"parametrizations.weight.{new}", old)
    return name


@pytest.mark.slow
def test_pretrained_and_finetuned_beats_files_give_the_same_scores(
    files: Path, tmp_path: Path
) -> None:
    def without_predictor(state: dict) -> dict:
        return {name: tensor for name, tensor in state.items() if "predictor" not in name}

    model = write_changed(files, tmp_path, without_predictor)
    pair = (tiny_judge.noise(1.0, 1), 16_000), "a dog barks"
    scores = {
        import_judge(files, tmp_path / f"{number}{encoder}", path, encoder).score(*pair)
        for number, path in enumerate((files / "model.pt", model))
        for encoder in ("beats.pt", "pretrained.pt")
    }
    assert len(scores) == 1


def test_the_weights_are_those_of_the_checkpoint_and_not_of_the_beats_file(
    files: Path, tmp_path: Path
) -> None:
    torch.manual_seed(9)
    other = beats.Beats(tiny_encoder(tuned=True).config)
    beats.save_beats(other, tmp_path / "beats.pt")
    one, two = (
        tmu_checkpoint.load_tmu(files / "model.pt", file, files / "llm")
        for file in (files / "beats.pt", tmp_path / "beats.pt")
    )
    one, two = one.encoder.state_dict(), two.encoder.state_dict()
    assert all(torch.equal(tensor, two[name]) for name, tensor in one.items())


def text_folder(files: Path, tmp_path: Path) -> Path:
    """The language model's configuration and tokenizer, without weights."""
    folder = tmp_path / "text"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(files / "llm" / name, folder)
    return folder


@pytest.mark.parametrize("tuned", [True, False])
def test_one_file_makes_the_judge_that_all_three_make(
    files: Path, tmp_path: Path, tuned: bool
) -> None:
    def change(state: dict) -> dict:
        return {name: t for name, t in state.items() if tuned or "predictor" not in name}

    model, text = write_changed(files, tmp_path, change), text_folder(files, tmp_path)
    beats_file, llm = files / ("beats.pt" if tuned else "pretrained.pt"), files / "llm"
    whole, sentences = tmu.import_tmu(model, tmp_path / "whole", beats=beats_file, llm=llm)
    alone, nothing = tmu.import_tmu(model, tmp_path / "alone", llm=text)
    assert alone == whole
    assert [line.partition(":")[0] for line in sentences] == [str(beats_file), str(llm)]
    assert nothing == ()


@pytest.mark.parametrize("tuned", [True, False])
def test_the_published_sizes_follow_from_the_shapes(tuned: bool) -> None:
    published = BeatsConfig(  # of iter3+
        embed_dim=512,
        encoder_layers=12,
        encoder_embed_dim=768,
        encoder_ffn_embed_dim=3072,
        encoder_attention_heads=12,
        deep_norm=True,
        conv_pos=128,
        conv_pos_groups=16,
        relative_position_embedding=True,
        num_buckets=320,
        max_distance=800,
        gru_rel_pos=True,
        finetuned_model=tuned,
    )
    with torch.device("meta"):
        weights = beats.Beats(published).state_dict()
    assert tmu_layout.infer_config(weights) == published


def test_files_that_hold_the_same_weights_are_said_to(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "official.pt"
    given = {"llm": files / "llm", "beats_out": out}
    first, _ = tmu.import_tmu(files / "model.pt", tmp_path / "one", **given)
    encoder = torch.load(files / "model.pt")["llm_wrapper.audio_encoder.model.layer_norm.weight"]
    written = torch.load(out, weights_only=True)
    assert set(written) == {"cfg", "model"} and "encoder.pos_conv.0.weight_g" in written["model"]
    assert torch.equal(written["model"]["layer_norm.weight"], encoder)
    with pytest.raises(SoundjudgeError, match=r"official\.pt exists already"):
        tmu.import_tmu(files / "model.pt", tmp_path / "two", **given)
    second, sentences = tmu.import_tmu(
        files / "model.pt", tmp_path / "two", llm=files / "llm", beats=out
    )
    assert second == first
    assert sentences[0].startswith(f"{out}: all weights are those of the checkpoint")
    other = tmu_checkpoint.load_tmu(files / "model.pt", files / "beats.pt", files / "llm")
    assert re.match(r".*beats\.pt: \d+ of \d+ weights are those", other.comparisons[0])


def test_with_cut_a_long_sound_has_the_published_score(
    files: Path, network: Published, tmp_path: Path
) -> None:
    wave = tiny_judge.noise(15.0, 2)
    result = run(
        "import-tmu", files / "model.pt", "--llm", files / "llm", "--long", "cut",
        "-o", tmp_path / "cut",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    judge = Judge.from_pretrained(tmp_path / "cut", "cpu")
    ours = judge.score((wave, 16_000), "a dog")
    assert ours == pytest.approx(network.predict(wave, "a dog"), abs=1e-4)
    whole = import_judge(files, tmp_path / "windows")
    assert judge.score_id != whole.score_id
    assert json.loads((tmp_path / "cut/judge.json").read_text())["long"] == "cut"
    assert "long" not in json.loads((tmp_path / "windows/judge.json").read_text())
    card = (tmp_path / "cut/README.md").read_text()
    assert "Of a longer one the first 10 s are scored." in card
    assert "- a sound is cut at 10 s, as in the published system;" in card


def test_a_checkpoint_without_an_encoder_needs_more_than_one_file(
    files: Path, tmp_path: Path
) -> None:
    def change(state: dict) -> dict:
        return {name: t for name, t in state.items() if "audio_encoder" not in name}

    model = write_changed(files, tmp_path, change)
    with pytest.raises(SoundjudgeError, match=r"audio_encoder\.model\.patch_embedding\.weight"):
        tmu.import_tmu(model, tmp_path / "judge", llm=files / "llm")
    assert not (tmp_path / "judge").exists()


def test_in_python_the_checkpoint_is_a_judge_in_one_line(files: Path, tmp_path: Path) -> None:
    stored = import_judge(files, tmp_path / "judge")
    judge = Judge.from_tmu(files / "model.pt", files / "llm", "cpu")
    pair = (tiny_judge.noise(1.0, 1), 16_000), "a dog barks"
    assert judge.score_id == stored.score_id and judge.score(*pair) == stored.score(*pair)


def test_the_number_of_audio_tokens_is_read_beside_the_checkpoint(
    files: Path, tmp_path: Path
) -> None:
    model = write_changed(files, tmp_path, lambda state: None)
    assert audio_tokens(files, model) == TOKENS
    (tmp_path / "config.json").write_text(json.dumps({"llm_model_name": "x"}))
    assert audio_tokens(files, model) == TOKENS
    (tmp_path / "config.json").write_text(json.dumps({"num_audio_tokens": 50}))
    assert audio_tokens(files, model) == 50
    (tmp_path / "config.json").write_text(json.dumps({"num_audio_tokens": "many"}))
    with pytest.raises(SoundjudgeError, match=r"config\.json: num_audio_tokens"):
        audio_tokens(files, model)


def audio_tokens(files: Path, model: Path) -> int:
    loaded = tmu_checkpoint.load_tmu(model, files / "beats.pt", files / "llm")
    return loaded.lalm.frontend.audio_tokens


def test_importing_takes_no_random_numbers_and_gives_the_same_bytes(
    files: Path, tmp_path: Path
) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    for name in ("one", "two"):
        import_judge(files, tmp_path / name)
    assert torch.equal(torch.rand(3), expected)
    assert read_manifest(tmp_path / "one") == read_manifest(tmp_path / "two")


def test_the_command_line_makes_a_judge_and_scores_with_it(
    files: Path, network: Published, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "judge"
    result = run(
        "import-tmu", files / "model.pt", "--beats", files / "beats.pt", "--llm", files / "llm",
        "-o", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == "" and result.stderr.startswith("tmu-xacle2026@1.0+")
    card = (out / "README.md").read_text()
    assert "license: cc-by-nc-4.0" in card and "CC-BY-NC-4.0, not for commercial use" in card
    Judge.from_pretrained(out, "cpu")
    wave = tiny_judge.noise(4.0, 3)
    soundfile.write(tmp_path / "sound.wav", wave, 16_000, subtype="FLOAT")
    scored = run("score", tmp_path / "sound.wav", "a dog barks", "--model", out, "--device", "cpu")
    assert scored.exit_code == 0, scored.output
    assert float(scored.stdout) == pytest.approx(network.predict(wave, "a dog barks"), abs=1e-4)


def refusal(files: Path, out: Path, *, model: Path | None = None, **options: Path) -> str:
    """The one line with which import-tmu refuses, having written nothing."""
    paths = {"beats": files / "beats.pt", "llm": files / "llm"} | options
    words = [word for name, path in paths.items() for word in (f"--{name}", path)]
    result = run("import-tmu", model or files / "model.pt", *words, "-o", out)
    assert result.exit_code == 2, result.output
    (line,) = result.stderr.strip().splitlines()
    assert "Traceback" not in line
    assert not [path for path in out.parent.glob("*judge*") if path != out]
    return line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            without("llm_wrapper.llm.layers.1.mlp.up_proj.weight"),
            "1 missing: llm_wrapper.llm.layers.1.mlp.up_proj.weight",
        ),
        (
            without("score_head.mlp.3.weight"),
            "score_head.mlp.3.weight missing",
        ),
        (
            without("llm_wrapper.audio_projection.mlp.fc1.weight"),
            "llm_wrapper.audio_projection.mlp.fc1.weight missing",
        ),
        (
            lambda state: state.update({"score_head.extra": torch.ones(1)}),
            "1 unknown: score_head.extra",
        ),
        (
            lambda state: state.update({"llm_wrapper.lm_head.weight": torch.ones(1)}),
            "1 unknown: llm_wrapper.lm_head.weight",
        ),
        (
            lambda state: state.update({"final_linear.linear.weight": torch.ones(1, 7)}),
            "final_linear.linear.weight 1x7 instead of 1x6",
        ),
        (
            lambda state: state.update({"llm_wrapper.llm.embed_tokens.weight": torch.ones(9, 16)}),
            "llm_wrapper.llm.embed_tokens.weight 9x16 instead of 267x16",
        ),
        (
            lambda state: state.update({"score_head.mlp.0.bias": torch.full((12,), torch.nan)}),
            "score_head.mlp.0.bias holds infinite numbers or none",
        ),
        (lambda state: {"weights": torch.ones(3)}, "llm_wrapper.audio_projection"),
        (lambda state: {"cfg": {}, "model": state}, "not a checkpoint of weights"),
        (lambda state: [1, 2], "not a checkpoint of weights"),
    ],
)  # fmt: skip
def test_a_checkpoint_that_does_not_fit_is_refused_by_its_names(
    files: Path, tmp_path: Path, change: object, message: str
) -> None:
    line = refusal(files, tmp_path / "judge", model=write_changed(files, tmp_path, change))
    assert message in line
    assert not (tmp_path / "judge").exists()


def test_everything_that_is_wrong_is_said_at_once(files: Path, tmp_path: Path) -> None:
    def break_weights(state: dict) -> None:
        for number in range(2):
            for name in ("q", "k", "v", "o"):
                del state[f"llm_wrapper.llm.layers.{number}.self_attn.{name}_proj.weight"]
        state["score_head.extra"] = torch.ones(1)

    line = refusal(files, tmp_path / "judge", model=write_changed(files, tmp_path, break_weights))
    assert "8 missing: " in line and "and 2 more" in line
    assert "1 unknown: score_head.extra" in line


@pytest.mark.parametrize("content", [b"", b"nonsense", b"PK\x03\x04nonsense"])
def test_what_is_no_checkpoint_is_refused(files: Path, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.pt").write_bytes(content)
    line = refusal(files, tmp_path / "judge", model=tmp_path / "model.pt")
    assert "model.pt is not a readable PyTorch checkpoint" in line
    half = (files / "model.pt").read_bytes()[:5000]
    (tmp_path / "model.pt").write_bytes(half)
    assert "not a readable" in refusal(files, tmp_path / "judge", model=tmp_path / "model.pt")


def test_missing_files_are_refused(files: Path, tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert "none: no such file" in refusal(files, tmp_path / "judge", model=none)
    assert "none: no such BEATs" in refusal(files, tmp_path / "judge", beats=none)
    assert "none: no language model" in refusal(files, tmp_path / "judge", llm=none)


def test_an_output_that_exists_is_left_alone(files: Path, tmp_path: Path) -> None:
    out = tmp_path / "judge"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "judge exists already" in refusal(files, out)
    assert [path.name for path in out.iterdir()] == ["mine.txt"]
    (out / "mine.txt").unlink()
    assert import_judge(files, out).members
