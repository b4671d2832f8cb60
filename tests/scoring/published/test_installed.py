"""A judge by its name: fetched from a hub on 127.0.0.1, listed, and scored with."""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import repository
import test_tmu
import tiny_clap
import tiny_hub
import tiny_judge
import torch
from test_tmu import files  # noqa: F401  a fixture
from tiny_hub import LoopbackHub
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.data.fetch.catalog import CATALOG
from soundjudge.errors import SoundjudgeError
from soundjudge.scoring.judge.judge import Judge

TMU, QWEN = "Atotti/xacle-tmu-2026", "Qwen/Qwen2.5-0.5B-Instruct"


@pytest.fixture
def hub(
    monkeypatch: pytest.MonkeyPatch,
    in_folder: Path,
    files: Path,  # noqa: F811
) -> Iterator[LoopbackHub]:
    """The hub with the published files in small."""
    with tiny_hub.connected(monkeypatch, in_folder) as hub:
        hub.files[TMU] = {
            "config.json": b'{"num_audio_tokens": 100}',
            "model.pt": (files / "model.pt").read_bytes(),
            "README.md": b"theirs",
        }
        names = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
        hub.files[QWEN] = {name: (files / "llm" / name).read_bytes() for name in names}
        yield hub


def run(*words: object) -> object:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_tmu_is_fetched_listed_and_scores_by_its_name(hub, in_folder, files):  # noqa: F811
    fetched = run("fetch", "tmu2026")
    assert fetched.exit_code == 0, fetched.output
    assert "CC-BY-NC-4.0: not for commercial use" in fetched.stderr
    read = {path for method, path, _ in hub.requests if method == "GET" and "/resolve/" in path}
    assert not any(path.endswith(("README.md", "model.safetensors")) for path in read)
    listed = run("judges").stdout.split()
    assert listed[0] == "tmu2026" and listed[1].startswith("tmu-xacle2026@1.0+")
    assert listed[2] == "cc-by-nc-4.0" and listed[4] == "MB"
    tiny_judge.write_sound(Path("dog.wav"))
    scored = run("score", "dog.wav", "a dog barks", "--model", "tmu2026", "--device", "cpu")
    assert scored.exit_code == 0, scored.output
    by_name = Judge.from_pretrained("tmu2026", "cpu").score("dog.wav", "a dog barks")
    assert f"{by_name:.4f}" in scored.stdout
    with pytest.raises(SoundjudgeError, match="tmu2026 is no folder"):
        Judge.from_pretrained(Path("tmu2026"), "cpu")  # of this folder and no other
    judge = test_tmu.import_judge(files, in_folder / "judge")
    assert float(scored.stdout) == pytest.approx(
        judge.score("dog.wav", "a dog barks"), abs=1e-4
    )  # 4 decimals
    assert listed[1] == judge.score_id
    assert run("doctor", "--model", "tmu2026").exit_code == 0


@pytest.mark.slow
def test_the_commands_for_judges_of_others_run_in_their_order(hub, in_folder):
    """Those for the judges of others: the rest of the page is in test_first_minutes.py."""
    page = (repository.ROOT / "docs/score_your_generator.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```bash\n(soundjudge fetch.*?)^```$", page, re.MULTILINE | re.DOTALL)
    folder = in_folder / "published"
    tiny_clap.clap(hop_length=320, max_length_s=tiny_judge.SECONDS).save(folder)
    (name,) = re.findall(r"hf://(\S+)", block)
    hub.files[name] = {path.name: path.read_bytes() for path in folder.iterdir()}
    tiny_judge.write_sound(Path("dog.wav"))
    printed = {}
    for line in block.splitlines():
        program, *words = shlex.split(line)
        result = run(*words)
        assert program == "soundjudge" and result.exit_code == 0, (line, result.output)
        printed[words[0]] = result
    assert 0 <= float(printed["score"].stdout) <= 10
    assert printed["score"].stderr.startswith("tmu-xacle2026@1.0+")
    assert printed["import-clap"].stderr.startswith("clapscore-clap-htsat-unfused@1.0+")
    assert printed["judges"].stdout.startswith("tmu2026  tmu-xacle2026@1.0+")


def test_what_is_here_is_not_fetched_again(hub):
    assert run("fetch", "tmu2026").exit_code == 0
    del hub.requests[:]
    again = run("fetch", "tmu2026")
    assert again.exit_code == 0 and not hub.requests
    assert "already" in again.stderr


def test_a_name_that_is_not_here_yet_says_how_to_get_it(hub):
    tiny_judge.write_sound(Path("dog.wav"))
    result = run("score", "dog.wav", "a dog", "--model", "tmu2026")
    assert result.exit_code == 2 and not hub.requests
    assert "tmu2026 is not here yet: get it with 'soundjudge fetch tmu2026'" in result.stderr
    assert "is no folder" in run("score", "dog.wav", "a dog", "--model", "tmu2027").stderr
    assert run("judges").stdout == ""


def test_import_tmu_fetches_no_more_than_the_tokenizer(hub, files, in_folder):  # noqa: F811
    shutil.copy(files / "model.pt", "model.pt")
    result = run("import-tmu", "model.pt", "-o", "judge", "--beats-out", "official/beats.pt")
    assert result.exit_code == 0, result.output
    asked = {path.rpartition("/")[2] for method, path, _ in hub.requests if method == "GET"}
    assert asked >= {"config.json", "tokenizer.json", "tokenizer_config.json"}
    assert not asked & {"model.pt", "model.safetensors"}
    assert {"cfg", "model"} == set(torch.load("official/beats.pt", weights_only=True))


def test_fetch_lists_what_it_knows_and_refuses_the_rest(hub):
    listed = run("fetch")
    assert listed.exit_code == 0 and not hub.requests
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(CATALOG)
    refused = run("fetch", "beets")
    assert refused.exit_code == 2 and "choose of beats" in refused.stderr


def test_a_checkpoint_without_its_tokenizer_is_fetched_with_that_of_another_repository(
    hub, in_folder
):
    hub.files["microsoft/msclap"] = {"CLAP_weights_2023.pth": b"weights"}
    names = ("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors")
    hub.files["openai-community/gpt2"] = dict.fromkeys(names, b"{}")
    assert run("fetch", "ms-clap-2023").exit_code == 0
    folder = Path("checkpoints/official/ms-clap-2023")
    assert {file.name for file in folder.iterdir()} == {
        "CLAP_weights_2023.pth", "CLAP_weights_2023.pth.sha256",
        "config.json", "tokenizer.json", "tokenizer_config.json",
    }  # fmt: skip


def test_fetch_for_params_puts_weights_where_params_look(hub, in_folder):
    text = (repository.ROOT / "params.yaml").read_text()
    sample = "audio: checkpoints/sample/beats.pt"
    assert sample in text
    Path("params.yaml").write_text(text.replace(sample, "audio: mine/BEATs_iter3_plus_AS2M.pt"))
    hub.files["datasets/Bencr/beats-checkpoints"] = {"BEATs_iter3_plus_AS2M.pt": b"not BEATs"}
    result = run("fetch", "--for", "params.yaml")
    assert result.exit_code == 2 and "has the sha256" in result.stderr
    assert "to mine/BEATs_iter3_plus_AS2M.pt" in result.stderr
    assert not Path("mine/BEATs_iter3_plus_AS2M.pt").exists()
    Path("params.yaml").write_text(text)
    result = run("fetch", "--for", "params.yaml")
    assert result.exit_code == 0 and "lacks nothing of the catalog" in result.stderr


def test_a_broken_judge_hides_no_other(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    judges = tmp_path / "soundjudge/judges"
    tiny_judge.build(judges / "whole", tmp_path / "root")
    for name, text in (("a", ""), ("b", "[]"), ("zip", "{}"), ("none", None)):
        (judges / name).mkdir()
        if text is not None:
            (judges / name / "judge.json").write_text(text)
    (judges / "notes.txt").write_text("mine")
    listed = run("judges")
    assert listed.exit_code == 0
    (line,) = listed.stdout.splitlines()
    assert line.startswith("whole  tiny@1.0+")
    assert all(f"{judges / name}" in listed.stderr for name in ("a", "b", "zip", "none"))


def test_a_judge_that_was_not_fetched_says_how_in_python_too(hub):
    with pytest.raises(SoundjudgeError, match="tmu2026 is not here yet: get it with 'soundjudge"):
        Judge.from_pretrained("tmu2026", "cpu")
