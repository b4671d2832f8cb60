"""A trained audio language model comes back from disk as it was, or not at all."""

import json

import pytest
import torch
from tiny_lalm import CONFIG, features, lalm

from soundjudge.errors import SoundjudgeError
from soundjudge.model.lalm import checkpoint
from soundjudge.runtime import artifacts

TEXTS = ["a dog barks", "rain"]


def changed_model(folder, tied=True):
    """A model of which every weight differs from a new one's."""
    model = lalm(folder, tied=tied)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return model


@pytest.mark.parametrize("tied", [True, False])
def test_a_model_comes_back_with_every_weight(tmp_path, tied):
    model = changed_model(tmp_path / "llm", tied)
    checkpoint.save_lalm(tmp_path / "saved", model, "beats.pt", {"best_epoch": 3})
    loaded = checkpoint.load_lalm(tmp_path / "saved")
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, loaded.state_dict()[name]), name
    with torch.no_grad():
        assert torch.equal(loaded.scores(features(2), TEXTS), model.scores(features(2), TEXTS))
    assert loaded.generate(features(2), max_tokens=5, num_beams=2) == model.generate(
        features(2), max_tokens=5, num_beams=2
    )
    assert (loaded.config, loaded.frontend) == (CONFIG, model.frontend)
    assert not loaded.training


def test_member_json_says_what_it_is_and_where_its_encoder_is(tmp_path):
    checkpoint.save_lalm(
        tmp_path / "saved", changed_model(tmp_path / "llm"), "a/beats.pt", {"best_epoch": 3}
    )
    record = json.loads((tmp_path / "saved/member.json").read_text())
    assert (record["kind"], record["training"]) == ("lalm", {"best_epoch": 3})
    assert [reference["path"] for reference in record["encoders"]["audio"]] == ["a/beats.pt"]
    assert record["settings"]["config"]["head"] == [10, 10, 4]
    assert record["settings"]["llm"]["vocab_size"] == 14


def test_saving_twice_gives_the_same_bytes_and_no_path_of_this_machine(tmp_path):
    model = changed_model(tmp_path / "llm")
    for name in ("one", "two"):
        checkpoint.save_lalm(tmp_path / name, model, "beats.pt", {})
        model.scores(features(2), TEXTS)
    checkpoint.save_lalm(tmp_path / "three", checkpoint.load_lalm(tmp_path / "two"), "beats.pt", {})
    sums = {artifacts.sha256(tmp_path / name) for name in ("one", "two", "three")}
    assert len(sums) == 1
    for file in (tmp_path / "one").iterdir():
        assert str(tmp_path).encode() not in file.read_bytes()


def test_loading_takes_no_random_numbers(tmp_path):
    checkpoint.save_lalm(tmp_path / "saved", changed_model(tmp_path / "llm"), "beats.pt", {})
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    checkpoint.load_lalm(tmp_path / "saved")
    assert torch.equal(torch.rand(3), expected)


def test_a_missing_weight_is_an_error(tmp_path):
    folder = tmp_path / "saved"
    checkpoint.save_lalm(folder, changed_model(tmp_path / "llm"), "beats.pt", {})
    weights = artifacts.load_tensors(folder / "model.safetensors")
    del weights["projector.residual_gate.bias"]
    artifacts.save_tensors(folder / "model.safetensors", weights)
    with pytest.raises(SoundjudgeError, match=r"saved.*projector\.residual_gate\.bias"):
        checkpoint.load_lalm(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda record: record.update(kind="clapscore"), "kind is 'clapscore'"),
        (lambda record: record["settings"].pop("llm"), "llm is missing"),
        (lambda record: record["settings"]["config"].update(heads=3), "heads"),
    ],
)
def test_a_record_that_is_none_is_refused(tmp_path, change, message):
    folder = tmp_path / "saved"
    checkpoint.save_lalm(folder, changed_model(tmp_path / "llm"), "beats.pt", {})
    record = artifacts.read_json(folder / "member.json")
    change(record)
    artifacts.write_json(folder / "member.json", record)
    with pytest.raises(ValueError, match=message):
        checkpoint.load_lalm(folder)


def test_an_empty_folder_is_refused(tmp_path):
    with pytest.raises(SoundjudgeError, match=r"no member\.json"):
        checkpoint.load_lalm(tmp_path)
