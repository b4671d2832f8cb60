"""The optimizer loop: same bytes after a kill, same update on two processes, honest best epoch."""

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, devices
from soundjudge.training.loop import loop
from soundjudge.training.loop.optimization import Optimization

SMALL = Optimization(
    optimizer="adamw",
    learning_rate=0.1,
    weight_decay=0.0,
    epochs=3,
    batch_size=4,
    warmup_steps=0,
    final_lr_ratio=0.01,
    clip_norm=None,
    patience=None,
    precision="fp32",
    checkpoint_steps=100,
)
X = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([1.0, -2.0, 3.0])


class Line(nn.Module):
    """y = wx with a frozen part and a moving buffer."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(3, 1, bias=False)
        self.frozen = nn.Linear(3, 3).requires_grad_(False)
        self.register_buffer("calls", torch.zeros(()))
        nn.init.zeros_(self.linear.weight)

    def forward(self, x):
        if self.training:
            self.calls += 1
        return self.linear(x).squeeze(-1)


def squared(module, items, generator):
    return ((module(X[items]) - Y[items]) ** 2).mean()


def fit(module, work, size=10, loss=squared, **changes):
    """loop.fit with what these tests do not vary filled in."""
    keys = ("validate", "epoch_zero", "seed", "log")
    given = {"validate": None, "epoch_zero": False, "seed": 1, "log": lambda line: None}
    given |= {key: changes.pop(key) for key in keys if key in changes}
    work.mkdir(parents=True, exist_ok=True)
    optimization = replace(SMALL, **changes)
    return loop.train_module(
        module, size, loss, optimization=optimization, work=work, device="cpu", **given
    )


def test_the_learning_rate_is_a_cosine_per_epoch_with_a_linear_warm_up_per_step():
    steps = replace(SMALL, learning_rate=1.0, epochs=4, final_lr_ratio=0.2, warmup_steps=4)
    # Cosine factors (1 + cos(pi k / 4)) / 2 for k = 0, 2: 1 and 1/2; 0.2 + 0.8 * 1/2 = 0.6.
    assert steps.rate(1, 0) == pytest.approx(0.25)
    assert steps.rate(1, 3) == pytest.approx(1.0)
    assert steps.rate(1, 50) == pytest.approx(1.0)
    assert steps.rate(3, 50) == pytest.approx(0.6)


def test_the_rates_are_those_of_pytorchs_own_cosine_schedule():
    steps = replace(SMALL, learning_rate=0.3, epochs=7, final_lr_ratio=0.01)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=7, eta_min=0.003)
    for epoch in range(1, 8):
        assert steps.rate(epoch, 0) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


@pytest.mark.parametrize(
    ("name", "value"),
    [("learning_rate", 0.0), ("epochs", 0), ("warmup_steps", -1), ("patience", 0)],
)
def test_an_optimisation_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=name):
        replace(SMALL, **{name: value})


def test_one_step_is_the_step_of_a_plain_torch_optimiser(tmp_path):
    module, plain = Line(), Line()
    fit(module, tmp_path, epochs=1, batch_size=10, weight_decay=0.1, clip_norm=0.5)
    optimizer = torch.optim.AdamW([plain.linear.weight], lr=0.1, weight_decay=0.1)
    squared(plain, np.arange(10), None).backward()
    nn.utils.clip_grad_norm_([plain.linear.weight], 0.5)
    optimizer.step()
    torch.testing.assert_close(module.linear.weight, plain.linear.weight)


def test_every_epoch_visits_every_item_once_in_an_order_of_its_own_that_the_seed_fixes(tmp_path):
    seen = []

    def loss(module, items, generator):
        seen.append(items.tolist())
        return squared(module, items, generator)

    fit(Line(), tmp_path, loss=loss, epochs=2, seed=5)
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    first, second = sum(seen[:3], []), sum(seen[3:], [])
    assert first == np.random.default_rng([5, 1]).permutation(10).tolist()
    assert second == np.random.default_rng([5, 2]).permutation(10).tolist()


def test_items_may_be_lists_that_each_epoch_draws_anew(tmp_path):
    seen = []

    def loss(module, items, generator):
        seen.append(items)
        return ((module(X[items]) - Y[items]) ** 2).mean()

    fit(
        Line(),
        tmp_path,
        lambda rng: rng.permutation(10)[:9].reshape(3, 3),
        loss,
        epochs=2,
        batch_size=2,
    )
    assert [items.shape for items in seen] == [(2, 3), (1, 3), (2, 3), (1, 3)]
    assert not np.array_equal(seen[0], seen[2])


def test_what_needs_no_gradient_does_not_move(tmp_path):
    module = Line()
    before = module.frozen.weight.clone()
    fit(module, tmp_path)
    assert torch.equal(module.frozen.weight, before)
    assert module.linear.weight.abs().sum() > 0


def test_the_weights_of_the_best_epoch_are_in_the_module_at_the_end(tmp_path):
    module, values, weights = Line(), iter([0.1, 0.7, 0.3]), []

    def validate():
        assert not module.training
        assert not torch.is_grad_enabled()
        weights.append(module.linear.weight.clone())
        return next(values)

    result = fit(module, tmp_path, validate=validate)
    assert (result.best_epoch, result.best_value) == (2, 0.7)
    assert torch.equal(module.linear.weight, weights[1])
    assert [row["validation"] for row in result.history] == [0.1, 0.7, 0.3]
    assert [row["steps"] for row in result.history] == [3, 6, 9]


def test_training_stops_after_patience_epochs_without_improvement(tmp_path):
    values = iter([0.5, 0.6, 0.6, 0.4, 9.0])
    result = fit(Line(), tmp_path, validate=lambda: next(values), epochs=9, patience=2)
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4]
    assert result.best_epoch == 2


def test_the_untrained_module_can_stay_the_best(tmp_path):
    module, values = Line(), iter([1.0, 0.5, 0.4, 0.3])
    result = fit(module, tmp_path, validate=lambda: next(values), epoch_zero=True)
    assert result.best_epoch == 0
    assert result.history[0] == {
        "epoch": 0,
        "steps": 0,
        "learning_rate": None,
        "loss": None,
        "validation": 1.0,
    }
    assert torch.equal(module.linear.weight, torch.zeros(1, 3))


def test_without_validation_the_last_epoch_is_kept(tmp_path):
    result = fit(Line(), tmp_path)
    assert (result.best_epoch, result.best_value) == (3, None)
    assert result.history[0]["loss"] > result.history[2]["loss"]


def test_patience_without_a_validation_is_refused(tmp_path):
    with pytest.raises(SoundjudgeError, match="validation"):
        fit(Line(), tmp_path, patience=2)


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path):
    def loss(module, items, generator):
        return squared(module, items, generator) * float("nan")

    with pytest.raises(SoundjudgeError, match="epoch 1"):
        fit(Line(), tmp_path, loss=loss)


def test_an_epoch_without_items_is_refused(tmp_path):
    with pytest.raises(SoundjudgeError, match="nothing to train on"):
        fit(Line(), tmp_path, size=0)


def test_the_random_state_outside_is_left_alone(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(2)
    module = Line()
    torch.manual_seed(3)
    fit(module, tmp_path)
    assert torch.equal(torch.rand(2), expected)


def test_bf16_computes_the_loss_in_bf16_and_keeps_the_weights_in_fp32(tmp_path):
    dtypes = set()

    def loss(module, items, generator):
        prediction = module(X[items])
        dtypes.add(prediction.dtype)
        return ((prediction.float() - Y[items]) ** 2).mean()

    module = Line()
    fit(module, tmp_path, loss=loss, precision="bf16")
    assert dtypes == {torch.bfloat16}
    assert module.linear.weight.dtype == torch.float32


def test_two_states_are_kept_and_a_finished_training_is_not_repeated(tmp_path):
    module, again = Line(), Line()
    first = fit(module, tmp_path, checkpoint_steps=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "state-000000008.pt",
        "state-000000009.pt",
    ]

    def never(module, items, generator):
        raise AssertionError("trained again")

    second = fit(again, tmp_path, loss=never, checkpoint_steps=1)
    assert second == first
    assert torch.equal(again.linear.weight, module.linear.weight)


def test_a_state_holds_the_moving_tensors_only(tmp_path):
    fit(Line(), tmp_path)
    state = torch.load(tmp_path / "state-000000009.pt", weights_only=True)
    assert sorted(state["module"]) == ["calls", "linear.weight"]
    assert state["module"]["calls"] == 9


def test_a_damaged_state_is_passed_over_for_the_one_before(tmp_path):
    straight, resumed, lines = Line(), Line(), []
    fit(straight, tmp_path / "a")
    fit(Line(), tmp_path / "b")
    newest = tmp_path / "b" / "state-000000009.pt"
    newest.write_bytes(newest.read_bytes()[:100])
    fit(resumed, tmp_path / "b", log=lines.append)
    assert "damaged" in lines[0]
    assert torch.equal(straight.linear.weight, resumed.linear.weight)


def test_a_state_of_another_model_is_refused(tmp_path):
    fit(Line(), tmp_path)
    module = Line()
    module.frozen.requires_grad_(True)
    with pytest.raises(SoundjudgeError, match="frozen"):
        fit(module, tmp_path)


def test_the_history_is_written_with_six_digits_and_empty_cells_for_what_is_not_there(tmp_path):
    values = iter([1 / 3, 2 / 3])
    result = fit(
        Line(),
        tmp_path,
        epochs=1,
        validate=lambda: next(values),
        epoch_zero=True,
        learning_rate=0.3,
    )
    loop.write_history(tmp_path / "history.csv", result.history)
    with (tmp_path / "history.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == {
        "epoch": "0",
        "steps": "0",
        "learning_rate": "",
        "loss": "",
        "validation": "0.333333",
    }
    assert rows[1]["learning_rate"] == "0.3"


def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(SoundjudgeError, match="mps"):
        devices.process_state("cpu")  # settles this process on the CPU
        devices.process_state("mps")


# A training with dropout, augmentation, a validation and a moving buffer, as a process of its own.
SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np, torch
from torch import nn
from soundjudge import artifacts
from soundjudge.training import devices, loop

folder, epochs, slow_step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
dropout = float(sys.argv[4])
size = 11 if dropout else 10
devices.deterministic()
optimization = loop.Optimization(
    optimizer="adamw", learning_rate=0.05, weight_decay=0.01, epochs=epochs, batch_size=3,
    warmup_steps=5, final_lr_ratio=0.01, clip_norm=1.0, patience=20, precision="fp32",
    checkpoint_steps=2)
torch.manual_seed(0)
x = torch.randn(size, 4)
y = torch.randn(size)
model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(dropout), nn.Linear(8, 1))
if dropout:
    model.insert(1, nn.BatchNorm1d(8))
model[0].left_out = nn.Parameter(torch.ones(2))  # of no loss, as the score head in captioning
work = artifacts.work_folder("tiny", optimization, [])
steps = 0

def loss(module, items, generator):
    global steps
    steps += 1
    if slow_step and steps == slow_step:
        (folder / "here").touch()
        time.sleep(600)
    noise = torch.randn(4, generator=generator) * (0.1 if dropout else 0.0)
    return ((module(x[items] + noise).squeeze(-1) - y[items]) ** 2).mean()

def validate():
    return -float(((model(x).squeeze(-1) - y) ** 2).mean())

fit = loop.fit(model, size, loss, optimization=optimization, seed=7, validate=validate, work=work,
               device="cpu", log=lambda line: None, epoch_zero=True)
if devices.process("cpu").is_main_process:
    artifacts.save_tensors(folder / "model.safetensors", model.state_dict())
    loop.write_history(folder / "history.csv", fit.history)
    (folder / "steps").write_text(str(steps))
"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def run(folder, *, epochs=4, slow_step=0, dropout=0.3, launcher=()):
    """Runs the script in `folder` to its end, or up to a SIGKILL inside step `slow_step`."""
    folder.mkdir(exist_ok=True)
    script = folder / "tiny.py"
    script.write_text(SCRIPT)
    arguments = [str(script), str(folder), str(epochs), str(slow_step), str(dropout)]
    command = [sys.executable, *launcher, *arguments]
    if not slow_step:
        subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, timeout=300)
        return
    with subprocess.Popen(command, cwd=folder, env=ENVIRONMENT) as child:
        end = time.monotonic() + 120
        while not (folder / "here").exists() and time.monotonic() < end and child.poll() is None:
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("model.safetensors", "history.csv")}


def test_a_training_killed_in_mid_epoch_ends_with_the_bytes_of_an_uninterrupted_one(tmp_path):
    run(tmp_path / "straight")
    # 11 items in batches of 3 are 4 steps an epoch: step 7 is the third of epoch 2, and the last
    # state is that of step 6, in mid-epoch.
    run(tmp_path / "killed", slow_step=7)
    run(tmp_path / "killed")
    assert (tmp_path / "straight" / "steps").read_text() == "16"
    assert (tmp_path / "killed" / "steps").read_text() == "10"  # 16 - 6: continued, not repeated
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "straight")


def test_two_processes_make_the_updates_of_one(tmp_path):
    # The steps of an epoch have 3, 3, 3 and 1 items: shares of 2 and 1, then of 1 and none.
    run(tmp_path / "one", dropout=0.0)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    run(tmp_path / "two", dropout=0.0, launcher=launcher)
    one = artifacts.load_tensors(tmp_path / "one" / "model.safetensors")
    two = artifacts.load_tensors(tmp_path / "two" / "model.safetensors")
    for name in one:
        torch.testing.assert_close(one[name], two[name], atol=1e-5, rtol=1e-5)
