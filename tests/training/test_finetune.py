"""Fine-tuning: targets and scales, SpecAugment in its place, and the three stages in a row."""

import runpy
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_lalm
import tiny_training
import torch
import yaml
from repository import STAGES

from soundjudge.data.arrays.array_store import ArrayStore, write_rows
from soundjudge.model.audio.audio_encoder import encode_waves
from soundjudge.model.feature_extraction import FeatureConfig, encode_clips
from soundjudge.model.lalm import checkpoint
from soundjudge.runtime import artifacts
from soundjudge.training import finetune
from soundjudge.training.lalm.specaugment import SpecAugment
from soundjudge.training.loop import loop

MASKS = SpecAugment(freq_mask=15, time_mask=30, per="sound")
FINETUNING = finetune.FinetuneConfig(
    llm=tiny_training.FULL,
    list_size=4,
    loss="listnet",
    temperature=1.0,
    margin=0.1,
    eval_batch_size=5,
    optimization=tiny_training.OPTIMISATION,
)


def member(**changes):
    given = {"seed": 1, "warm_start": "none", "target": "mean", "select": "mean"}
    given["weights"] = "none"
    return finetune.FinetuneMember(**{**given, "specaugment": None, **changes})


def sounds(tmp_path, masks):
    clips = tiny_training.clips(tmp_path / "prepared")
    features = tiny_training.rows(tmp_path / "rows", clips.ids())
    return finetune.TrainingSounds(features, clips, tiny_training.encoder(), masks)


def trained(tmp_path, **changes):
    lalm = tiny_lalm.lalm(tmp_path / "llm")
    chosen = member(**changes)
    heard = sounds(tmp_path, chosen.specaugment)
    encoder = {name: tensor.clone() for name, tensor in heard.beats.state_dict().items()}
    learned, held_out = tiny_training.targets("train"), tiny_training.targets("validation")
    given = {"work": tmp_path, "device": "cpu", "log": tiny_training.silent}
    fit = finetune.train(lalm, heard, learned, held_out, FINETUNING, chosen, **given)
    return fit, heard, encoder


def test_a_mean_rating_is_learnt_on_the_scale_from_minus_one_to_one():
    # 10, 8.01, 6.02, 4.03, 2.04: / 5 - 1.
    pairs = finetune.rated_pairs(tiny_training.targets("train"), "mean")
    np.testing.assert_allclose(pairs.targets[:5], [1, 0.602, 0.204, -0.194, -0.592], rtol=1e-5)


def test_a_standardized_rating_is_learnt_as_it_is():
    pairs = finetune.rated_pairs(tiny_training.targets("train"), "spo")
    np.testing.assert_allclose(pairs.targets[:5], [1.6, 0.8, 0, -0.8, -1.6], rtol=1e-6)


def test_a_latent_score_is_learnt_on_the_scale_from_minus_one_to_one():
    # A point less than the means: 9, 7.01, 5.02, ...: / 5 - 1.
    pairs = finetune.rated_pairs(tiny_training.targets("train"), "latent")
    np.testing.assert_allclose(pairs.targets[:3], [0.8, 0.402, 0.004], rtol=1e-5)
    assert pairs.weights is None


def test_a_pairs_weight_is_one_over_the_variance_of_its_score_around_a_prediction():
    table = tiny_training.targets("train").head(3)
    table["latent_score"], table["latent_se"] = [2.0, 5.0, 8.0], [0.0, 2.0, np.sqrt(18.0)]
    # The variance of the scores is (9 + 0 + 9) / 3 = 6: 1/6, 1/10, 1/24, whose mean is 37/360.
    expected = np.array([60, 36, 15]) / 37
    np.testing.assert_allclose(finetune.precision_weights(table), expected)
    for target in ("mean", "spo", "latent"):
        pairs = finetune.rated_pairs(table, target, "precision")
        np.testing.assert_allclose(pairs.weights, expected, rtol=1e-6)


def test_weights_change_what_is_learnt(tmp_path):
    without, *_ = trained(tmp_path / "none")
    with_weights, *_ = trained(tmp_path / "precision", weights="precision")
    assert with_weights.history[0] == without.history[0]  # validation counts all pairs alike
    assert with_weights.history[1]["loss"] != without.history[1]["loss"]


def test_pairs_name_their_clips_in_the_rated_corpus():
    pairs = finetune.rated_pairs(tiny_training.targets("validation"), "mean")
    assert pairs.sounds_of(np.array([0])) == ["xacle/00016.wav"]
    assert pairs.texts_of(np.array([0])) == ["rain"]


def test_without_masks_the_stored_features_are_heard_and_no_random_number_is_drawn(tmp_path):
    heard, generator = sounds(tmp_path, None), torch.Generator().manual_seed(0)
    before = generator.get_state()
    lalm = tiny_lalm.lalm(tmp_path / "llm")
    given = heard.heard(lalm, ["xacle/00003.wav", "xacle/00000.wav"], generator)
    expected = heard.features.gather(["xacle/00003.wav", "xacle/00000.wav"])
    np.testing.assert_array_equal(given.numpy(), expected)
    assert torch.equal(generator.get_state(), before)


def test_with_masks_every_hearing_of_a_sound_is_another_that_the_generator_decides(tmp_path):
    heard, lalm = sounds(tmp_path, MASKS), tiny_lalm.lalm(tmp_path / "llm")
    generator, names = torch.Generator().manual_seed(0), ["xacle/00003.wav"]
    first, second = (heard.heard(lalm, names, generator) for _ in range(2))
    plain = encode_waves(heard.beats, [heard.clips.wave(names[0])], lalm.frontend)
    assert not torch.equal(first, second)
    assert not torch.equal(first, plain)
    again = heard.heard(lalm, names, torch.Generator().manual_seed(0))
    assert torch.equal(first, again)


def test_specaugment_changes_training_and_not_validation(tmp_path):
    with_masks, *_ = trained(tmp_path / "masks", specaugment=MASKS)
    without, *_ = trained(tmp_path / "none")
    assert with_masks.history[0] == without.history[0]  # epoch 0 is validation alone
    assert with_masks.history[1]["loss"] != without.history[1]["loss"]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_stored_features_and_the_encoder_itself_train_the_same_bytes(tmp_path, dtype):
    clips, beats = tiny_training.clips(tmp_path / "prepared"), tiny_training.encoder()
    encoding = FeatureConfig(
        frontend=tiny_lalm.FRONT, batch_size=7, dtype=dtype, engine="local", workers=None
    )
    ids = clips.ids()
    write_rows(tmp_path / "rows", ids, encode_clips(beats, clips, ids, encoding))
    # A mask less than one wide hides nothing, and makes the encoder hear every sound.
    idle = SpecAugment(freq_mask=1, time_mask=1, per="sound")
    for masks in (None, idle):
        lalm, folder = tiny_lalm.lalm(tmp_path / "llm"), tmp_path / f"{masks is None}"
        heard = finetune.TrainingSounds(ArrayStore(tmp_path / "rows"), clips, beats, masks)
        learned, held_out = tiny_training.targets("train"), tiny_training.targets("validation")
        given = {"work": folder, "device": "cpu", "log": tiny_training.silent}
        finetune.train(lalm, heard, learned, held_out, FINETUNING, member(), **given)
        checkpoint.save_lalm(folder / "saved", lalm, "beats.pt", {})
    stored, raw = (
        (tmp_path / folder / "saved/model.safetensors").read_bytes() for folder in ("True", "False")
    )
    assert stored == raw


def test_the_encoder_does_not_move(tmp_path):
    _, heard, before = trained(tmp_path, specaugment=MASKS)
    assert not heard.beats.training
    for name, tensor in heard.beats.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_the_model_before_the_first_step_is_a_candidate(tmp_path):
    fit, *_ = trained(tmp_path)
    assert [row["epoch"] for row in fit.history] == [0, 1, 2]
    assert fit.best_value == max(row["validation"] for row in fit.history)


@pytest.mark.parametrize(("name", "value"), [("list_size", 1), ("temperature", 0.0)])
def test_a_setting_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        finetune.FinetuneConfig(**{**vars(FINETUNING), name: value})


@pytest.fixture
def repository(in_folder):
    """A folder as the stages expect it; torch's determinism is put back afterwards."""
    tiny_training.repository(in_folder)
    yield in_folder
    torch.use_deterministic_algorithms(False)


def run(stage, *arguments):
    before = sys.argv
    sys.argv = [f"stages/{stage}.py", *arguments]
    try:
        runpy.run_path(str(STAGES / f"{stage}.py"), run_name="__main__")
    finally:
        sys.argv = before


def change(path, **values):
    """Changes keys of one section of params.yaml, e.g. change("pretrain", warm_start="none")."""
    file = Path("params.yaml")
    whole = yaml.safe_load(file.read_text())
    section = whole
    for key in path.split("."):
        section = section[key]
    section.update(values)
    file.write_text(yaml.safe_dump(whole))


def test_the_three_trainings_follow_one_another_and_end_with_the_same_bytes_again(repository):
    for stage in (["caption"], ["pretrain"], ["finetune", "full1"]):
        run(*stage)
    checkpoints = ("caption", "pretrain", "finetune/full1")
    first = {name: artifacts.sha256(Path("checkpoints") / name) for name in checkpoints}
    for name in checkpoints:
        assert checkpoint.load_lalm(Path("checkpoints") / name).frontend.audio_tokens == 4
    assert artifacts.read_json(Path("metrics/pretrain.json")).keys() == {
        "best_epoch",
        "validation_srcc",
    }
    assert len(Path("plots/finetune/full1/history.csv").read_text().splitlines()) == 4
    record = artifacts.read_json(Path("checkpoints/finetune/full1/member.json"))
    assert (record["kind"], record["beats"]) == ("lalm", "encoders/beats.pt")
    assert not list(Path("work").glob("*/*"))

    shutil.rmtree("checkpoints")
    for stage in (["caption"], ["pretrain"], ["finetune", "full1"]):
        run(*stage)
    assert first == {name: artifacts.sha256(Path("checkpoints") / name) for name in checkpoints}


def test_a_warm_start_from_none_takes_the_shape_of_the_captioning_model_and_no_weight(repository):
    run("caption")
    change("pretrain", warm_start="none")
    run("pretrain")
    run("finetune", "fresh")
    fresh = checkpoint.load_lalm(Path("checkpoints/finetune/fresh"))
    assert fresh.config == checkpoint.load_lalm(Path("checkpoints/caption")).config


def test_a_killed_stage_goes_on_where_it_was(repository, monkeypatch):
    run("caption")
    whole = artifacts.sha256(Path("checkpoints/caption"))
    shutil.rmtree("checkpoints/caption")
    change("caption", optimization={**vars(tiny_training.OPTIMISATION), "checkpoint_steps": 1})
    run("caption")  # how often states are written changes nothing but the fingerprint
    assert artifacts.sha256(Path("checkpoints/caption")) == whole
    shutil.rmtree("checkpoints/caption")

    step, steps = loop._Training.step, 0

    def killed(self, batch):
        nonlocal steps
        steps += 1
        if steps == 4:
            raise KeyboardInterrupt
        step(self, batch)

    monkeypatch.setattr(loop._Training, "step", killed)
    with pytest.raises(KeyboardInterrupt):
        run("caption")
    assert not Path("checkpoints/caption").exists()
    run("caption")
    assert steps == 5  # of 4, the fourth was not made; it was made again
    assert artifacts.sha256(Path("checkpoints/caption")) == whole
