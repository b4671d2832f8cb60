"""The stand-ins: their shortest trainings, and files that the official readers read."""

from dataclasses import replace

import numpy as np
import pytest
import repository
import standin_beats
import standin_clap
import standin_llm
import tiny_recordings
import torch
import yaml
from repository import ROOT
from standin_beats import BeatsTraining, Phase
from standin_clap import ClapTraining
from standin_llm import StandinLlmTraining

from soundjudge import params
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.model.audio.beats.beats import load_beats, save_beats
from soundjudge.model.audio.beats.fbank import log_mel_fbank
from soundjudge.model.lalm import prompt
from soundjudge.model.lalm.llm import load_llm
from soundjudge.runtime import artifacts
from soundjudge.sample.composition import scenes
from soundjudge.sample.composition.scenes import Event, Scene, Span

pytestmark = pytest.mark.slow
SAMPLE = ROOT / "checkpoints" / "sample"
BEATS = BeatsTraining(
    seed=1,
    width=16,
    layers=1,
    heads=2,
    phases=(Phase(steps=2, batch=2, seconds=0.64), Phase(steps=1, batch=1, seconds=1.28)),
    learning_rate=0.001,
    mixed=0.5,
)
CLAP = ClapTraining(
    seed=1,
    scenes=4,
    steps=2,
    batch=2,
    learning_rate=0.001,
    dimensions=8,
    text_layers=1,
    vocabulary=300,
)
LLM = StandinLlmTraining(
    seed=1,
    steps=2,
    batch=2,
    learning_rate=0.001,
    width=16,
    layers=1,
    heads=2,
    key_value_heads=1,
    feed_forward=24,
    vocabulary=300,
    slots=4,
    noise=0.1,
    order="text_first",
)
TEXTS = ["A dog barks", "An owl hoots twice, then a bell rings"]


@pytest.fixture(scope="module")
def pool():
    return tiny_recordings.real(24)


def silent(line):
    """A log that keeps nothing."""


def write_beats(pool, path, training=BEATS):
    save_beats(standin_beats.train_beats(pool, training, silent), path)
    return path


def write_clap(pool, folder, training=CLAP):
    standin_clap.train_clap(pool, training, silent).save(folder)
    return folder


def write_llm(pool, folder, training=LLM):
    llm, tokenizer = standin_llm.train_llm(pool, training, silent)
    llm.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


WRITERS = {
    "beats.pt": (write_beats, BEATS),
    "clap": (write_clap, CLAP),
    "llm": (write_llm, LLM),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_training_run_twice_writes_the_same_bytes(name, pool, tmp_path):
    write, training = WRITERS[name]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    torch.manual_seed(99)  # what was drawn before must not matter
    one = write(pool, tmp_path / "one" / name)
    two = write(pool, tmp_path / "two" / name)
    assert artifacts.sha256(one) == artifacts.sha256(two)
    other = write(pool, tmp_path / f"other-{name}", replace(training, seed=2))
    assert artifacts.sha256(other) != artifacts.sha256(one)


def test_a_trained_beats_is_loaded_as_microsofts_is(pool, tmp_path):
    beats = load_beats(write_beats(pool, tmp_path / "beats.pt"))
    content = torch.load(tmp_path / "beats.pt", weights_only=True)
    assert sorted(content) == ["cfg", "model"]
    assert beats.config.encoder_embed_dim == 16
    mels = log_mel_fbank(torch.from_numpy(pool[0].wave[None, :8000]))  # half a second: 48 frames
    with torch.no_grad():
        features = beats(mels)
    assert features.shape == (1, 3 * 8, 16)
    assert torch.isfinite(features).all()


def test_a_trained_clap_is_loaded_as_laions_is(pool, tmp_path):
    clap = TransformersClap.load(write_clap(pool, tmp_path / "clap"), "cpu")
    with torch.no_grad():
        sounds = clap.embed_sounds([pool[0].wave, pool[1].wave])
        texts = clap.embed_texts(TEXTS)
    assert sounds.shape == texts.shape == (2, 8)
    for vectors in (sounds, texts):
        torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    assert clap.sample_rate == 16_000


def test_a_trained_language_model_is_loaded_as_qwen_is(pool, tmp_path):
    llm, tokenizer = load_llm(write_llm(pool, tmp_path / "llm"), "eager")
    assert prompt.token_ids(tokenizer).score == len(tokenizer) - 1
    assert llm.get_input_embeddings().weight.shape == (len(tokenizer), 16)
    assert llm.config.model_type == "qwen2"
    for text in TEXTS:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    with torch.no_grad():
        logits = llm(**tokenizer(TEXTS[:1], return_tensors="pt")).logits
    assert torch.isfinite(logits).all()


def test_what_is_saved_is_what_was_trained(pool, tmp_path):
    beats = standin_beats.train_beats(pool, BEATS, silent)
    save_beats(beats, tmp_path / "beats.pt")
    loaded = load_beats(tmp_path / "beats.pt").state_dict()
    assert all(torch.equal(value, loaded[name]) for name, value in beats.state_dict().items())
    llm, _ = standin_llm.train_llm(pool, LLM, silent)
    llm.save_pretrained(tmp_path / "llm")
    standin_llm.vocabulary.qwen_tokenizer(
        standin_llm.vocabulary.sample_captions(pool, 3000, LLM.seed), LLM.vocabulary
    ).save_pretrained(tmp_path / "llm")
    loaded, _ = load_llm(tmp_path / "llm", "eager")
    rows = llm.get_input_embeddings().num_embeddings
    table = loaded.get_input_embeddings().weight[:rows]
    assert torch.equal(table, llm.get_input_embeddings().weight)


def test_a_time_step_is_taught_what_sounds_in_its_middle(monkeypatch):
    dog, owl, rain = (tiny_recordings.recording(label) for label in ("dog", "owl", "rain"))
    spans = [Span(Event(dog), 0, 6_000), Span(Event(owl), 5_000, 12_800)]
    wave = np.full(12_800, 0.1, np.float32)  # 5 steps of 0.16 s, middles at .08, .24, .40, .56, .72
    monkeypatch.setattr(scenes, "render_scene", lambda scene, rng: (wave, spans))
    monkeypatch.setattr(standin_beats.generators, "apply_random_channel", lambda wave, rng: wave)
    classes = {dog.caption: 0, owl.caption: 1}  # no rain sounds
    phase = Phase(steps=1, batch=1, seconds=0.96)
    waves, targets = standin_beats._sample_batch(
        [dog, owl, rain], classes, phase, 0.0, np.random.default_rng(0)
    )
    assert waves.shape == (1, 6 * 2560 + 240)  # room for the last frame
    assert targets[0].tolist() == [
        [1.0, 0.0, 0.0],
        [1.0, 0.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0, 0.0, 1.0],  # silence
    ]


def test_what_sounds_at_the_same_time_shares_the_target(monkeypatch):
    dog, owl, rain = (tiny_recordings.recording(label) for label in ("dog", "owl", "rain"))
    spans = [Span(Event(dog), 0, 2_560), Span(Event(owl), 0, 2_560)]
    wave = np.full(2_560, 0.1, np.float32)
    monkeypatch.setattr(scenes, "render_scene", lambda scene, rng: (wave, spans))
    phase = Phase(steps=1, batch=1, seconds=0.16)
    _, targets = standin_beats._sample_batch(
        [dog, owl, rain], {dog.caption: 0, owl.caption: 1}, phase, 1.0, np.random.default_rng(0)
    )
    assert targets[0].tolist() == [[0.5, 0.5, 0.0]]


def test_a_language_models_slot_is_the_mean_of_its_words(pool):
    _, tokenizer = standin_llm.train_llm(pool, replace(LLM, steps=1), silent)
    model = standin_llm.MatchingModel(standin_llm.build_llm(LLM, tokenizer), LLM.width)
    with torch.no_grad():
        torch.manual_seed(0)
        slots = standin_llm._embed_slots(model, tokenizer, [[["A dog barks", "rain"], []]], 0.0)
        table = model.llm.get_input_embeddings().weight
        words = [
            table[tokenizer(text)["input_ids"]].mean(dim=0) for text in ("A dog barks", "rain")
        ]
        silent_slot, content = slots[0, 1] - model.mark, slots[0, 0] - model.mark
    assert not silent_slot.any()
    expected = words[0] + words[1]  # up to the random loudness
    cosine = torch.nn.functional.cosine_similarity(content, expected, dim=0)
    assert cosine.item() == pytest.approx(1.0, abs=1e-5)


def test_a_language_model_starts_from_equal_queries_and_keys(pool):
    _, tokenizer = standin_llm.train_llm(pool, replace(LLM, steps=1), silent)
    attention = standin_llm.build_llm(LLM, tokenizer).model.layers[0].self_attn
    keys = attention.k_proj.weight  # one head of 8 serves two queries
    assert torch.equal(attention.q_proj.weight, torch.cat([keys, keys]))


@pytest.mark.parametrize(
    ("section", "cls"),
    [("beats", BeatsTraining), ("clap", ClapTraining), ("llm", StandinLlmTraining)],
)
def test_the_samples_parameters_are_read(section, cls):
    assert params.load(section, cls, SAMPLE / "params.yaml").seed >= 0


def test_the_language_model_reads_as_many_slots_as_a_sound_has_tokens():
    frontend = repository.params()["features"]["frontend"]
    standins = yaml.safe_load((SAMPLE / "params.yaml").read_text(encoding="utf-8"))
    assert standins["llm"]["slots"] == frontend["audio_tokens"]
    assert frontend["window_seconds"] == scenes.SCENE_SECONDS


def committed(name):
    """The stand-in in git, or a skip."""
    path = SAMPLE / name
    if not path.exists():
        pytest.skip(f"checkpoints/sample/{name} has not been trained yet: run `make standins`")
    return path


def test_the_committed_beats_loads_and_tells_sounds_apart(pool):
    beats = load_beats(committed("beats.pt"))
    waves = torch.from_numpy(np.stack([np.resize(one.wave, 16_000) for one in pool[:2]]))
    with torch.no_grad():
        features = beats(log_mel_fbank(waves)).mean(dim=1)
    assert torch.isfinite(features).all()
    assert torch.nn.functional.cosine_similarity(features[0], features[1], dim=0) < 0.99


def test_the_committed_clap_knows_its_recordings():
    clap = TransformersClap.load(committed("clap"), "cpu")
    recordings = tiny_recordings.real(24)
    rng = np.random.default_rng(0)
    sounds = [scenes.render_scene(Scene((Event(one),)), rng)[0] for one in recordings]
    with torch.no_grad():
        texts = clap.embed_texts([one.caption for one in recordings])
        cosines = clap.embed_sounds(sounds) @ texts.T
    own = cosines.diagonal().mean()
    others = (cosines.sum() - cosines.diagonal().sum()) / (24 * 23)
    assert own > others + 0.1


def test_the_committed_language_model_loads_with_the_words_of_the_sample():
    llm, tokenizer = load_llm(committed("llm"), "eager")
    assert llm.get_input_embeddings().num_embeddings == len(tokenizer)
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        assert tokenizer.decode(ids) == text
        assert len(ids) < len(text) / 2  # words, not bytes


def test_the_committed_standins_are_small():
    total = sum(
        file.stat().st_size
        for name in ("beats.pt", "clap", "llm")
        for file in [committed(name), *committed(name).rglob("*")]
        if file.is_file()
    )
    assert total <= 10 * 2**20
