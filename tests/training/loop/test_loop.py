"""The optimizer loop: the same bytes after a kill, the same update on two processes, best epoch."""

import csv
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.optim.optimizer import register_optimizer_step_post_hook
from torch.utils._python_dispatch import TorchDispatchMode

from soundjudge.errors import SoundjudgeError
from soundjudge.runtime import artifacts, devices, progress
from soundjudge.training.loop import clock, loop, states
from soundjudge.training.loop.history import write_history
from soundjudge.training.loop.objective import ItemLoss
from soundjudge.training.loop.optimization import Optimization
from soundjudge.training.loop.run import TrainingRun

SMALL = Optimization(
    optimizer="adamw",
    learning_rate=0.1,
    weight_decay=0.0,
    epochs=3,
    batch_size=4,
    clip_norm=None,
)
EVERY_STEP = 1e-9  # minutes between two states
X = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
Y = X @ torch.tensor([1.0, -2.0, 3.0])


class Line(nn.Module):
    """y = wx with a frozen part and a buffer that changes."""

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


def squared_error(module, items, generator):
    return ((module(X[items]) - Y[items]) ** 2).mean()


def train(module, work, size=10, loss=squared_error, **changes):
    """loop.train_module with defaults; other `changes` are of SMALL. The loss reads for itself."""
    arguments = {"validate": None, "epoch_zero": False, "seed": 1, "log": lambda line: None}
    arguments["history"] = None
    arguments |= {key: changes.pop(key) for key in arguments if key in changes}
    work.mkdir(parents=True, exist_ok=True)
    optimization = replace(SMALL, **changes)
    return loop.train_module(
        module,
        size,
        ItemLoss(read=lambda items: (items,), loss=lambda m, inputs, rng: loss(m, *inputs, rng)),
        optimization=optimization,
        work=work,
        device="cpu",
        **arguments,
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
    [
        ("learning_rate", 0.0),
        ("epochs", 0),
        ("warmup_steps", -1),
        ("patience", 0),
        ("ema_decay", 1.0),
    ],
)
def test_an_optimization_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(SoundjudgeError, match=name):
        replace(SMALL, **{name: value})


def test_a_warm_up_that_no_step_would_end_is_refused_before_the_first(tmp_path):
    train(Line(), tmp_path / "a", epochs=2, batch_size=5, warmup_steps=4)  # 2 epochs of 2 steps
    with pytest.raises(SoundjudgeError, match="warmup_steps is 5, and the training has 4 steps"):
        train(Line(), tmp_path / "b", epochs=2, batch_size=5, warmup_steps=5)


def test_one_step_is_the_step_of_a_plain_torch_optimizer(tmp_path):
    module, plain = Line(), Line()
    train(module, tmp_path, epochs=1, batch_size=10, weight_decay=0.1, clip_norm=0.5)
    optimizer = torch.optim.AdamW([plain.linear.weight], lr=0.1, weight_decay=0.1)
    squared_error(plain, np.arange(10), None).backward()
    nn.utils.clip_grad_norm_([plain.linear.weight], 0.5)
    optimizer.step()
    torch.testing.assert_close(module.linear.weight, plain.linear.weight)


def test_every_epoch_visits_every_item_once_in_an_order_of_its_own_that_the_seed_fixes(tmp_path):
    seen = []

    def loss(module, items, generator):
        seen.append(items.tolist())
        return squared_error(module, items, generator)

    train(Line(), tmp_path, loss=loss, epochs=2, seed=5)
    assert [len(batch) for batch in seen] == [4, 4, 2, 4, 4, 2]
    first, second = sum(seen[:3], []), sum(seen[3:], [])
    assert first == np.random.default_rng([5, 1]).permutation(10).tolist()
    assert second == np.random.default_rng([5, 2]).permutation(10).tolist()


def test_items_may_be_lists_that_each_epoch_draws_anew(tmp_path):
    seen = []

    def loss(module, items, generator):
        seen.append(items)
        return ((module(X[items]) - Y[items]) ** 2).mean()

    train(
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
    train(module, tmp_path)
    assert torch.equal(module.frozen.weight, before)
    assert module.linear.weight.abs().sum() > 0


def test_the_weights_of_the_best_epoch_are_in_the_module_at_the_end(tmp_path):
    module, values, weights = Line(), iter([0.1, 0.7, 0.3]), []

    def validate():
        assert not module.training
        assert not torch.is_grad_enabled()
        weights.append(module.linear.weight.clone())
        return next(values)

    result = train(module, tmp_path, validate=validate)
    assert (result.best_epoch, result.best_value) == (2, 0.7)
    assert torch.equal(module.linear.weight, weights[1])
    assert [row["validation"] for row in result.history] == [0.1, 0.7, 0.3]
    assert [row["steps"] for row in result.history] == [3, 6, 9]


def test_training_stops_after_patience_epochs_without_improvement(tmp_path):
    values = iter([0.5, 0.6, 0.6, 0.4, 9.0])
    result = train(Line(), tmp_path, validate=lambda: next(values), epochs=9, patience=2)
    assert [row["epoch"] for row in result.history] == [1, 2, 3, 4]
    assert result.best_epoch == 2


def test_the_untrained_module_can_stay_the_best(tmp_path):
    module, values = Line(), iter([1.0, 0.5, 0.4, 0.3])
    result = train(module, tmp_path, validate=lambda: next(values), epoch_zero=True)
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
    result = train(Line(), tmp_path)
    assert (result.best_epoch, result.best_value) == (3, None)
    assert result.history[0]["loss"] > result.history[2]["loss"]


def averages(weights, decay):
    """The average after each step of `weights`, (1 + n) / (10 + n) in place of a larger decay."""
    average, result = weights[0], []
    for n, weight in enumerate(weights[1:], start=1):
        share = min(decay, (1 + n) / (10 + n))
        average = share * average + (1 - share) * weight
        result.append(average)
    return result


def weights_after_steps(tmp_path, steps, **changes):
    """Of plain trainings of 0, 1, ... steps of an epoch each, whose rate does not fall."""
    weights = [torch.zeros(1, 3)]
    for count in range(1, steps + 1):
        module = Line()
        train(module, tmp_path / f"{count}", epochs=count, **changes)
        weights.append(module.linear.weight.detach().clone())
    return weights


CONSTANT = {"batch_size": 10, "final_lr_ratio": 1.0}  # one step an epoch


@pytest.mark.parametrize("decay", [0.3, 0.99])
def test_the_average_of_the_weights_is_validated_and_kept_and_the_steps_are_those_without(
    tmp_path, decay
):
    expected = averages(weights_after_steps(tmp_path, 4, **CONSTANT), decay)
    module, values, seen = Line(), iter([0.1, 0.2, 0.7, 0.3]), []

    def validate():
        seen.append(module.linear.weight.clone())
        return next(values)

    train(module, tmp_path / "ema", validate=validate, epochs=4, ema_decay=decay, **CONSTANT)
    torch.testing.assert_close(seen, expected)
    torch.testing.assert_close(module.linear.weight.detach(), expected[2])


def test_without_validation_the_last_average_is_kept(tmp_path):
    expected = averages(weights_after_steps(tmp_path, 3, **CONSTANT), 0.5)
    for _ in range(2):  # the second continues after the end of the first
        module = Line()
        train(module, tmp_path / "ema", ema_decay=0.5, **CONSTANT)
        torch.testing.assert_close(module.linear.weight.detach(), expected[2])


def test_patience_without_a_validation_is_refused(tmp_path):
    with pytest.raises(SoundjudgeError, match="validation"):
        train(Line(), tmp_path, patience=2)


def test_a_loss_that_is_not_a_number_stops_the_training(tmp_path):
    def loss(module, items, generator):
        return squared_error(module, items, generator) * float("nan")

    with pytest.raises(SoundjudgeError, match="epoch 1"):
        train(Line(), tmp_path, loss=loss)


def test_an_epoch_without_items_is_refused(tmp_path):
    with pytest.raises(SoundjudgeError, match="nothing to train on"):
        train(Line(), tmp_path, size=0)


def test_the_random_state_outside_is_left_alone(tmp_path):
    torch.manual_seed(3)
    expected = torch.rand(2)
    module = Line()
    torch.manual_seed(3)
    train(module, tmp_path)
    assert torch.equal(torch.rand(2), expected)


def test_bf16_computes_the_loss_in_bf16_and_keeps_the_weights_in_fp32(tmp_path):
    dtypes = set()

    def loss(module, items, generator):
        prediction = module(X[items])
        dtypes.add(prediction.dtype)
        return ((prediction.float() - Y[items]) ** 2).mean()

    module = Line()
    train(module, tmp_path, loss=loss, precision="bf16")
    assert dtypes == {torch.bfloat16}
    assert module.linear.weight.dtype == torch.float32


def files(folder, pattern="state-*"):
    """The positions of the states in `folder`: the epoch and the step that come next."""
    stems = sorted(path.stem for path in folder.glob(pattern))
    return [tuple(int(part) for part in stem.split("-")[1:]) for stem in stems]


def test_a_finished_training_is_not_repeated(tmp_path):
    module, other = Line(), Line()
    first = train(module, tmp_path)
    assert files(tmp_path) == [(4, 0)]

    def never(module, items, generator):
        raise AssertionError("trained again")

    second = train(other, tmp_path, loss=never)
    assert second == first
    assert torch.equal(other.linear.weight, module.linear.weight)


def failing(after):
    """squared_error, up to an interrupt in step `after` + 1; and the weights before each step."""
    weights = []

    def loss(module, items, generator):
        weights.append(module.linear.weight.detach().clone())
        if len(weights) > after:
            raise KeyboardInterrupt
        return squared_error(module, items, generator)

    return loss, weights


def test_two_states_are_kept_and_the_last_end_of_an_epoch(tmp_path):
    loss, weights = failing(after=5)  # three steps an epoch
    with pytest.raises(KeyboardInterrupt):
        train(Line(), tmp_path, loss=loss, checkpoint_minutes=EVERY_STEP)
    assert files(tmp_path) == [(2, 0), (2, 1), (2, 2)]
    state = torch.load(tmp_path / "state-00002-000000001.pt", weights_only=True)
    assert torch.equal(state["module"]["linear.weight"], weights[4])


def test_states_are_stored_by_the_clock_which_is_looked_at_now_and_then(monkeypatch):
    now, looks, due = 0.0, 0, []
    monkeypatch.setattr(clock.time, "monotonic", lambda: now)
    state_clock = clock.StateClock(minutes=10)
    for step in range(1, 3001):
        now += 0.5
        if state_clock.asks():
            looks += 1
            due += [step] if state_clock.step_due() else []
    assert due == [1200, 2400]
    assert looks < 40


def test_processes_whose_clocks_began_apart_agree_when_a_state_is_due(monkeypatch):
    # Else one would wait for the others at a state, and they for it at a step: for ever.
    now, sent = 0.0, []
    monkeypatch.setattr(clock.time, "monotonic", lambda: now)
    first = clock.StateClock(minutes=1)
    now = 0.3
    later = clock.StateClock(minutes=1)
    now = -5000.0
    elsewhere = clock.StateClock(minutes=1)
    monkeypatch.setattr(clock, "broadcast_object_list", lambda own: sent)
    due = {"step": [], "epoch": []}
    for step in range(1, 1000):
        now = step / 5
        clocks = [first, later, elsewhere]
        assert len({one.asks() for one in clocks}) == 1
        if first.steps < first.next:
            continue
        for name in due:
            sent[:] = [first._now()]
            (agreed,) = {getattr(one, f"{name}_due")() for one in clocks}
            due[name] += [step] if agreed else []
    assert due == {"step": [300, 600, 900], "epoch": [300, 600, 900]}


def test_the_end_of_an_epoch_is_stored_by_the_clock_and_at_the_end_of_the_training(
    tmp_path, monkeypatch
):
    now, stored = 0.0, []
    monkeypatch.setattr(clock.time, "monotonic", lambda: now)
    save = states.States.save
    monkeypatch.setattr(
        states.States, "save", lambda self: (stored.append(self.progress.epoch), save(self))
    )

    def validate():
        nonlocal now
        now += 40.0
        return 1.0

    train(Line(), tmp_path, validate=validate, epochs=5, checkpoint_minutes=1.0)
    assert stored == [3, 5, 6]  # 40 seconds an epoch: after every second, and after the last


def test_the_best_weights_have_a_file_that_is_written_when_they_change(tmp_path):
    values, module = iter([0.1, 0.7, 0.3, 0.2]), Line()
    loss, weights = failing(after=11)
    with pytest.raises(KeyboardInterrupt):
        train(
            module,
            tmp_path,
            loss=loss,
            validate=lambda: next(values),
            epochs=4,
            checkpoint_minutes=EVERY_STEP,
        )
    assert files(tmp_path) == files(tmp_path, "best-*") == [(4, 0), (4, 1), (4, 2)]
    assert len({path.stat().st_ino for path in tmp_path.glob("best-*")}) == 1
    best = torch.load(tmp_path / "best-00004-000000002.pt", weights_only=True)
    assert torch.equal(best["linear.weight"], weights[6])  # after the six steps of two epochs
    state = torch.load(tmp_path / "state-00004-000000002.pt", weights_only=True)
    assert "best" not in state["progress"]
    resumed = Line()
    result = train(resumed, tmp_path, validate=lambda: next(values), epochs=4)
    assert result.best_epoch == 2
    assert torch.equal(resumed.linear.weight, weights[6])


def test_a_state_is_written_by_a_thread_while_the_training_goes_on(tmp_path, monkeypatch):
    loss, weights = failing(after=2)
    save, threads = torch.save, []

    def slow(content, path):
        threads.append(threading.current_thread())
        end = time.monotonic() + 10
        while len(weights) < 2 and time.monotonic() < end:  # until the next step has begun
            time.sleep(0.01)
        time.sleep(0.05)
        save(content, path)

    monkeypatch.setattr(torch, "save", slow)
    with pytest.raises(KeyboardInterrupt):
        train(Line(), tmp_path, loss=loss, checkpoint_minutes=EVERY_STEP)
    assert files(tmp_path) == [(1, 1), (1, 2)]
    assert threading.main_thread() not in threads
    state = torch.load(tmp_path / "state-00001-000000001.pt", weights_only=True)
    assert torch.equal(state["module"]["linear.weight"], weights[1])
    assert all(value["step"] == 1 for value in state["optimizer"]["state"].values())


@pytest.mark.parametrize("minutes", [EVERY_STEP, 10.0])
def test_a_write_that_fails_ends_the_training(tmp_path, monkeypatch, minutes):
    def full(content, path):
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        train(Line(), tmp_path, checkpoint_minutes=minutes)
    assert files(tmp_path) == []


def test_a_state_holds_the_moving_tensors_only(tmp_path):
    train(Line(), tmp_path)
    state = torch.load(tmp_path / "state-00004-000000000.pt", weights_only=True)
    assert sorted(state["module"]) == ["calls", "linear.weight"]
    assert state["module"]["calls"] == 9


@pytest.mark.parametrize("kind", ["state", "best"])
def test_a_damaged_state_is_passed_over_for_the_one_before(tmp_path, kind):
    uninterrupted, resumed, lines, values = Line(), Line(), [], [0.1, 0.2, 0.3]
    values = {folder: iter([0.1, 0.2, 0.3, 0.3]) for folder in "ab"}
    train(uninterrupted, tmp_path / "a", validate=lambda: next(values["a"]))
    arguments = {"validate": lambda: next(values["b"]), "checkpoint_minutes": EVERY_STEP}
    train(Line(), tmp_path / "b", **arguments)
    newest = tmp_path / "b" / f"{kind}-00004-000000000.pt"
    newest.write_bytes(newest.read_bytes()[:100])
    train(resumed, tmp_path / "b", log=lines.append, **arguments)
    assert "damaged" in lines[0]
    assert "continued after step 9, in epoch 3" in lines[1]
    assert torch.equal(uninterrupted.linear.weight, resumed.linear.weight)


def test_training_that_went_back_before_a_damaged_state_keeps_its_new_ones(tmp_path):
    train(Line(), tmp_path)
    (tmp_path / "state-00004-000000000.pt").write_bytes(b"damaged")
    loss, _ = failing(after=2)
    with pytest.raises(KeyboardInterrupt):
        train(Line(), tmp_path, loss=loss, checkpoint_minutes=EVERY_STEP)
    assert files(tmp_path) == [(1, 1), (1, 2)]


def not_finite(kind, steps):
    """squared_error, but in these steps the loss, its gradient or both are not finite."""
    calls = 0

    def loss(module, items, generator):
        nonlocal calls
        calls += 1
        value = squared_error(module, items, generator)
        if calls not in steps:
            return value
        if kind == "loss":
            return value * float("nan")
        if kind == "level":  # infinite, with the gradient of any other loss
            return value + float("inf")
        return value + (0.0 * module.linear.weight).sum().sqrt()

    return loss


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("kind", ["loss", "level", "gradient"])
def test_a_step_that_is_not_finite_is_skipped_and_counted(tmp_path, kind, clip_norm):
    module, lines, steps = Line(), [], {1, 5}  # the first of all, and the second of epoch 2
    loss = not_finite(kind, steps)
    result = train(module, tmp_path, loss=loss, clip_norm=clip_norm, log=lines.append)

    plain, losses = Line(), []
    optimizer = torch.optim.AdamW([plain.linear.weight], weight_decay=0.0)
    for step in range(1, 10):
        order = np.random.default_rng([1, (step - 1) // 3 + 1]).permutation(10)
        items = order[(step - 1) % 3 * 4 :][:4]
        if step in steps:
            continue
        optimizer.param_groups[0]["lr"] = SMALL.rate((step - 1) // 3 + 1, step)
        optimizer.zero_grad()
        value = squared_error(plain, items, None)
        value.backward()
        if clip_norm is not None:
            nn.utils.clip_grad_norm_([plain.linear.weight], clip_norm)
        optimizer.step()
        losses += [(value.item(), len(items))] if step > 3 else []
    torch.testing.assert_close(module.linear.weight, plain.linear.weight)
    assert module.calls == 7  # buffers are as before the step, too
    (first, _), (third, last) = losses[:2]
    assert result.history[1]["loss"] == pytest.approx((4 * first + last * third) / (4 + last))
    assert sum("1 steps skipped" in line for line in lines) == 2


class Questions(TorchDispatchMode):
    """Counts the numbers that are asked of tensors: on a GPU each waits for all before it."""

    def __init__(self):
        super().__init__()
        self.asked = 0

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        self.asked += operation.name() == "aten::_local_scalar_dense"
        return operation(*arguments, **(keywords or {}))


@pytest.mark.parametrize("clip_norm", [None, 0.5])
@pytest.mark.parametrize("bad", [[], [2]])
def test_a_step_is_skipped_and_counted_without_asking_the_device(tmp_path, bad, clip_norm):
    loss = not_finite("loss", bad)
    parts = {"read": lambda items: (items,), "loss": lambda m, inputs, rng: loss(m, *inputs, rng)}
    optimization = replace(SMALL, clip_norm=clip_norm, ema_decay=0.9)
    arguments = (optimization, None, tmp_path, print, None)
    with closing(TrainingRun(Line(), ItemLoss(**parts), *arguments)) as training:
        steps = [training.updates.read(np.arange(4)) for _ in range(3)]
        with Questions() as questions:
            for step in steps:
                training.step(step)
            assert questions.asked == 0
            assert int(training.progress.skipped) == len(bad)
        assert questions.asked == 1


@pytest.mark.parametrize(
    ("minutes", "steps"), [(EVERY_STEP, "^11 of 11 steps"), (10.0, "^30 of 30 steps")]
)
def test_too_many_skipped_steps_end_the_training_and_leave_the_last_good_state(
    tmp_path, minutes, steps
):
    change = {"batch_size": 1, "epochs": 2, "checkpoint_minutes": minutes}
    loss = not_finite("loss", range(31, 99))
    advice = ".* were skipped.*continues.*lower the learning rate"
    with pytest.raises(SoundjudgeError, match=steps + advice):
        train(Line(), tmp_path, 30, lambda m, i, g: loss(m, i % 10, g), **change)
    for path in tmp_path.glob("state-*"):
        state = torch.load(path, weights_only=True)
        assert all(tensor.isfinite().all() for tensor in state["module"].values())
    assert len(files(tmp_path)) == (3 if minutes == EVERY_STEP else 0)


def test_a_fault_that_has_passed_costs_nothing_but_its_steps(tmp_path):
    resumed, straight = Line(), Line()
    change = {"checkpoint_minutes": EVERY_STEP}
    train(straight, tmp_path / "straight", **change)
    with pytest.raises(SoundjudgeError, match="3 of 3 steps of epoch 2"):
        train(Line(), tmp_path / "a", loss=not_finite("loss", range(4, 99)), **change)
    for path in (tmp_path / "a").glob("*-00002-00000000[1-3].pt"):
        path.unlink()  # what the fault had reached
    train(resumed, tmp_path / "a", **change)
    assert torch.equal(resumed.linear.weight, straight.linear.weight)


@pytest.fixture
def infinite_moments():
    """From the fifth step on, a moment of every optimizer is infinite."""

    def damage(optimizer, *_):
        (values,) = optimizer.state.values()
        if values["step"] == 5:
            values["exp_avg_sq"].fill_(float("inf"))

    handle = register_optimizer_step_post_hook(damage)
    yield
    handle.remove()


def test_moments_that_are_not_finite_are_never_stored(tmp_path, infinite_moments):
    with pytest.raises(SoundjudgeError, match="not finite after step 5"):
        train(Line(), tmp_path, checkpoint_minutes=EVERY_STEP)
    assert files(tmp_path) == [(2, 0), (2, 1)]


def test_a_state_that_is_not_finite_is_never_stored(tmp_path):
    def loss(module, items, generator):
        value = squared_error(module, items, generator)
        if module.calls == 5:
            module.calls += float("inf")
        return value

    with pytest.raises(SoundjudgeError, match="not finite after step 5"):
        train(Line(), tmp_path, loss=loss, checkpoint_minutes=EVERY_STEP)
    assert files(tmp_path) == [(2, 0), (2, 1)]


@pytest.mark.parametrize("passes", [2, 3, 4])
def test_a_step_in_several_passes_is_the_update_of_one(tmp_path, passes):
    sizes = []

    def loss(module, items, generator):
        sizes.append(len(items))
        return squared_error(module, items, generator)

    whole, parts = Line(), Line()
    one = train(whole, tmp_path / "a", clip_norm=1.0)
    several = train(parts, tmp_path / "b", loss=loss, clip_norm=1.0, accumulation_steps=passes)
    torch.testing.assert_close(parts.linear.weight, whole.linear.weight, atol=1e-6, rtol=1e-6)
    assert several.history[2]["loss"] == pytest.approx(one.history[2]["loss"], rel=1e-6)
    assert sizes[:passes] == {2: [2, 2], 3: [2, 1, 1], 4: [1, 1, 1, 1]}[passes]
    assert sum(sizes) == 30


def test_more_passes_than_items_are_refused():
    with pytest.raises(SoundjudgeError, match="never divided"):
        replace(SMALL, accumulation_steps=5)


def test_the_random_state_of_mps_is_in_the_state(monkeypatch):
    device, restored = torch.device("mps"), []
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: torch.arange(3))
    monkeypatch.setattr(torch.mps, "set_rng_state", restored.append)
    states.set_device_random_state(device, states.device_random_state(device))
    assert restored[0].tolist() == [0, 1, 2]


def test_the_history_grows_with_every_epoch(tmp_path):
    path, rows = tmp_path / "plots" / "history.csv", []

    def validate():
        rows.append(len(path.read_text().splitlines()) if path.exists() else 0)
        return 0.5

    train(Line(), tmp_path, validate=validate, history=path)
    assert rows == [0, 2, 3]
    assert len(path.read_text().splitlines()) == 4


def test_the_progress_is_told_with_rate_loss_and_time_left(tmp_path, monkeypatch):
    lines = []
    monkeypatch.setattr(progress, "LOG_SECONDS", 0.0)
    train(Line(), tmp_path, log=lines.append, epochs=2)
    pattern = r"5 of 6 steps, epoch 2, loss \d\.\d+, \S+ steps a second, 0:00:00 left"
    assert sum(bool(re.fullmatch(pattern, line)) for line in lines) == 1


def test_a_state_of_another_model_is_refused(tmp_path):
    train(Line(), tmp_path)
    module = Line()
    module.frozen.requires_grad_(True)
    with pytest.raises(SoundjudgeError, match="frozen"):
        train(module, tmp_path)


def test_the_history_is_written_with_six_digits_and_empty_cells_for_what_is_not_there(tmp_path):
    values = iter([1 / 3, 2 / 3])
    result = train(
        Line(),
        tmp_path,
        epochs=1,
        validate=lambda: next(values),
        epoch_zero=True,
        learning_rate=0.3,
    )
    write_history(tmp_path / "history.csv", result.history)
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


# A training with dropout, augmentation, validation and batch norm, as a process of its own.
SCRIPT = """
import sys, time
from pathlib import Path
import numpy as np, torch
from torch import nn
from soundjudge.runtime import artifacts, devices
from soundjudge.runtime.work import work_folder
from soundjudge.training.loop import loop
from soundjudge.training.loop.objective import ItemLoss
from soundjudge.training.loop.optimization import Optimization

folder, epochs, slow_step = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
dropout, bad_item, accumulation_steps = float(sys.argv[4]), int(sys.argv[5]), int(sys.argv[6])
ema_decay = float(sys.argv[7]) or None
size = 11 if dropout else 10
devices.make_deterministic()
optimization = Optimization(
    optimizer="adamw", learning_rate=0.05, weight_decay=0.01, epochs=epochs, batch_size=3,
    warmup_steps=5, final_lr_ratio=0.01, clip_norm=1.0, patience=20, precision="fp32",
    accumulation_steps=accumulation_steps, ema_decay=ema_decay,
    checkpoint_minutes=1e-9)  # a state after every step
torch.manual_seed(0)
x = torch.randn(size, 4)
y = torch.randn(size)
model = nn.Sequential(nn.Linear(4, 8), nn.Dropout(dropout), nn.Linear(8, 1))
if dropout:
    model.insert(1, nn.BatchNorm1d(8))
model[0].unused = nn.Parameter(torch.ones(2))  # in no loss, as the score head in captioning
work = work_folder("tiny", optimization, [])
steps = 0

def loss(module, inputs, generator):
    global steps
    (items,) = inputs
    steps += 1
    if slow_step and steps == slow_step:
        while not list(work.glob(f"state-*-{(steps - 1) % 4:09d}.pt")):
            time.sleep(0.01)  # until the thread has written the last state
        (folder / "here").touch()
        time.sleep(600)
    noise = torch.randn(4, generator=generator) * (0.1 if dropout else 0.0)
    scale = float("nan") if bad_item in items else 1.0
    return scale * ((module(x[items] + noise).squeeze(-1) - y[items]) ** 2).mean()

def validate():
    return -float(((model(x).squeeze(-1) - y) ** 2).mean())

result = loop.train_module(
    model, size, ItemLoss(read=lambda items: (items,), loss=loss), optimization=optimization,
    seed=7, validate=validate, work=work, device="cpu", log=lambda line: None, epoch_zero=True,
    history=folder / "history.csv")
if devices.process_state("cpu").is_main_process:
    artifacts.save_tensors(folder / "model.safetensors", model.state_dict())
    (folder / "steps").write_text(str(steps))
"""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


def run(
    python,
    folder,
    *,
    epochs=4,
    slow_step=0,
    dropout=0.3,
    bad_item=-1,
    accumulation_steps=1,
    ema_decay=0.0,
    launcher=(),
):
    """Runs the script in `folder` to its end, or up to a SIGKILL inside step `slow_step`."""
    folder.mkdir(exist_ok=True)
    script = folder / "tiny.py"
    script.write_text(SCRIPT)
    values = (folder, epochs, slow_step, dropout, bad_item, accumulation_steps, ema_decay)
    arguments = [str(script), *map(str, values)]
    if not slow_step:
        environment = {**ENVIRONMENT, "PYTHON_EXEC": str(python)}  # of what torchrun starts
        command = [str(python), *launcher, *arguments]
        subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300)
        return
    command = [sys.executable, *arguments]  # a process of its own: what is killed is the script
    with subprocess.Popen(command, cwd=folder, env=ENVIRONMENT) as child:
        end = time.monotonic() + 120
        while not (folder / "here").exists() and time.monotonic() < end and child.poll() is None:
            time.sleep(0.05)
        child.send_signal(signal.SIGKILL)
    assert child.returncode == -signal.SIGKILL


def outputs(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in ("model.safetensors", "history.csv")}


@pytest.mark.slow
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_training_killed_in_mid_epoch_ends_with_the_bytes_of_an_uninterrupted_one(
    tmp_path, warm_python, ema_decay
):
    run(warm_python, tmp_path / "straight", ema_decay=ema_decay)
    # 11 items in batches of 3 are 4 steps an epoch: step 7 is the third of epoch 2, and the last
    # state is that of step 6, in mid-epoch.
    run(warm_python, tmp_path / "killed", slow_step=7, ema_decay=ema_decay)
    run(warm_python, tmp_path / "killed", ema_decay=ema_decay)
    assert (tmp_path / "straight" / "steps").read_text() == "16"
    assert (tmp_path / "killed" / "steps").read_text() == "10"  # 16 - 6: continued, not repeated
    assert outputs(tmp_path / "killed") == outputs(tmp_path / "straight")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("bad_item", "accumulation_steps", "ema_decay"),
    [(-1, 1, 0.0), (4, 1, 0.0), (-1, 2, 0.0), (-1, 1, 0.9)],
)
def test_two_processes_make_the_updates_of_one(
    tmp_path, warm_python, bad_item, accumulation_steps, ema_decay
):
    # The steps of an epoch have 3, 3, 3 and 1 items: shares of 2 and 1, then of 1 and none. The
    # loss of item 4 is not a number, in one of the processes: both skip the step.
    change = {"dropout": 0.0, "bad_item": bad_item, "accumulation_steps": accumulation_steps}
    change["ema_decay"] = ema_decay
    run(warm_python, tmp_path / "one", **change)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    run(warm_python, tmp_path / "two", **change, launcher=launcher)
    one = artifacts.load_tensors(tmp_path / "one" / "model.safetensors")
    two = artifacts.load_tensors(tmp_path / "two" / "model.safetensors")
    for name in one:
        assert one[name].isfinite().all()
        torch.testing.assert_close(one[name], two[name], atol=1e-5, rtol=1e-5)
