"""Early fusion as a member: made by its stage, scored, packed into a judge that scores alike."""

from pathlib import Path

import numpy as np
import pytest
import tiny_clap
import tiny_judge
import tiny_lalm
import tiny_training
import torch
from repository import run_stage, write_params

from soundjudge.clap.encoders.source import ClapSource
from soundjudge.clap.encoders.transformers_clap import TransformersClap
from soundjudge.data.arrays.array_store import ArrayStore
from soundjudge.data.clips.clip_store import ClipStore
from soundjudge.data.tables import tables
from soundjudge.errors import SoundjudgeError
from soundjudge.fusion import fusion
from soundjudge.fusion.fused_machine import FusionConfig, fit_fused_machine
from soundjudge.model.audio.audio_encoder import encode_waves, load_audio_encoder
from soundjudge.model.lalm import checkpoint
from soundjudge.model.likelihood import likelihood
from soundjudge.runtime import artifacts
from soundjudge.scoring.members import members, predict

CONFIG = {"c": 1.0, "epsilon": 0.01, "gamma": "scale", "batch_size": 8, "likelihood_weight": 0.5}
CAPTIONER, FUSED = "checkpoints/likelihood", "checkpoints/fusion"
CLAP, CPU = "checkpoints/encoders/clap", torch.device("cpu")
LIKELIHOOD = likelihood.LikelihoodConfig(num_references=2, alpha=0.5, length_exponent=0.5, seed=0)


def inputs(root, waves, texts):
    """Embeddings and statistics of pairs, by the models themselves."""
    clap = TransformersClap.load(root / CLAP, "cpu")
    captioner = likelihood.load_likelihood(root / CAPTIONER, CPU)
    encoder = load_audio_encoder(root / "checkpoints/encoders/beats.pt", CPU)
    with torch.no_grad():
        features = encode_waves(encoder, waves, captioner.frontend)
        statistics = captioner.evidence(features, texts).double().numpy()
        return clap.embed_sounds(waves).numpy(), clap.embed_texts(texts).numpy(), statistics


def project(root):
    """The tiny judge's checkpoints, a captioner, and a machine fitted on eight pairs."""
    tiny_judge.write_checkpoints(root)
    sounds = torch.randn(2, 4, 16, generator=torch.Generator().manual_seed(3))
    references = {"audiocaps/a": sounds[0], "audiocaps/b": sounds[1]}
    one = root / "checkpoints/finetune/one"
    tiny_lalm.save_likelihood(root / CAPTIONER, one, references, LIKELIHOOD)
    waves, texts = [tiny_judge.noise(1.0, n) for n in range(8)], tiny_judge.pairs(8)[1]
    sounds, words, statistics = inputs(root, waves, texts)
    machine = fit_fused_machine(
        sounds, words, [sounds.shape[1]], statistics, np.linspace(0, 10, 8), FusionConfig(**CONFIG)
    )
    names = [TransformersClap.load(root / CLAP, "cpu").name()]
    sources = [ClapSource(Path(CLAP))]
    fusion.save_fusion(root / FUSED, machine, root / CAPTIONER, sources, names)
    return root, machine


def loaded(root):
    loader = members.MemberLoader(root=root, device=CPU, window_seconds=tiny_judge.SECONDS)
    return loader.member(root / FUSED)


def test_the_member_scores_by_the_embeddings_and_the_likelihood_of_a_pair(tmp_path):
    root, machine = project(tmp_path)
    waves, texts = [tiny_judge.noise(1.0, 20 + n) for n in range(5)], tiny_judge.pairs(5)[1]
    expected = machine(*inputs(root, waves, texts))
    member = loaded(root)
    scores = member.scores(member.encode_sounds(waves), member.encode_texts(texts))
    assert scores == pytest.approx(expected, abs=1e-5)
    assert scores.std() > 0.01


def test_the_statistics_are_those_of_which_the_likelihood_member_makes_its_score(tmp_path):
    root, _ = project(tmp_path)
    captioner = likelihood.load_likelihood(root / CAPTIONER, CPU)
    sounds, texts = torch.randn(3, 4, 16), ["a dog", "a dog barks", "rain"]
    with torch.no_grad():
        own, prior, tokens = captioner.evidence(sounds, texts).unbind(1)
        torch.testing.assert_close(captioner.scores(sounds, texts), (own - prior / 2) / 4)
    assert tokens.tolist() == [3, 4, 2]  # with the end


@pytest.mark.slow
def test_scores_do_not_depend_on_the_size_of_the_batches(tmp_path):
    member = loaded(project(tmp_path)[0])
    alone, together = (
        predict.raw_scores(
            [member],
            *tiny_judge.pairs(9),
            predict.PredictionConfig(window_seconds=1.2, batch_size=size),
        )
        for size in (1, 32)
    )
    assert alone == pytest.approx(together, abs=1e-4)


@pytest.mark.slow
def test_a_judge_holds_all_of_it_and_repeats_its_scores_elsewhere(tmp_path):
    root, _ = project(tmp_path / "project")
    checkpoints = {"fusion": FUSED}
    tiny_judge.check_packaging([loaded(root)], checkpoints, (1.0,), root, tmp_path / "judge")
    assert {path.name for path in (tmp_path / "judge/encoders").iterdir()} == {"audio", "clap"}


def test_another_clap_under_the_old_path_is_refused_with_a_remedy(tmp_path):
    root, _ = project(tmp_path)
    tiny_clap.clap(seed=5, hop_length=320, max_length_s=tiny_judge.SECONDS).save(root / CLAP)
    with pytest.raises(SoundjudgeError, match="--single-item fusion"):
        loaded(root)


@pytest.mark.parametrize("name", ["statistics", "clap.weights"])
def test_a_machine_that_lacks_an_array_is_refused(tmp_path, name):
    root, _ = project(tmp_path)
    path = root / FUSED / fusion.TENSORS
    tensors = artifacts.load_tensors(path)
    del tensors[name]
    artifacts.save_tensors(path, tensors)
    with pytest.raises(SoundjudgeError, match="and nothing else"):
        loaded(root)


def test_a_fusion_without_its_captioner_is_refused(tmp_path):
    root, _ = project(tmp_path)
    for path in (root / FUSED / fusion.CAPTIONER).iterdir():
        path.unlink()
    with pytest.raises(SoundjudgeError, match=r"captioner holds no member\.json"):
        loaded(root)


@pytest.mark.slow
def test_the_stage_fits_the_ratings_and_ends_with_the_same_bytes_again(in_folder):
    tiny_training.clips(in_folder / "data/prepared")
    clips = ClipStore(in_folder / "data/prepared")
    tiny_training.features(in_folder / "data/features", clips.ids())
    targets = tiny_training.targets("train")
    tables.write_table(targets, in_folder / "data/targets/train.csv", tables.TARGETS)
    artifacts.write_json(in_folder / "data/targets/global.json", {"mean": 7.0, "std": 3.0})
    tiny_clap.clap().save(in_folder / "clap")
    captioner = tiny_lalm.lalm(in_folder / "llm")
    checkpoint.save_lalm(in_folder / "checkpoints/caption", captioner, "beats.pt", {})
    references = {"audiocaps/a": tiny_lalm.features(1)[0], "audiocaps/b": tiny_lalm.features(2)[1]}
    tiny_lalm.save_likelihood(
        in_folder / CAPTIONER, in_folder / "checkpoints/caption", references, LIKELIHOOD
    )
    write_params(
        in_folder,
        device="cpu",
        encoders__clap={"path": "clap"},
        fusion=CONFIG | {"extra_encoders": []},
    )
    run_stage("fusion")

    clap = TransformersClap.load(in_folder / "clap", "cpu")
    model = fusion.load_fusion(in_folder / FUSED, [clap], CPU)
    clip_ids = [tables.rated_clip_id(name) for name in targets["wav_file_name"]]
    features = torch.from_numpy(ArrayStore(in_folder / "data/features").gather(clip_ids)).float()
    texts = list(targets["text"])
    sounds = model.embed_sounds([clips.wave(c) for c in clip_ids])
    scores = model.scores(sounds, model.embed_texts(texts), features, texts)
    assert np.corrcoef(scores, targets["mean_score"])[0, 1] > 0.7
    first = artifacts.sha256(in_folder / FUSED)
    run_stage("fusion")
    assert artifacts.sha256(in_folder / FUSED) == first
    torch.use_deterministic_algorithms(False)
