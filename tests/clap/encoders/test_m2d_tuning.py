"""Tuning an M2D-CLAP through its user's own copy: what moves, what is stored, what is refused."""

from pathlib import Path

import numpy as np
import pytest
import tiny_judge
import tiny_m2d
import tiny_tuning
import torch
from safetensors.torch import load_file, save_file

from soundjudge import cli
from soundjudge.clap.clapscore import clapscore
from soundjudge.clap.clapscore.clapscore import ClapScore
from soundjudge.clap.encoders import checkpoints
from soundjudge.clap.encoders.m2d import M2dClap
from soundjudge.clap.encoders.source import ClapSource
from soundjudge.data.clips import clip_store
from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts
from soundjudge.runtime.member_record import EncoderReference, read_member
from soundjudge.scoring.ensemble.calibration import Calibration
from soundjudge.scoring.ensemble.ensemble import Ensemble
from soundjudge.scoring.judge import package
from soundjudge.scoring.judge.judge import Judge
from soundjudge.scoring.members import members
from soundjudge.scoring.members.predict import PredictionConfig, raw_scores
from soundjudge.training.tune_clap import tune_clap

WAVES = [0.3 * np.random.default_rng(n).normal(size=9_000 + n).astype(np.float32) for n in range(3)]
TEXTS = ["a dog barks", "rain falls", "a bell rings"]
PARTS = {
    "audio": {"frames", "audio_proj"},
    "text": {"text_encoder", "text_proj"},
    "both": {"frames", "audio_proj", "text_encoder", "text_proj"},
    "projections": {"audio_proj", "text_proj"},
}


@pytest.fixture
def clips(tmp_path: Path) -> clip_store.ClipStore:
    return tiny_tuning.write_store(tmp_path / "prepared")


def untuned(folder: Path) -> ClapScore:
    clap = checkpoints.load_tunable(ClapSource(folder), "cpu")
    return ClapScore(clap, mean=7.0, std=3.0)


def tune(folder: Path, clips, work: Path, trainable: str = "both") -> ClapScore:
    """The copy in `folder` after two epochs, the last of which counts."""
    model, config = untuned(folder), tiny_tuning.tuning(trainable=trainable)
    train, validation = (
        tune_clap.rated_pairs(tiny_tuning.targets(*rows), "spo", 7.0, 3.0)
        for rows in ((0, 12), (12, 18))
    )
    with pytest.MonkeyPatch.context() as monkeypatch:
        tiny_tuning.validations(monkeypatch, [0.1, 0.2, 0.3])
        tune_clap.train(
            model, train, validation, clips, config, work=work, device="cpu", log=lambda line: None
        )
    return model


def part(name: str) -> str:
    return name.split(".")[2] if "backbone" in name else "text_encoder"


@pytest.mark.parametrize("text", ["Bag", pytest.param("Reader", marks=pytest.mark.slow)])
@pytest.mark.parametrize("trainable", list(PARTS))
def test_only_the_chosen_parts_move_and_come_back_to_the_last_bit(
    clips, in_folder, tmp_path, trainable, text
):
    own = tiny_m2d.write(Path("checkpoints/m2d"), text=text)
    before = untuned(own).clap.weights()
    model = tune(own, clips, tmp_path / "work", trainable)
    after = model.clap.weights()
    moved = {name for name in after if not torch.equal(after[name], before[name])}
    assert {part(name) for name in moved} == PARTS[trainable]

    model.save(Path("tuned"))
    loaded = clapscore.load_clapscore(Path("tuned"), "cpu")
    assert not loaded.training
    weights = loaded.clap.weights()
    assert weights.keys() == after.keys()
    assert all(torch.equal(weights[name], after[name]) for name in after)
    assert np.array_equal(loaded.scores(WAVES, TEXTS), model.scores(WAVES, TEXTS))
    assert not np.array_equal(loaded.scores(WAVES, TEXTS), untuned(own).scores(WAVES, TEXTS))
    assert loaded.name() == model.name() != untuned(own).name()


def test_what_the_users_code_never_trains_is_not_trained(in_folder):
    model = untuned(tiny_m2d.write(Path("m2d")))
    model.set_trainable("both")
    frozen = {name for name, p in model.clap.named_parameters() if not p.requires_grad}
    assert frozen == {"model.backbone.norm_stats"}


@pytest.mark.parametrize("trainable", list(PARTS))
@pytest.mark.parametrize("audio_proj", ["torch.nn.Linear(8, 8)", "Pooling(8, 8)"])
def test_what_is_cached_scores_as_the_users_code_does(clips, tmp_path, trainable, audio_proj):
    model = untuned(tiny_m2d.write(tmp_path / "m2d", audio_proj=audio_proj))
    pairs = tune_clap.rated_pairs(tiny_tuning.targets(0, 12), "spo", 7.0, 3.0)
    config = tiny_tuning.tuning(trainable=trainable)
    inputs = tune_clap.TuneInputs(model, [pairs], clips, config, tmp_path / "work")
    rows = np.array([7, 2, 11])
    waves = [clips.wave(pairs.clip_ids[row]) for row in rows]
    expected = (model.scores(waves, [pairs.texts[row] for row in rows]) - 7.0) / 3.0
    with torch.no_grad():
        np.testing.assert_allclose(
            inputs.scores(*inputs.read(pairs, rows)).numpy(), expected, atol=1e-5
        )


def test_a_tuned_folder_holds_differences_and_the_name_of_the_base_alone(clips, in_folder):
    own = tiny_m2d.write(Path("checkpoints/m2d"))
    tune(own, clips, Path("work"), "audio").save(Path("tuned"))
    assert {path.name for path in Path("tuned").iterdir()} == {"deltas.safetensors", "member.json"}
    stored = load_file("tuned/deltas.safetensors")
    assert {name.split(".")[2] for name in stored} == {"frames", "audio_proj"}
    assert {delta.dtype for delta in stored.values()} == {torch.int32}
    base = untuned(own).clap.weights()
    for name, delta in stored.items():
        bits = base[name].numpy().view(np.int32)
        assert not np.array_equal(delta.numpy(), bits)
        assert base[name].numpy().tobytes() not in Path("tuned/deltas.safetensors").read_bytes()
    record = read_member(Path("tuned"))
    sha256 = artifacts.sha256(own / f"{tiny_m2d.NAME}/checkpoint-30.pth")
    assert record.kind == "clapscore-deltas"
    assert record.encoders == {"clap": (EncoderReference(path="checkpoints/m2d", sha256=sha256),)}


@pytest.mark.slow
def test_two_tunings_end_with_the_same_bytes(clips, in_folder):
    own = tiny_m2d.write(Path("m2d"))
    for name in ("a", "b"):
        tune(own, clips, Path(f"work {name}")).save(Path(name))
    assert artifacts.sha256(Path("a")) == artifacts.sha256(Path("b"))


def test_where_training_only_harms_there_are_no_deltas(in_folder):
    model = untuned(tiny_m2d.write(Path("m2d")))
    model.save(Path("tuned"))
    assert load_file("tuned/deltas.safetensors") == {}
    loaded = clapscore.load_clapscore(Path("tuned"), "cpu")
    assert np.array_equal(loaded.scores(WAVES, TEXTS), model.scores(WAVES, TEXTS))


def test_another_file_another_text_side_or_damaged_deltas_are_refused(clips, in_folder):
    own = tiny_m2d.write(Path("m2d"))
    tune(own, clips, Path("work")).save(Path("tuned"))
    other = tiny_m2d.write(Path("other"), weights_seed=1)
    with pytest.raises(SoundjudgeError, match="has the sha256 .* is asked for"):
        clapscore.load_clapscore(Path("tuned"), "cpu", other)
    # The same file, but a text side that came from elsewhere.
    hub = tiny_m2d.write(Path("hub"), seed=1)
    with pytest.raises(
        SoundjudgeError, match=r"tuned on other weights than hub gives.*from the hub"
    ):
        clapscore.load_clapscore(Path("tuned"), "cpu", hub)
    smaller = tiny_m2d.write(Path("smaller"), text_proj=False)
    with pytest.raises(SoundjudgeError, match="does not fit .*no weights"):
        clapscore.load_clapscore(Path("tuned"), "cpu", smaller)
    stored = load_file("tuned/deltas.safetensors")
    next(iter(stored.values())).view(-1)[0] += 1
    save_file(stored, "tuned/deltas.safetensors")
    with pytest.raises(SoundjudgeError, match="tuned on other weights"):
        clapscore.load_clapscore(Path("tuned"), "cpu", own)


def test_a_copy_that_cannot_be_trained_as_chosen_says_why(tmp_path):
    silent = untuned(tiny_m2d.write(tmp_path / "silent", text="Silent"))
    for trainable in ("text", "both"):
        with pytest.raises(SoundjudgeError, match="without gradients.*audio or projections"):
            silent.set_trainable(trainable)
    silent.set_trainable("projections")
    bare = tiny_m2d.write(tmp_path / "bare", audio_proj="torch.nn.Identity()", text_proj=False)
    with pytest.raises(
        SoundjudgeError, match="no audio_projection and no text_projection.*projections"
    ):
        untuned(bare).set_trainable("projections")
    untuned(bare).set_trainable("text")


def test_a_copy_whose_parts_do_not_make_up_the_whole_is_used_frozen_or_not_at_all(tmp_path):
    other = tiny_m2d.write(tmp_path / "other", whole=".roll(1, 2)")
    assert checkpoints.load_encoder(ClapSource(other), "cpu").dimensions == 8
    with pytest.raises(
        SoundjudgeError, match=r"portable_m2d\.py can't be tuned \(its parts do not make"
    ):
        checkpoints.load_tunable(ClapSource(other), "cpu")
    code = tiny_m2d.write(tmp_path / "older") / "portable_m2d.py"
    code.write_text(code.read_text().replace("encode_lms", "encode_spectrogram"))
    with pytest.raises(SoundjudgeError, match=r"can't be tuned \(.*encode_lms"):
        checkpoints.load_tunable(ClapSource(tmp_path / "older"), "cpu")


@pytest.fixture
def packaged(clips, in_folder) -> Path:
    """A pipeline with a tuned M2D-CLAP, and the judge packaged from it."""
    own = tiny_m2d.write(Path("checkpoints/official/m2d"))
    tune(own, clips, Path("work")).save(Path("checkpoints/clapscore"))
    package.build_judge(
        Path("checkpoints/judge"),
        ensemble=Ensemble(  # one member, its scores as they are
            members=("clapscore",),
            mean=(0.0,),
            std=(1.0,),
            weights=(1.0,),
            calibration=Calibration(method="linear", scores=(-10.0, 10.0), ratings=(0.0, 10.0)),
        ),
        checkpoints={"clapscore": Path("checkpoints/clapscore")},
        root=Path(),
        window_seconds=10.0,
        packaging=tiny_judge.PACKAGING,
        report="# Agreement\n",
    )
    return in_folder


def test_a_judge_of_a_tuned_m2d_scores_with_the_users_copy_alone(packaged, monkeypatch):
    judge, own = Path("checkpoints/judge"), Path("checkpoints/official/m2d")
    names = {path.name for path in judge.rglob("*") if path.is_file()}
    assert names == {"README.md", "judge.json", "member.json", "deltas.safetensors"}
    weights = artifacts.sha256(own / tiny_m2d.NAME / "checkpoint-30.pth")
    record = read_member(judge / "members/clapscore")
    assert record.encoders == {"clap": (EncoderReference(path=None, sha256=weights),)}
    card = (judge / "README.md").read_text()
    assert "clapscore: what tuning changed in M2D-CLAP, as differences" in card
    assert "allows no copy of its weights" in card and weights in card and "head alone" not in card

    with pytest.raises(SoundjudgeError, match=rf"{weights}.*SOUNDJUDGE_M2D"):
        Judge.from_pretrained(judge, "cpu")
    loaded = Judge.from_pretrained(judge, "cpu", m2d=own)
    loader = members.MemberLoader(root=Path(), device=torch.device("cpu"), window_seconds=10.0)
    window = PredictionConfig(window_seconds=10.0)
    member = loader.member(Path("checkpoints/clapscore"))
    raw = raw_scores([member], WAVES, TEXTS, window)[:, 0]
    np.testing.assert_allclose(loaded.score_waves(WAVES, TEXTS, 3), (raw + 10) / 2, atol=1e-4)
    monkeypatch.setenv("SOUNDJUDGE_M2D", str(tiny_m2d.write(Path("other"), weights_seed=1)))
    with pytest.raises(SoundjudgeError, match=f"has the sha256 .*{weights} is asked for"):
        Judge.from_pretrained(judge, "cpu")


@pytest.mark.slow
def test_doctor_says_whether_the_users_copy_is_the_one_that_a_judge_asks_for(
    packaged, monkeypatch, capsys
):
    def doctor() -> tuple[int, str]:
        monkeypatch.setattr("sys.argv", ["soundjudge", "doctor", "--model", "checkpoints/judge"])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        output = capsys.readouterr()
        return int(stopped.value.code or 0), " ".join((output.out + output.err).split())

    code, output = doctor()
    assert code == 2 and "SOUNDJUDGE_M2D" in output
    monkeypatch.setenv("SOUNDJUDGE_M2D", "checkpoints/official/m2d")
    code, output = doctor()
    assert code == 0 and "checkpoint-30.pth is the one that it asks for" in output
    monkeypatch.setenv("SOUNDJUDGE_M2D", str(tiny_m2d.write(Path("other"), weights_seed=1)))
    code, output = doctor()
    assert code == 2 and "is asked for" in output


def test_members_on_two_m2d_claps_are_not_packaged(packaged):
    other = tiny_m2d.write(Path("other"), weights_seed=1)
    untuned(other).save(Path("checkpoints/second"))
    with pytest.raises(
        ValueError, match="several M2D-CLAPs, and a judge can ask its user for one alone"
    ):
        package.build_judge(
            Path("judge"),
            ensemble=Ensemble(
                members=("one", "two"),
                mean=(0.0, 0.0),
                std=(1.0, 1.0),
                weights=(0.5, 0.5),
                calibration=Calibration(method="linear", scores=(0.0, 10.0), ratings=(0.0, 10.0)),
            ),
            checkpoints={"one": Path("checkpoints/clapscore"), "two": Path("checkpoints/second")},
            root=Path(),
            window_seconds=10.0,
            packaging=tiny_judge.PACKAGING,
            report="# Agreement\n",
        )


def test_every_weight_that_can_be_trained_is_in_one_part(tmp_path):
    clap = M2dClap.load(tiny_m2d.write(tmp_path / "m2d"), "cpu", None)
    live = {id(p): name for name, p in clap.named_parameters()}
    named = {key: sorted(live[id(p)] for p in part) for key, part in clap.parts().items()}
    assert named == {
        "audio_model": ["model.backbone.frames.bias", "model.backbone.frames.weight"],
        "audio_projection": ["model.backbone.audio_proj.bias", "model.backbone.audio_proj.weight"],
        "text_model": ["model.text_encoder.model.weight"],
        "text_projection": ["model.backbone.text_proj.bias", "model.backbone.text_proj.weight"],
    }


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_deltas_are_exact_too(in_folder):
    model = untuned(tiny_m2d.write(Path("m2d"))).to("cuda")
    with torch.no_grad():
        for weights in model.clap.parts()["audio_model"]:
            weights.mul_(1.001)
    model.save(Path("tuned"))
    loaded = clapscore.load_clapscore(Path("tuned"), "cuda")
    after = model.clap.weights()
    assert all(torch.equal(weights, after[n]) for n, weights in loaded.clap.weights().items())
