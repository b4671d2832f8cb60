"""A CLAP that nobody trained here is a judge: ten times its cosine."""

from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_hub
import tiny_judge
import torch
from typer.testing import CliRunner

from soundjudge import Judge
from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.published import clap_judge

TEXTS = ["a dog barks", "rain falls", "a bell rings then rain", "engine"]


def save_clap(folder: Path, seed: int = 0) -> tiny_clap.TransformersClap:
    clap = tiny_clap.clap(seed, hop_length=320, max_length_s=tiny_judge.SECONDS)
    clap.save(folder)
    return clap


def test_the_score_is_ten_times_the_cosine_and_never_below_zero(tmp_path):
    clap = save_clap(tmp_path / "my.clap", seed=1)
    clap_judge.import_clap(str(tmp_path / "my.clap"), tmp_path / "judge")
    waves = [tiny_judge.noise(1.0, seed) for seed in range(4)]
    judge = Judge.from_pretrained(tmp_path / "judge", "cpu")
    ours = judge.score_pairs([(wave, 16_000) for wave in waves], TEXTS)
    with torch.no_grad():
        cosines = (clap.embed_sounds(waves) * clap.embed_texts(TEXTS)).sum(1).numpy()
    assert cosines.min() < -0.1 and cosines.max() > 0.1
    np.testing.assert_allclose(ours, np.clip(10 * cosines, 0, 10), atol=1e-5)


def test_the_id_has_the_checkpoints_name_and_the_card_its_protocol(tmp_path):
    clap = save_clap(tmp_path / "my.clap")
    out = tmp_path / "judge"
    words = ["import-clap", str(tmp_path / "my.clap"), "-o", str(out), "--license", "apache-2.0"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("clapscore-my@1.0+") and result.stdout == ""
    card = (out / "README.md").read_text()
    assert f"`{clap.name()}`" in card and "license: apache-2.0" in card
    assert "above 8 kHz does not count" in card


def test_the_same_checkpoint_gives_the_same_id(tmp_path):
    save_clap(tmp_path / "clap")
    one, two = (clap_judge.import_clap(str(tmp_path / "clap"), tmp_path / n) for n in ("a", "b"))
    assert one == two


def test_a_window_of_whole_seconds_as_laions_is_read_back(tmp_path):
    tiny_clap.clap(hop_length=320, max_length_s=1).save(tmp_path / "clap")
    manifest = clap_judge.import_clap(str(tmp_path / "clap"), tmp_path / "judge")
    judge = Judge.from_pretrained(tmp_path / "judge", "cpu")
    assert (judge.score_id, judge.manifest.window_seconds) == (manifest.score_id, 1.0)


def test_what_is_no_clap_leaves_nothing_behind(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SoundjudgeError, match="no config.json"):
        clap_judge.import_clap(str(tmp_path / "empty"), tmp_path / "judge")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize("name", ["mine/clap", "clap", "someone/clap"])
def test_a_folder_that_is_not_there_is_not_looked_for_on_the_hub(in_folder, monkeypatch, name):
    with tiny_hub.connected(monkeypatch, in_folder) as hub:
        with pytest.raises(SoundjudgeError, match=f"{name} does not exist"):
            clap_judge.import_clap(name, Path("judge"))
        assert not hub.requests


def test_weights_that_are_no_numbers_are_refused(tmp_path):
    clap = tiny_clap.clap(hop_length=320, max_length_s=tiny_judge.SECONDS)
    with torch.no_grad():
        clap.model.text_projection.linear1.bias[3] = float("nan")
    clap.save(tmp_path / "clap")
    with pytest.raises(SoundjudgeError, match=r"clap\.model\.text_projection\.linear1\.bias holds"):
        clap_judge.import_clap(str(tmp_path / "clap"), tmp_path / "judge")
    assert not (tmp_path / "judge").exists()


def test_a_clap_of_the_hub_is_named_by_its_repository(in_folder, monkeypatch):
    save_clap(Path("theirs"))
    with tiny_hub.connected(monkeypatch, in_folder) as hub:
        hub.files["someone/clap-x"] = {p.name: p.read_bytes() for p in Path("theirs").iterdir()}
        hub.files["someone/clap-x"]["pytorch_model.bin"] = b"a pickle"
        manifest = clap_judge.import_clap("hf://someone/clap-x@v1", Path("judge"))
        assert not any("pickle" in path or ".bin" in path for _, path, _ in hub.requests)
        with pytest.raises(SoundjudgeError, match="the hub does not provide hf://someone/clap-y"):
            clap_judge.import_clap("hf://someone/clap-y", Path("other"))
    assert manifest.score_id.startswith("clapscore-clap-x@1.0+")
    Judge.from_pretrained(Path("judge"), "cpu")
    assert not Path("other").exists()


def test_in_python_a_clap_is_a_judge_in_one_line(tmp_path):
    save_clap(tmp_path / "clap")
    manifest = clap_judge.import_clap(str(tmp_path / "clap"), tmp_path / "judge")
    sound = tiny_judge.noise(1.0, 1), 16_000
    stored = Judge.from_pretrained(tmp_path / "judge", "cpu")
    judge = Judge.from_clap(tmp_path / "clap", "cpu")
    assert judge.score_id == manifest.score_id
    assert judge.score(sound, "a dog") == stored.score(sound, "a dog")


def test_a_judge_that_another_run_made_meanwhile_is_not_replaced(tmp_path, monkeypatch):
    save_clap(tmp_path / "clap")
    load = clap_judge.load_tunable

    def load_while_another_run_ends(*arguments):
        (tmp_path / "judge").mkdir()
        (tmp_path / "judge" / "judge.json").write_text("theirs")
        return load(*arguments)

    monkeypatch.setattr(clap_judge, "load_tunable", load_while_another_run_ends)
    with pytest.raises(SoundjudgeError, match="judge"):
        clap_judge.import_clap(str(tmp_path / "clap"), tmp_path / "judge")
    assert [path.name for path in (tmp_path / "judge").iterdir()] == ["judge.json"]
    assert (tmp_path / "judge" / "judge.json").read_text() == "theirs"
