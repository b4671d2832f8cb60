"""Fine-tuning: targets, weights and SpecAugment, and the three stages in a row."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny_lalm
import tiny_training
import torch
import yaml
from repository import ROOT, run_script, run_stage

from soundjudge.data.arrays.array_store import ArrayStore, write_rows
from soundjudge.errors import SoundjudgeError
from soundjudge.model.audio.audio_encoder import encode_waves
from soundjudge.model.features.feature_extraction import FeatureConfig, encode_clips
from soundjudge.model.lalm import checkpoint
from soundjudge.model.likelihood.likelihood import LikelihoodConfig
from soundjudge.runtime import artifacts
from soundjudge.training.finetune import finetune
from soundjudge.training.lalm.specaugment import SpecAugment
from soundjudge.training.loop.run import TrainingRun

FRONTEND = tiny_lalm.FRONTEND
MASKS = SpecAugment(freq_mask=15, time_mask=30, per="sound")
FINETUNING = finetune.FinetuneConfig(
    llm=tiny_training.FULL,
    list_size=4,
    loss="listnet",
    temperature=1.0,
    eval_batch_size=5,
    optimization=tiny_training.OPTIMIZATION,
)


def member(**changes):
    return finetune.FinetuneMember(**{"seed": 1, "warm_start": "none", "target": "mean", **changes})


def training_sounds(tmp_path, specaugment):
    clips = tiny_training.clips(tmp_path / "prepared")
    features = tiny_training.features(tmp_path / "rows", clips.ids())
    return finetune.TrainingSounds(features, clips, tiny_training.encoder(), specaugment)


def train(tmp_path, **changes):
    config = member(**changes)
    sounds = training_sounds(tmp_path, config.specaugment)
    encoder = {name: tensor.clone() for name, tensor in sounds.encoder.state_dict().items()}
    result = run_training(tiny_lalm.lalm(tmp_path / "llm"), sounds, config, tmp_path)
    return result, sounds, encoder


def run_training(lalm, sounds, config, work):
    targets = (tiny_training.targets(split) for split in ("train", "validation"))
    run = {"work": work, "device": "cpu", "log": tiny_training.silent}
    return finetune.train(lalm, sounds, *targets, FINETUNING, config, **run)


def test_a_mean_rating_is_learned_on_the_scale_from_minus_one_to_one():
    # 10, 8.01, 6.02, 4.03, 2.04: / 5 - 1.
    pairs = finetune.make_rated_pairs(tiny_training.targets("train"), "mean")
    np.testing.assert_allclose(pairs.targets[:5], [1, 0.602, 0.204, -0.194, -0.592], rtol=1e-5)


def test_a_standardized_rating_is_learned_as_it_is():
    pairs = finetune.make_rated_pairs(tiny_training.targets("train"), "spo")
    np.testing.assert_allclose(pairs.targets[:5], [1.6, 0.8, 0, -0.8, -1.6], rtol=1e-6)


def test_a_latent_score_is_learned_on_the_scale_from_minus_one_to_one():
    # A point less than the means: 9, 7.01, 5.02, ...: / 5 - 1.
    pairs = finetune.make_rated_pairs(tiny_training.targets("train"), "latent")
    np.testing.assert_allclose(pairs.targets[:3], [0.8, 0.402, 0.004], rtol=1e-5)
    assert pairs.weights is None


def test_a_pairs_weight_is_one_over_the_variance_of_its_score_around_a_prediction():
    table = tiny_training.targets("train").head(3)
    table["latent_score"], table["latent_se"] = [2.0, 5.0, 8.0], [0.0, 2.0, np.sqrt(18.0)]
    # The variance of the scores is (9 + 0 + 9) / 3 = 6: 1/6, 1/10, 1/24, whose mean is 37/360.
    expected = np.array([60, 36, 15]) / 37
    np.testing.assert_allclose(finetune.precision_weights(table), expected)
    for target in ("mean", "spo", "latent"):
        pairs = finetune.make_rated_pairs(table, target, "precision")
        np.testing.assert_allclose(pairs.weights, expected, rtol=1e-6)


@pytest.mark.slow
def test_weights_change_what_is_learned(tmp_path):
    without, *_ = train(tmp_path / "none")
    with_weights, *_ = train(tmp_path / "precision", sample_weights="precision")
    assert with_weights.history[0] == without.history[0]  # validation counts all pairs alike
    assert with_weights.history[1]["loss"] != without.history[1]["loss"]


def test_pairs_name_their_clips_in_the_rated_corpus():
    pairs = finetune.make_rated_pairs(tiny_training.targets("validation"), "mean")
    assert pairs.clip_ids_of(np.array([0])) == ["xacle/00016.wav"]
    assert pairs.texts_of(np.array([0])) == ["rain"]


def test_without_masks_the_stored_features_serve_and_no_random_number_is_drawn(tmp_path):
    sounds, generator = training_sounds(tmp_path, None), torch.Generator().manual_seed(0)
    before = generator.get_state()
    clip_ids = ["xacle/00003.wav", "xacle/00000.wav"]
    features = sounds.encode(sounds.read(clip_ids, FRONTEND), FRONTEND, generator)
    np.testing.assert_array_equal(features.numpy(), sounds.features.gather(clip_ids))
    assert torch.equal(generator.get_state(), before)


def test_with_masks_features_differ_each_time_and_the_generator_decides_them(tmp_path):
    sounds = training_sounds(tmp_path, MASKS)
    generator, clip_ids = torch.Generator().manual_seed(0), ["xacle/00003.wav"]
    windows = sounds.read(clip_ids, FRONTEND)
    first, second = (sounds.encode(windows, FRONTEND, generator) for _ in range(2))
    plain = encode_waves(sounds.encoder, [sounds.clips.wave(clip_ids[0])], FRONTEND)
    assert not torch.equal(first, second)
    assert not torch.equal(first, plain)
    repeated = sounds.encode(windows, FRONTEND, torch.Generator().manual_seed(0))
    assert torch.equal(first, repeated)


def test_with_masks_the_thread_that_reads_makes_the_windows(tmp_path):
    sounds = training_sounds(tmp_path, MASKS)
    windows = sounds.read(["xacle/00003.wav", "xacle/00000.wav"], FRONTEND)
    assert windows.shape == (2, FRONTEND.samples)  # a tensor: its memory is pinned there, too
    wave = sounds.clips.wave("xacle/00003.wav")[: FRONTEND.samples]
    np.testing.assert_array_equal(windows[0, : len(wave)], wave)
    assert not windows[0, len(wave) :].any()


@pytest.mark.slow
def test_specaugment_changes_training_and_not_validation(tmp_path):
    with_masks, *_ = train(tmp_path / "masks", specaugment=MASKS)
    without, *_ = train(tmp_path / "none")
    assert with_masks.history[0] == without.history[0]  # epoch 0 is validation alone
    assert with_masks.history[1]["loss"] != without.history[1]["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_stored_features_and_the_encoder_itself_train_the_same_bytes(tmp_path, dtype):
    clips, encoder = tiny_training.clips(tmp_path / "prepared"), tiny_training.encoder()
    config = FeatureConfig(frontend=tiny_lalm.FRONTEND, batch_size=7, dtype=dtype)
    ids = clips.ids()
    write_rows(tmp_path / "rows", ids, encode_clips(encoder, clips, ids, config))
    # A mask less than one wide masks nothing, but the encoder runs on every sound.
    idle = SpecAugment(freq_mask=1, time_mask=1, per="sound")
    for name, masks in (("stored", None), ("encoded", idle)):
        lalm = tiny_lalm.lalm(tmp_path / "llm")
        sounds = finetune.TrainingSounds(ArrayStore(tmp_path / "rows"), clips, encoder, masks)
        run_training(lalm, sounds, member(), tmp_path / name)
        checkpoint.save_lalm(tmp_path / name / "saved", lalm, "beats.pt", {})
    weights = "saved/model.safetensors"
    stored, encoded = (tmp_path / name / weights for name in ("stored", "encoded"))
    assert stored.read_bytes() == encoded.read_bytes()


def test_the_encoder_does_not_move(tmp_path):
    _, sounds, before = train(tmp_path, specaugment=MASKS)
    assert not sounds.encoder.training
    for name, tensor in sounds.encoder.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_model_before_the_first_step_is_a_candidate(tmp_path):
    result, *_ = train(tmp_path)
    assert [row["epoch"] for row in result.history] == [0, 1, 2]
    assert result.best_value == max(row["validation"] for row in result.history)


@pytest.mark.parametrize(("name", "value"), [("list_size", 1), ("temperature", 0.0)])
def test_a_setting_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(SoundjudgeError, match=name):
        finetune.FinetuneConfig(**{**vars(FINETUNING), name: value})


def test_an_offset_alone_needs_a_captioner():
    with pytest.raises(SoundjudgeError, match="trainable is offset, and captioner is none"):
        member(trainable="offset")


@pytest.fixture
def repository(in_folder):
    """A folder as the stages expect it; torch's determinism is put back afterwards."""
    tiny_training.repository(in_folder)
    yield in_folder
    torch.use_deterministic_algorithms(False)


def change(section, **values):
    """Changes keys of a section of params.yaml, e.g. change("pretrain", warm_start="none")."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params[section].update(values)
    Path("params.yaml").write_text(yaml.safe_dump(params))


@pytest.mark.slow
def test_the_three_trainings_follow_one_another_and_end_with_the_same_bytes_again(repository):
    for stage in (["caption"], ["pretrain", "captioned"], ["finetune", "full1"]):
        run_stage(*stage)
    checkpoints = ("caption", "pretrain/captioned", "finetune/full1")
    first = {name: artifacts.sha256(Path("checkpoints") / name) for name in checkpoints}
    for name in checkpoints:
        assert checkpoint.load_lalm(Path("checkpoints") / name).frontend.audio_tokens == 4
    assert artifacts.read_json(Path("metrics/pretrain/captioned.json")).keys() == {
        "best_epoch",
        "validation_srcc",
    }
    assert len(Path("plots/finetune/full1/history.csv").read_text().splitlines()) == 4
    record = artifacts.read_json(Path("checkpoints/finetune/full1/member.json"))
    assert record["kind"] == "lalm"
    assert [reference["path"] for reference in record["encoders"]["audio"]] == ["encoders/beats.pt"]
    assert not list(Path("work").glob("*/*"))

    shutil.rmtree("checkpoints")
    for stage in (["caption"], ["pretrain", "captioned"], ["finetune", "full1"]):
        run_stage(*stage)
    assert first == {name: artifacts.sha256(Path("checkpoints") / name) for name in checkpoints}


@pytest.mark.slow
@pytest.mark.parametrize("best", [0, 1])
def test_a_last_fit_on_the_same_pairs_is_the_selected_model(repository, monkeypatch, best):
    values = iter([0.3, 0.2, 0.1] if best == 0 else [0.1, 0.3, 0.2])
    for stage in (["caption"], ["pretrain", "captioned"]):
        run_stage(*stage)
    monkeypatch.setattr(finetune, "rank_correlation", lambda *_: next(values))
    run_stage("finetune", "full1")
    run_script(ROOT / "final/finetune.py", "full1", "data/targets", "last", "last.csv")
    assert [line.split(",")[0] for line in Path("last.csv").read_text().splitlines()] == [
        "epoch", str(best),
    ]  # fmt: skip
    selected, last = (
        Path(folder) / "model.safetensors" for folder in ("checkpoints/finetune/full1", "last")
    )
    assert selected.read_bytes() == last.read_bytes()
    assert artifacts.read_json(Path("last/member.json"))["training"] == {"epochs": best}
    assert not list(Path("work").glob("*/*"))


def test_without_a_selection_run_a_last_fit_is_refused(repository):
    with pytest.raises(SoundjudgeError, match=r"metrics/finetune/full1\.json does not exist"):
        run_script(ROOT / "final/finetune.py", "full1", "data/targets", "last", "last.csv")


def write_captioner(root):
    """checkpoints/likelihood of the trained captioner, on two reference sounds."""
    references = dict(zip("ab", tiny_lalm.features(2), strict=True))
    config = LikelihoodConfig(num_references=2)
    tiny_lalm.save_likelihood(
        root / "checkpoints/likelihood", root / "checkpoints/caption", references, config
    )


@pytest.mark.slow
@pytest.mark.parametrize("trainable", ["all", "offset"])
def test_with_a_captioner_the_offset_learns_and_what_is_to_stay_does(repository, trainable):
    for stage in (["caption"], ["pretrain", "captioned"]):
        run_stage(*stage)
    write_captioner(repository)
    joint = vars(member(captioner="likelihood", trainable=trainable)) | {"specaugment": None}
    change("finetune", members={"joint": joint | {"warm_start": "pretrain/captioned"}})
    run_stage("finetune", "joint")
    folder = Path("checkpoints/finetune/joint")
    assert artifacts.read_json(folder / "member.json")["kind"] == "lalm-likelihood"
    rows = Path("plots/finetune/joint/history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["epoch", "0", "1", "2"]
    captioner = Path("checkpoints/likelihood")
    assert artifacts.sha256(folder / "captioner") == artifacts.sha256(captioner)
    start = Path("checkpoints/pretrain/captioned/model.safetensors").read_bytes()
    if trainable == "offset":
        assert (folder / "lalm/model.safetensors").read_bytes() == start
    first = artifacts.sha256(folder)
    shutil.rmtree(folder)
    run_stage("finetune", "joint")
    assert artifacts.sha256(folder) == first


@pytest.mark.slow
@pytest.mark.parametrize("best", [0, 1])
def test_a_last_fit_with_a_captioner_is_the_selected_model(repository, monkeypatch, best):
    values = iter([0.3, 0.2, 0.1] if best == 0 else [0.1, 0.3, 0.2])
    for stage in (["caption"], ["pretrain", "captioned"]):
        run_stage(*stage)
    write_captioner(repository)
    joint = vars(member(captioner="likelihood", trainable="all")) | {"specaugment": None}
    change("finetune", members={"joint": joint | {"warm_start": "pretrain/captioned"}})
    monkeypatch.setattr(finetune, "rank_correlation", lambda *_: next(values))
    run_stage("finetune", "joint")
    run_script(ROOT / "final/finetune.py", "joint", "data/targets", "last", "last.csv")
    for name in ("lalm/model.safetensors", *(["offset.safetensors"] if best else [])):
        selected, last = Path("checkpoints/finetune/joint") / name, Path("last") / name
        assert selected.read_bytes() == last.read_bytes(), name
    start = Path("checkpoints/pretrain/captioned/model.safetensors").read_bytes()
    assert (Path("last/lalm/model.safetensors").read_bytes() == start) == (best == 0)


@pytest.mark.slow
def test_a_warm_start_from_none_takes_the_shape_of_the_captioning_model_and_no_weight(repository):
    run_stage("caption")
    change("pretrain", members={"fresh": {"seed": 1, "warm_start": "none"}})
    run_stage("pretrain", "fresh")
    run_stage("finetune", "fresh")
    fresh = checkpoint.load_lalm(Path("checkpoints/finetune/fresh"))
    assert fresh.config == checkpoint.load_lalm(Path("checkpoints/caption")).config


@pytest.mark.slow
def test_a_killed_stage_goes_on_where_it_was(repository, monkeypatch):
    run_stage("caption")
    uninterrupted = artifacts.sha256(Path("checkpoints/caption"))
    shutil.rmtree("checkpoints/caption")
    change("caption", optimization={**vars(tiny_training.OPTIMIZATION), "checkpoint_minutes": 1e-9})
    run_stage("caption")  # how often states are written changes nothing but the fingerprint
    assert artifacts.sha256(Path("checkpoints/caption")) == uninterrupted
    shutil.rmtree("checkpoints/caption")

    step, steps = TrainingRun.step, 0

    def step_or_kill(self, batch):
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        step(self, batch)

    monkeypatch.setattr(TrainingRun, "step", step_or_kill)
    with pytest.raises(KeyboardInterrupt):
        run_stage("caption")
    assert not Path("checkpoints/caption").exists()
    run_stage("caption")
    assert steps == 5  # of 4, the last was begun twice
    assert artifacts.sha256(Path("checkpoints/caption")) == uninterrupted
