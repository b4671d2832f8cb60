"""A cell of pages whose script no other test runs: the page is what the code measures."""

import re

import numpy as np
import pytest
import torch
from packaged_towers import needs_packages
from repository import ROOT, benchmark_row, load_benchmark

from soundjudge import Judge, params
from soundjudge.data.audio import audio
from soundjudge.model.lalm.checkpoint import load_lalm
from soundjudge.reporting import metrics
from soundjudge.scoring.ensemble.ensemble import EnsembleConfig
from soundjudge.scoring.ensemble.intervals import member_ratings
from soundjudge.scoring.judge.manifest import read_manifest
from soundjudge.scoring.members import members
from soundjudge.scoring.members.pair_scorer import PairScorer
from soundjudge.scoring.members.windows import PredictionConfig

built = pytest.mark.skipif(
    not (ROOT / "checkpoints/judge/judge.json").exists(), reason="the sample is not built"
)


@pytest.mark.slow
def test_a_row_of_the_report_tests_is_measured_again():
    script = load_benchmark("system_tests")
    stated = benchmark_row("system_tests", "| normal | 6 |")[2:]
    assert [f"{share:.3f}" for share in script.row("normal", 6, 300)] == stated


@pytest.mark.slow
def test_a_row_of_the_prompts_won_is_measured_again(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = load_benchmark("other_intervals")
    monkeypatch.setattr(script, "PROMPTS", (20,))
    (cells,) = script.prompt_rows(200)
    assert list(cells) == benchmark_row("other_intervals", "| 20 |")


@pytest.mark.slow
def test_a_row_of_the_score_intervals_is_measured_again(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = load_benchmark("other_intervals")
    assert list(next(script.score_rows(200))) == benchmark_row(
        "other_intervals", "| 100 | like those"
    )


@pytest.mark.slow
def test_a_cell_of_the_noise_ceilings_is_measured_again(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = load_benchmark("ceiling")
    size = (600, 4, 1.3, 0.05)
    errors = [script.simulate("uniform", size, seed, 2).errors for seed in range(25)]
    stated = benchmark_row("ceiling", "| 600 x 4 | 1.3, 5% | uniform |")[3]
    assert " / ".join(f"{error:+.3f}" for error in np.mean(errors, axis=0)[:, 0]) == stated


@built
def test_the_test_row_of_the_weights_is_measured_again():
    script = load_benchmark("ensembles")
    config = params.load("ensemble", EnsembleConfig, ROOT / "params.yaml")
    validation, test = (
        script.rated_pairs(ROOT, split, config.members) for split in ("validation", "test")
    )
    scores = script.on_test(validation, test, config)
    section = (ROOT / "benchmarks/ensembles.md").read_text(encoding="utf-8").split("## test,")[1]
    srcc, mse = re.search(r"\| nnls \| (\S+) \[.*?\] \| (\S+) \|", section).groups()
    assert f"{metrics.srcc(scores, test.rating):.3f}" == srcc
    assert f"{metrics.mse(scores, test.rating):.2f}" == mse


@built
def test_the_test_rows_of_the_early_fusion_are_measured_again(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = load_benchmark("fusion")
    columns, truth = script.score_test()
    for name in ("full1", "fusion", "ensemble", "ensemble without fusion"):
        assert (
            f"{script.srcc(columns[name], truth):.3f}" == benchmark_row("fusion", f"| {name} |")[1]
        )


@built
@pytest.mark.slow
def test_a_row_of_the_likelihood_is_measured_again(monkeypatch, tmp_path):
    script = load_benchmark("likelihood")
    monkeypatch.setattr(script, "CACHE", tmp_path)
    monkeypatch.setattr(script, "SEEDS", (0,))
    config = params.load("likelihood", script.likelihood.LikelihoodConfig, ROOT / "params.yaml")
    clips = script.reference_sets(ROOT)["farthest", 0][: config.num_references]
    pairs = script.rated_pairs(ROOT, "test", clips, captioned=False)
    assert list(pairs.others) == ["clapscore", "regress", "zeroshot"]  # none knows the captioner
    score = script.arithmetic(pairs, clips, config.alpha, config.length_exponent)
    stated = benchmark_row("likelihood", "| likelihood, seeds 0, 1, 2 of the references |")[1]
    assert f"{script.srcc(score, pairs.rating):.3f}".removeprefix("0") == stated.split(", ")[0]


@built
@pytest.mark.slow
def test_rows_of_silence_and_noise_are_measured_again():
    script = load_benchmark("level")
    judge = Judge.from_pretrained(ROOT / "checkpoints/judge")
    for beginning, wave in (
        ("| digital silence |", 0 * script.white_noise(0)),
        ("| noise, -80 dBFS", script.white_noise(-80)),
        ("| noise, -60, -40 and -20 dBFS |", script.white_noise(-40)),
    ):
        dog = script.row("", judge, wave, ["a dog barks"]).strip("| ").split(" | ")[0]
        assert dog == benchmark_row("level", beginning)[1]


@built
@needs_packages
@pytest.mark.slow
def test_a_row_of_the_foreign_words_is_measured_again():
    script = load_benchmark("foreign_words")
    judge = ROOT / "checkpoints/judge"
    manifest = read_manifest(judge)
    window = manifest.window_seconds
    loader = members.MemberLoader(root=judge, device=torch.device("cpu"), window_seconds=window)
    scorer = PairScorer([loader.member(judge / "members/zeroshot")], 2**28)
    paths, own, other = script.read_pairs()
    waves = [manifest.prepare(audio.read_audio(path))[1] for path in paths]
    prediction = PredictionConfig(window_seconds=window)
    scores, blend = [], manifest.ensemble
    for texts in (own, other):
        raw = np.tile(np.asarray(blend.mean), (len(texts), 1))
        column = blend.members.index("zeroshot")
        raw[:, column] = scorer.window_scores(waves, texts, prediction).of_pairs()[:, 0]
        scores.append(member_ratings(blend, raw)[:, column])
    rate = script.row("zeroshot", *scores).split(" | ")[1]
    assert rate.replace("0.", ".") == benchmark_row("foreign_words", "| zeroshot |")[1]


@pytest.mark.slow
def test_a_row_of_the_order_over_folds_is_measured_again():
    script = load_benchmark("fold_order")
    assert script.row("generator", 2.0, 1.0, 100) == benchmark_row("ensembles", "| 2 | 1 |")


@built
@pytest.mark.slow
def test_rows_of_the_weak_student_are_measured_again(monkeypatch, capsys):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    script = load_benchmark("pretraining")
    script.print_by_heart(script.Sample(), load_lalm(ROOT / "checkpoints/pretrain/captioned"))
    found = [line.split()[-1].removeprefix("0") for line in capsys.readouterr().out.splitlines()]
    beginnings = ("| that it learned |", "| of validation clips |")
    assert found == [benchmark_row("ablation", beginning)[2] for beginning in beginnings]
