"""The full-size benchmark: the stages that it runs, its changes, and its measurements."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml
from repository import ROOT, load_benchmark

from soundjudge import recipes
from soundjudge.data.tables import tables
from soundjudge.model.lalm.llm import load_tokenizer
from soundjudge.training.loop.objective import ItemLoss
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.loop.updates import Updates

bf16_products = load_benchmark("bf16_products")
measured_run = load_benchmark("measured_run")
needed_stages = load_benchmark("needed_stages")
random_weights = load_benchmark("random_weights")
full_size = load_benchmark("full_size")


def recipe(name):
    return yaml.safe_load(recipes.recipe_text(name, ROOT / "recipes"))


def run_of(name):
    dvc = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
    return needed_stages.needed_stages(dvc, recipe(name), "package")


def test_the_command_that_scores_at_the_end_exists():
    assert full_size.SCORE.is_file()


def test_spo_runs_what_its_judge_needs_and_nothing_of_a_language_model():
    assert [stage.name for stage in run_of("spo2026")] == [
        "prepare", "screen", "standardize", "clap_features", "tune_clap", "predict@clapscore",
        "ensemble", "evaluate", "package",
    ]  # fmt: skip


@pytest.mark.slow
def test_tmu_runs_every_stage_but_the_regressor():
    stages = {stage.name: stage for stage in run_of("tmu2026")}
    assert list(stages) == [
        "prepare", "screen", "standardize", "clap_features", "tune_clap", "embed", "pseudolabel",
        "features", "caption", "pretrain@captioned", "pretrain@uncaptioned", "finetune@full1",
        "finetune@full2", "finetune@without1", "finetune@without2", "predict@full1",
        "predict@full2", "predict@without1", "predict@without2", "ensemble", "evaluate", "package",
    ]  # fmt: skip
    assert stages["finetune@full2"].command == ["stages/finetune.py", "full2"]
    assert Path("checkpoints/pretrain/uncaptioned") in stages["finetune@without2"].deps
    assert Path("checkpoints/finetune/full2") in stages["predict@full2"].deps


@pytest.mark.parametrize("name", full_size.CHANGES)
def test_no_size_precision_or_loss_of_a_recipe_is_changed(name):
    allowed = (
        "optimization.epochs",
        "num_random",
        "hard_similarity_range",
        "folds",
        "note",
        "compile",
    )
    for dotted in full_size.CHANGES[name]:
        needed_stages.lookup(recipe(name), dotted)  # KeyError where there is no such key
        assert dotted.endswith(allowed), dotted


@pytest.mark.parametrize(("kind", "size"), [("llm", 2_000), ("clap", 1_500)])
def test_a_filled_tokenizer_splits_as_before_and_has_the_size_asked_for(kind, size, tmp_path):
    source, text = ROOT / "checkpoints/sample" / kind, "A dog barks, then an owl hoots"
    random_weights.write_tokenizer(source, tmp_path, size)
    filled = load_tokenizer(tmp_path)
    assert len(filled) == size
    assert filled(text)["input_ids"] == load_tokenizer(source)(text)["input_ids"]


def test_widened_products_are_those_of_fp32_rounded_with_the_gradients():
    a, b = torch.randn(7, 5).bfloat16(), torch.randn(5, 3).bfloat16()
    a.requires_grad_(True)
    with bf16_products.ProductsInFp32():
        product = a @ b
        product.sum().backward()
    assert torch.equal(product, (a.detach().float() @ b.float()).bfloat16())
    ones = torch.ones(7, 3)
    assert torch.equal(a.grad, (ones @ b.float().T).bfloat16())


def test_widened_leaves_fp32_alone_and_attention_near_torch_s_own():
    x = torch.randn(4, 6)
    q, k, v = (torch.randn(2, 2, 9, 8).bfloat16() for _ in range(3))
    attend = torch.nn.functional.scaled_dot_product_attention
    plain, product = attend(q, k, v, is_causal=True), x @ x.T
    with bf16_products.ProductsInFp32():
        assert torch.equal(x @ x.T, product)
        widened = attend(q, k, v, is_causal=True)
    assert widened.dtype == torch.bfloat16
    torch.testing.assert_close(widened, plain, atol=0.03, rtol=0.03)


def test_ratings_are_dealt_out_by_the_sum_of_the_members_scores(tmp_path):
    names = ["0.wav", "1.wav", "2.wav"]
    pairs = pd.DataFrame({"wav_file_name": names, "text": ["a", "b", "c"]})
    columns = {"spo_score": 0.0, "latent_score": 5.0, "latent_se": 1.0, "ratings": 4}
    targets = pairs.assign(mean_score=[9.0, 2.0, 5.0], split="validation", **columns)
    path = tmp_path / "data/targets/validation.csv"
    path.parent.mkdir(parents=True)
    tables.write_table(targets[list(tables.TARGETS.columns)], path, tables.TARGETS)
    for member, scores in {"one": [1.0, 2.0, 4.0], "two": [0.0, 5.0, 1.0]}.items():
        folder = tmp_path / "data/predictions/members" / member
        folder.mkdir(parents=True)
        predictions = pairs.assign(pred_score=scores).iloc[::-1]  # in another order
        tables.write_table(predictions, folder / "validation.csv", tables.PREDICTIONS)
    full_size.permute_ratings(tmp_path, ["one", "two"])  # sums 1, 7, 5
    permuted = tables.read_table(path, tables.TARGETS).set_index("wav_file_name")["mean_score"]
    assert permuted[names].tolist() == [2.0, 9.0, 5.0]


def test_a_run_is_measured_and_one_that_fails_is_no_run(tmp_path):
    script, noted = tmp_path / "script.py", tmp_path / "noted.json"
    script.write_text("import sys\nkept = bytearray(2**26)\nsys.exit(int(sys.argv[1]))\n")
    command = [sys.executable, str(ROOT / "benchmarks/measured_run.py"), noted, script]
    subprocess.run([*command, "0"], check=True)
    cost = json.loads(noted.read_text())
    assert 2**26 < cost["memory"] < 2**31
    assert cost["gpu"] is None and cost["steps"] == []
    noted.unlink()
    assert subprocess.run([*command, "3"], check=False).returncode == 3
    assert not noted.exists()


def test_every_step_of_a_training_is_noted_with_its_mean_loss(monkeypatch):
    monkeypatch.setattr(Updates, "step", Updates.step)  # undone at the end
    steps = []
    measured_run.note_steps(steps)
    module = torch.nn.Linear(1, 1, bias=False)
    module.weight.data.fill_(3.0)
    optimization = Optimization(
        optimizer="adam", learning_rate=1e-3, weight_decay=0.0, epochs=1, batch_size=2
    )
    loss = ItemLoss(
        read=lambda items: torch.ones(len(items), 1), loss=lambda m, inputs, _: m(inputs).mean()
    )
    updates = Updates(module, loss, optimization)
    for _ in range(2):
        updates.step(updates.read(torch.arange(2).numpy()), 1e-3, torch.Generator())
    first, second = (step["loss"] for step in steps)
    assert first == 3.0
    assert second == pytest.approx(3.0 - 1e-3)  # Adam's first step is the learning rate
    assert all(step["seconds"] > 0 for step in steps)
