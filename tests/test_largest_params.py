"""Values of params.yaml that nobody means are refused where it is read, not after a night."""

import copy
from pathlib import Path

import pytest
import yaml

from soundjudge.doctor import sections
from soundjudge.errors import SoundjudgeError

DEFAULTS = yaml.safe_load(Path("params.yaml").read_text(encoding="utf-8"))
BATCHES = [
    "tune_clap.list_size", "tune_clap.encode_batch_size", "tune_clap.optimization.batch_size",
    "pretrain.training.list_size", "pretrain.training.eval_batch_size",
    "finetune.training.list_size", "caption.eval_batch_size", "caption.optimization.batch_size",
    "caption.generation.batch_size", "clap_features.batch_size", "regress.batch_size",
    "fusion.batch_size", "embed.batch_size", "features.batch_size", "predict.batch_size",
    "likelihood.num_references", "pseudolabel.pool",
]  # fmt: skip
OTHERS = {
    "caption.optimization.warmup_steps": (10**9, "0 to 10000000"),
    "caption.optimization.learning_rate": (1e-300, "1e-12 to 1"),
    "caption.optimization.clip_norm": (1e-300, "1e-06 to 1000000.0, or null"),
    "caption.optimization.checkpoint_minutes": (1e300, "above 0 and at most 10080, a week"),
    "caption.generation.num_beams": (10**9, "1 to 1000"),
    "caption.generation.max_tokens": (10**9, "1 to 1000000"),
    "pseudolabel.num_random": (1e9, "0 to 1000"),
    "pseudolabel.num_silent": (1e9, "0 to 1000"),
    "prepare.num_silent": (10**9, "0 to 10000000"),
    "standardize.latent.scale_sd": (1e9, "1e-06 to 10"),
    "standardize.latent.tolerance": (1e-300, "1e-15 or more"),
    "standardize.latent.max_iterations": (10**12, "1 to 10000000"),
    "screen.straightline_min_ratings": (10**9, "2 to 10000000"),
    "prepare.silence_dbfs": (-1e9, "-200 or more and below 0, full scale"),
    "prepare.max_characters": (10**12, "1 to 1000000"),
    "tune_clap.optimization.clip_norm": (1e300, "1e-06 to 1000000.0, or null"),
    "tune_clap.optimization.patience": (10**9, "1 to 100000, or null"),
    "finetune.members.full1.specaugment": (
        {"freq_mask": 129, "time_mask": 1, "per": "batch"},
        "1 to 128",
    ),
    "pretrain.training.optimization.ema_decay": (
        0.9999999999,
        "above 0 and at most 0.999999, or null",
    ),
    "fusion.likelihood_weight": (1e300, "1e-06 to 1000000.0"),
    "evaluate.confidence": (0.9999999999, "choose 0.5 to 0.999"),
    "standardize.latent.noise_prior_weight": (1e300, "1e-06 to 10000000"),
    "regress.c": (1e300, "1e-06 to 1000000.0"),
    "fusion.gamma": (1e300, "1e-09 to 1e+09, or 'scale'"),
}
CASES = [(key, 10**12, "to 1000000") for key in BATCHES] + [(k, *v) for k, v in OTHERS.items()]


@pytest.mark.parametrize(("key", "value", "rule"), CASES)
def test_a_value_that_cannot_be_meant_is_refused_with_its_bounds(tmp_path, key, value, rule):
    params = copy.deepcopy(DEFAULTS)
    *parents, name = key.split(".")
    section = params
    for parent in parents:
        section = section.setdefault(parent, {})
    section[name] = value
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(params), encoding="utf-8")
    assert not sections.find_problems(Path("params.yaml"))
    (problem,) = sections.find_problems(path)
    assert f"{value}: " in problem or "freq_mask is 129: " in problem
    assert rule in problem


def test_a_folder_in_the_place_of_the_file_is_told_as_one(tmp_path):
    with pytest.raises(SoundjudgeError, match="is no file: run from the folder that holds it"):
        sections.find_problems(tmp_path)
