"""A judge saved, uploaded to a hub on 127.0.0.1, and loaded from there; the head of its card."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny_hub
import tiny_judge
import yaml
from huggingface_hub import ModelCard
from tiny_hub import LoopbackHub
from typer.testing import CliRunner

from soundjudge import Judge
from soundjudge.cli import app
from soundjudge.errors import HubError, SoundjudgeError
from soundjudge.scoring.judge import card_data
from soundjudge.scoring.judge.card import Packaging
from soundjudge.scoring.judge.judge_folder import JudgeFolder
from soundjudge.scoring.judge.manifest import read_manifest

NAME = "someone/tiny-judge"
ROW = {
    "pairs": 600, "srcc": 0.7, "srcc_lo": 0.65, "srcc_hi": 0.74, "lcc": 0.76, "lcc_lo": 0.73,
    "lcc_hi": 0.8, "ktau": 0.52, "ktau_lo": 0.48, "ktau_hi": 0.55, "mse": 3.1, "mse_lo": 2.7,
    "mse_hi": 3.5,
}  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    return tiny_judge.build(root / "checkpoints/judge", root)


@pytest.fixture
def folder(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "judge"))


@pytest.fixture
def judge(folder: Path) -> Judge:
    return Judge.from_pretrained(folder, device="cpu")


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LoopbackHub]:
    with tiny_hub.connected(monkeypatch, tmp_path) as hub:
        yield hub


def score(judge: Judge) -> float:
    return judge.score((tiny_judge.noise(1.0, 1), 16_000), "a dog barks")


def push(*words: object) -> object:
    return CliRunner().invoke(app, ["push", *map(str, words)])


def edit_license(folder: Path, license_name: str) -> None:
    card = folder / "README.md"
    card.write_text(card.read_text().replace("license: mit", f"license: {license_name}"))


@pytest.mark.slow
def test_what_is_pushed_comes_back_with_its_id_and_its_score(hub, judge):
    address = judge.push_to_hub(NAME, private=True)
    assert address == f"{hub.url}/{NAME}/commit/{tiny_hub.COMMIT}" and hub.private == {NAME}
    assert set(hub.files[NAME]) == {
        ".gitattributes", "judge.json", "README.md", *judge.manifest.files,
    }  # fmt: skip
    for name in (NAME, f"hf://{NAME}", f"{NAME}@main"):
        loaded = Judge.from_pretrained(name, device="cpu")
        assert loaded.score_id == judge.score_id
        assert score(loaded) == score(judge)
    again = Judge.from_pretrained(
        NAME, device="cpu", revision=tiny_hub.COMMIT, token=False, local_files_only=True
    )
    assert score(again) == score(judge)


@pytest.mark.slow
def test_pushed_again_a_repository_holds_this_judge_alone(hub, judge):
    hub.files[NAME] = {".gitattributes": b"theirs", "members/older/model.safetensors": b"x"}
    (judge.folder / ".gitattributes").write_bytes(b"ours")  # no file of the judge
    judge.push_to_hub(NAME, branch="v2")
    assert ("POST", f"/api/models/{NAME}/commit/v2", None) in hub.requests
    assert "members/older/model.safetensors" not in hub.files[NAME]
    assert hub.files[NAME][".gitattributes"] == b"theirs" and not hub.private
    assert Judge.from_pretrained(NAME, device="cpu").score_id == judge.score_id


@pytest.mark.slow
def test_a_judge_from_the_hub_is_saved_as_files_of_its_own(hub, judge, tmp_path):
    judge.push_to_hub(NAME)
    out = tmp_path / "mine"
    assert Judge.from_pretrained(NAME, device="cpu").save_pretrained(out) is None
    assert not any(path.is_symlink() for path in out.rglob("*"))
    saved = Judge.from_pretrained(out, device="cpu")
    assert (saved.score_id, score(saved)) == (judge.score_id, score(judge))
    with pytest.raises(SoundjudgeError, match="mine exists already: name another folder"):
        judge.save_pretrained(out)


def test_saving_can_push_and_names_the_repository_by_the_folder(hub, judge, tmp_path):
    address = judge.save_pretrained(tmp_path / "saved", push_to_hub=True, repo_id=NAME)
    assert address.startswith(f"{hub.url}/{NAME}/commit/")
    assert (tmp_path / "saved/judge.json").read_bytes() == hub.files[NAME]["judge.json"]


def test_a_folder_that_changed_is_neither_saved_nor_pushed(hub, judge, folder, tmp_path):
    weights = folder / "members/one/model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\1")
    for act in (lambda: judge.save_pretrained(tmp_path / "out"), lambda: judge.push_to_hub(NAME)):
        with pytest.raises(SoundjudgeError, match="is not the file that was packaged"):
            act()
    shutil.rmtree(folder)
    with pytest.raises(SoundjudgeError, match="is gone, and with it the judge's files"):
        judge.save_pretrained(tmp_path / "out")
    assert not hub.requests and not (tmp_path / "out").exists()


@pytest.mark.parametrize("license_name", ["other", "unknown", "''"])
def test_a_judge_without_a_license_is_pushed_by_those_alone_who_say_they_may(
    hub, folder, license_name
):
    edit_license(folder, license_name)
    refused = push(folder, NAME)
    assert refused.exit_code == 2 and not hub.requests
    assert "was not uploaded: its card states no license" in refused.stderr
    assert "- All free." in refused.stderr  # what the card says of licenses, before any upload
    pushed = push(folder, NAME, "--redistribution-allowed", "--private")
    assert pushed.exit_code == 0, pushed.output
    assert pushed.stdout.strip() == f"{hub.url}/{NAME}/commit/{tiny_hub.COMMIT}"
    assert hub.private == {NAME}


def test_a_judge_that_stands_on_m2d_clap_says_so_before_it_is_pushed(hub, folder):
    member = folder / "members/regress/member.json"
    values = json.loads(member.read_text())
    values["encoders"]["clap"] = [{"path": None, "sha256": "ab" * 32}]
    member.write_text(json.dumps(values))
    tiny_judge.forge(folder)
    with pytest.raises(SoundjudgeError, match="not uploaded: regress stand on M2D-CLAP") as error:
        JudgeFolder(read_manifest(folder), folder).push_to_hub(NAME)
    assert "allows no distribution" in str(error.value) and not hub.requests


@pytest.mark.parametrize("name", ["no owner or name/a/b", "someone/tiny-judge"])
def test_a_hub_that_refuses_is_a_sentence(hub, judge, name):
    hub.is_closed = True
    with pytest.raises(HubError, match=r"the hub did not take .*'hf auth login'"):
        judge.push_to_hub(name)
    assert not hub.files


def test_a_folder_here_has_no_revision(folder):
    with pytest.raises(SoundjudgeError, match="is a folder, not of the hub: it has no revision"):
        Judge.from_pretrained(folder, revision="v1")


def head(evaluation: dict, **changes: object) -> dict:
    packaging = Packaging(
        name="tiny", version="1.0", license="cc-by-4.0", data="Nothing.", notes=(), **changes
    )
    return yaml.safe_load(card_data.card_data(packaging, evaluation).to_yaml())


def test_the_hub_reads_the_head_of_the_card(folder):
    card = ModelCard.load(folder / "README.md", ignore_metadata_errors=False)
    assert (card.data.license, card.data.library_name) == ("mit", "soundjudge")
    assert card.data.pipeline_tag == "audio-classification"
    assert card.data.tags == ["audio", "text-to-audio", "evaluation"]
    assert card.data.eval_results is None  # a judge that nobody evaluated


def test_the_head_of_the_card_has_metrics_with_their_intervals_for_machines():
    fitted = {"ensemble": ROW | {"srcc": 0.9}, "ensemble_crossfitted": ROW}
    evaluation = {"note": "simulated ratings", "confidence": 0.95, "validation": fitted,
                  "test": {"ensemble": ROW | {"srcc": 0.71}, "regress": ROW}}  # fmt: skip
    values = head(evaluation, datasets=("someone/ratings",))
    assert values["datasets"] == ["someone/ratings"]
    assert values["metrics"] == ["spearmanr", "pearsonr", "kendalltau", "mse"]
    (model,) = values["model-index"]
    assert model["name"] == "tiny"
    by_split = {result["dataset"]["split"]: result for result in model["results"]}
    assert [by_split[s]["metrics"][0]["value"] for s in ("validation", "test")] == [0.7, 0.71]
    assert by_split["test"]["dataset"] == {
        "type": "someone/ratings", "name": "listeners' ratings (simulated ratings)",
        "split": "test",
    }  # fmt: skip
    assert by_split["test"]["metrics"][0] == {
        "type": "spearmanr", "value": 0.71, "name": "SRCC",
        "args": {"interval": [0.65, 0.74], "confidence": 0.95, "pairs": 600},
    }  # fmt: skip


def test_the_head_of_a_card_without_an_evaluation_names_no_metric():
    values = head({})
    assert values["license"] == "cc-by-4.0" and "model-index" not in values
    assert "metrics" not in values and "datasets" not in values
