"""M2D-CLAP by the user's own copy of NTT's code, imitated here by a small network of ours."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_judge
import tiny_m2d
import torch

from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.regression import kernel_machine, regressor
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import EncoderReference, read_member
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.members import members
from soundjudge.scoring.members.predict import PredictionConfig, raw_scores

ALONE = Ensemble(  # one member, its scores as they are
    members=("regress",),
    mean=(0.0,),
    std=(1.0,),
    weights=(1.0,),
    calibration=Calibration(method="linear", scores=(0.0, 10.0), ratings=(0.0, 10.0)),
)
TEXTS = ["a dog barks", "rain", "a bell rings", "engine", "cat", "a car then rain"]


def noise(samples: int, seed: int) -> np.ndarray:
    return (0.3 * np.random.default_rng(seed).normal(size=samples)).astype(np.float32)


def load(folder: Path, sha256: str | None = None):
    return checkpoints.load_encoder(ClapSource(folder, sha256=sha256), "cpu")


def test_sounds_and_texts_are_embedded_by_the_users_code(tmp_path: Path):
    clap = load(tiny_m2d.write(tmp_path / "own"))
    assert (clap.sample_rate, clap.window_seconds, clap.dimensions) == (16_000, 10.0, 8)
    waves = [noise(8_000, 1), noise(160_000, 2), noise(200_000, 2)]
    with torch.no_grad():
        sounds, texts = clap.embed_sounds(waves), clap.embed_texts(TEXTS)
        padded = torch.zeros(1, 160_000)
        padded[0, :8_000] = torch.from_numpy(waves[0])
        raw = clap.model.encode_clap_audio(padded)
    np.testing.assert_allclose(sounds[:1], raw / raw.norm(), atol=1e-6)
    np.testing.assert_allclose(sounds.norm(dim=1), np.ones(3), rtol=1e-5)
    np.testing.assert_allclose(texts.norm(dim=1), np.ones(6), rtol=1e-5)
    # beyond ten seconds nothing is heard
    np.testing.assert_allclose(clap.embed_sounds([waves[2][:160_000]])[0], sounds[2], atol=1e-6)
    np.testing.assert_allclose(clap.embed_texts(TEXTS[3:4])[0], texts[3], atol=1e-6)


def test_the_spectrogram_is_in_fp32_within_autocast_too(tmp_path: Path, monkeypatch):
    clap, seen = load(tiny_m2d.write(tmp_path)), []
    spectrogram = clap.model.to_normalized_feature

    def noting(waves: torch.Tensor) -> torch.Tensor:
        seen.append(torch.is_autocast_enabled("cpu"))
        return spectrogram(waves)

    monkeypatch.setattr(clap.model, "to_normalized_feature", noting)
    with torch.autocast("cpu", torch.bfloat16):
        clap.log_mel([noise(16_000, 1)])
    assert seen == [False]


def test_the_users_code_leaves_no_trace_and_prints_nothing(tmp_path: Path, capsys):
    search_path, modules = list(sys.path), set(sys.modules)
    load(tiny_m2d.write(tmp_path / "own"))
    assert sys.path == search_path
    assert not {
        name for name in set(sys.modules) - modules if name.split(".")[-1] == "portable_m2d"
    }
    assert capsys.readouterr().out == ""


def test_the_name_says_which_weights_and_what_is_done_to_a_sound(tmp_path: Path):
    name = load(tiny_m2d.write(tmp_path / "own")).name()
    pattern = rf"{tiny_m2d.NAME}-[0-9a-f]{{8}}/16k-first10s-pad/projection@1"
    assert re.fullmatch(pattern, name)
    assert load(tiny_m2d.write(tmp_path / "same")).name() == name
    assert load(tiny_m2d.write(tmp_path / "other", weights_seed=1)).name() != name
    # the text side of older checkpoints comes from the hub, and counts as well
    assert load(tiny_m2d.write(tmp_path / "text", seed=1)).name() != name
    assert load(tiny_m2d.write(tmp_path / "old", seed=1, text="Reader")).name() != name
    assert load(tiny_m2d.write(tmp_path / "code", activation="tanh")).name() != name


def test_a_symbolic_link_keeps_the_name_that_tells_the_architecture(tmp_path: Path):
    folder = tiny_m2d.write(tmp_path / "own")
    (folder / tiny_m2d.NAME).rename(tmp_path / "d41d8cd98f00b204")  # as a cache would call it
    (folder / tiny_m2d.NAME).symlink_to(tmp_path / "d41d8cd98f00b204")
    assert load(folder).dimensions == 8


def test_a_checkpoint_that_would_run_code_is_opened_by_its_sha256_alone(tmp_path: Path):
    folder = tiny_m2d.write(tmp_path / "own")
    path = folder / tiny_m2d.NAME / "checkpoint-30.pth"
    torch.save(torch.load(path) | {"made": Path("by")}, path)
    with pytest.raises(SoundjudgeError, match=r"pathlib.*the sha256 beside its path"):
        load(folder)
    right = artifacts.sha256(path)
    assert load(folder, right).dimensions == 8
    with pytest.raises(SoundjudgeError, match="has the sha256"):
        load(folder, "1" * 64)


@pytest.mark.parametrize("count", [0, 2])
def test_a_folder_must_hold_one_checkpoint(tmp_path: Path, count):
    folder = tiny_m2d.write(tmp_path / "own")
    for number in range(1, count):
        (folder / tiny_m2d.NAME / f"checkpoint-{number}.pth").touch()
    if not count:
        (folder / tiny_m2d.NAME / "checkpoint-30.pth").unlink()
    with pytest.raises(SoundjudgeError, match=f"holds {count} of the latter"):
        load(folder)


def test_a_text_side_that_is_not_in_the_cache_says_what_to_fetch(tmp_path: Path):
    folder = tiny_m2d.write(tmp_path / "own", trouble='raise OSError("offline")')
    with pytest.raises(SoundjudgeError, match="bert-base-uncased.*offline"):
        load(folder)


def test_a_text_side_that_reads_all_texts_alike_is_refused(tmp_path: Path):
    folder = tiny_m2d.write(tmp_path / "own", letters="3")
    with pytest.raises(SoundjudgeError, match="all texts have one embedding"):
        load(folder)


def test_another_sample_rate_is_refused(tmp_path: Path):
    with pytest.raises(SoundjudgeError, match="32000 Hz"):
        load(tiny_m2d.write(tmp_path / "own", rate=32_000))


def test_a_package_that_the_users_code_lacks_is_named_with_its_extra(tmp_path: Path):
    folder = tiny_m2d.write(tmp_path / "own")
    code = folder / "portable_m2d.py"
    code.write_text("import no_such_package\n" + code.read_text())
    with pytest.raises(SoundjudgeError, match=r"soundjudge\[m2d\].*no_such_package"):
        load(folder)


@pytest.fixture
def packaged(tmp_path: Path) -> Path:
    """A pipeline with a regressor on M2D-CLAP, and the judge packaged from it."""
    path = Path("checkpoints/official/m2d")
    clap = load(tiny_m2d.write(tmp_path / path))
    waves = [noise(8_000 + 1_000 * n, n) for n in range(6)]
    with torch.no_grad():
        sounds, texts = clap.embed_sounds(waves).numpy(), clap.embed_texts(TEXTS).numpy()
    config = kernel_machine.RegressionConfig(
        extra_encoders=(), c=1.0, epsilon=0.01, gamma="scale", batch_size=8
    )
    machine = kernel_machine.fit_kernel_machine(
        sounds, texts, [clap.dimensions], np.linspace(0, 10, 6), config
    )
    regressor.save_regressor(
        tmp_path / "checkpoints/regress", machine, [ClapSource(path)], [clap.name()]
    )
    package.build_judge(
        tmp_path / "judge",
        ensemble=ALONE,
        checkpoints={"regress": tmp_path / "checkpoints/regress"},
        root=tmp_path,
        window_seconds=10.0,
        packaging=tiny_judge.PACKAGING,
        report="# Agreement\n",
    )
    return tmp_path


def test_a_judge_holds_no_byte_of_m2d_and_says_so(packaged: Path):
    names = {path.name for path in (packaged / "judge").rglob("*") if path.is_file()}
    assert names == {"README.md", "judge.json", "member.json", "model.safetensors"}
    weights = packaged / "checkpoints/official/m2d" / tiny_m2d.NAME / "checkpoint-30.pth"
    record = read_member(packaged / "judge/members/regress")
    own = EncoderReference(path=None, sha256=artifacts.sha256(weights))
    assert record.encoders == {"clap": (own,)}
    card = (packaged / "judge/README.md").read_text()
    assert "regress: a head alone, fitted on M2D-CLAP" in card and "SOUNDJUDGE_M2D" in card
    assert artifacts.sha256(weights) in card and "differences" not in card


def test_a_judge_on_m2d_scores_with_the_users_copy_and_with_no_other(packaged: Path, monkeypatch):
    own = packaged / "checkpoints/official/m2d"
    sha256 = artifacts.sha256(own / tiny_m2d.NAME / "checkpoint-30.pth")
    with pytest.raises(SoundjudgeError, match=rf"nttcslab/m2d.*{sha256}.*SOUNDJUDGE_M2D"):
        Judge.from_pretrained(packaged / "judge", "cpu")
    judge = Judge.from_pretrained(packaged / "judge", "cpu", m2d=own)
    score = judge.score_waves([noise(8_000, 0)], ["rain"], batch_size=1)
    monkeypatch.setenv("SOUNDJUDGE_M2D", str(own))
    judge = Judge.from_pretrained(packaged / "judge", "cpu")
    assert judge.score_waves([noise(8_000, 0)], ["rain"], batch_size=1) == score
    loader = members.MemberLoader(root=packaged, device=torch.device("cpu"), window_seconds=10.0)
    member = loader.member(packaged / "checkpoints/regress")
    window = PredictionConfig(window_seconds=10.0)
    raw = raw_scores([member], [noise(8_000, 0)], ["rain"], window)[:, 0]
    np.testing.assert_allclose(score, raw.clip(0, 10), atol=1e-4)
    with (own / tiny_m2d.NAME / "checkpoint-30.pth").open("ab") as file:
        file.write(b"another")
    with pytest.raises(SoundjudgeError, match="has the sha256"):
        Judge.from_pretrained(packaged / "judge", "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_texts_and_sounds_meet(tmp_path: Path):
    folder = tiny_m2d.write(tmp_path / "own")
    near, far = load(folder), checkpoints.load_encoder(ClapSource(folder), "cuda")
    waves = [noise(8_000, 1), noise(160_000, 2)]
    with torch.no_grad():
        cosines = (far.embed_sounds(waves) * far.embed_texts(TEXTS[:2])).sum(-1).cpu()
        expected = (near.embed_sounds(waves) * near.embed_texts(TEXTS[:2])).sum(-1)
    np.testing.assert_allclose(cosines, expected, atol=1e-5)
