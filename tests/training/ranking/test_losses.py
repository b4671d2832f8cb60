"""The losses over a list, with the arithmetic written out, and the effect of weights."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import tiny_training
import torch

from soundjudge.errors import SoundjudgeError
from soundjudge.training.ranking.losses import clipped_mse, listmle, listnet, pairwise_margin
from soundjudge.training.ranking.ranking import RankingConfig, list_loss

RANKING = RankingConfig(
    llm=tiny_training.FULL,
    list_size=2,
    loss="listnet",
    temperature=0.5,
    eval_batch_size=1,
    optimization=tiny_training.OPTIMIZATION,
)
# Mean 0 and standard deviation 2.
TARGETS = np.array([2.0, -2.0, 2.0, -2.0], np.float32)


def loss_function(name, targets=TARGETS, **changes):
    return list_loss(replace(RANKING, loss=name, **changes), targets)


def test_listmle_of_three_is_the_likelihood_of_their_order_worked_out_by_hand():
    # exp(prediction) = 1, 2, 3; the targets' order is second, third, first.
    # 2 / (1 + 2 + 3) * 3 / (3 + 1) * 1 / 1 = 1/4.
    prediction = torch.tensor([[1.0, 2.0, 3.0]]).log()
    target = torch.tensor([[-5.0, 0.3, 0.2]])
    assert listmle(prediction, target).tolist() == pytest.approx([math.log(4.0)])


def test_the_likelihoods_of_all_orders_add_up_to_one():
    prediction = torch.randn(1, 4, generator=torch.Generator().manual_seed(0))
    orders = [torch.tensor([order]).float() for order in itertools.permutations(range(4))]
    assert sum(math.exp(-listmle(prediction, o).item()) for o in orders) == pytest.approx(1.0)


def test_listmle_asks_for_the_order_and_not_for_distances_or_levels():
    prediction = torch.tensor([[0.3, -0.1, 0.8], [0.0, 2.0, 1.0]])
    target = torch.tensor([[1.0, 2.0, 3.0], [5.0, 5.5, -1.0]])
    losses = listmle(prediction, target)
    torch.testing.assert_close(listmle(prediction, target.exp()), losses)
    torch.testing.assert_close(listmle(prediction + 3.0, target), losses)
    assert losses[0] != losses[1]


def test_equal_targets_go_in_the_order_of_the_list():
    prediction = torch.tensor([[1.0, 3.0]]).log()
    assert listmle(prediction, torch.zeros(1, 2)).item() == pytest.approx(math.log(4.0))
    assert listmle(prediction.flip(1), torch.zeros(1, 2)).item() == pytest.approx(math.log(4 / 3))


def test_large_predictions_stay_numbers_and_bf16_is_compared_in_float32():
    loss = listmle(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]]))
    assert loss.item() == pytest.approx(2e4)
    assert listmle(torch.randn(2, 4).bfloat16(), torch.randn(2, 4)).dtype == torch.float32


def test_listmle_of_two_shapes_that_differ_is_refused():
    with pytest.raises(AssertionError, match=r"\(1, 3\) and \(3,\)"):
        listmle(torch.zeros(1, 3), torch.zeros(3))


def test_squared_errors_count_by_their_weights():
    # Errors 1 and 2: (0.5 * 1 + 1.5 * 4) / 2.
    prediction, target = torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)
    weights = torch.tensor([[0.5, 1.5]])
    assert clipped_mse(prediction, target, 0.0, weights).item() == pytest.approx(3.25)
    # The first counts as none.
    assert clipped_mse(prediction, target, 1.0, weights).item() == pytest.approx(3.0)


def test_the_weight_of_two_items_is_the_precision_of_its_difference():
    # Errors 1 and 2 differ by 1, less the margin 0.1: 0.9, twice among four pairs, halved.
    prediction, target = torch.tensor([[1.0, 2.0]]), torch.zeros(1, 2)
    assert pairwise_margin(prediction, target, 0.1).item() == pytest.approx(0.225)
    # Weights 1/2 and 2 are variances 2 and 1/2: of the difference 5/2, twice the mean 5/4.
    weights = torch.tensor([[0.5, 2.0]])
    weighted = pairwise_margin(prediction, target, 0.1, weights).item()
    assert weighted == pytest.approx(0.225 / (5 / 4))


@pytest.mark.parametrize("loss", ["listnet", "listmle", "margin", "mse"])
def test_equal_weights_are_no_weights(loss):
    prediction, target = torch.randn(3, 4), torch.randn(3, 4)
    plain = loss_function(loss)(prediction, target, None)
    torch.testing.assert_close(loss_function(loss)(prediction, target, torch.ones(3, 4)), plain)


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        # softmax(target / 0.5) = (3, 1) / 4, softmax(prediction) = (1, 1) / 2: ln 2.
        ("listnet", math.log(2.0)),
        ("listmle", math.log(2.0)),
        # Errors in standard deviations: -ln(3) / 4 and 0, differing by ln(3) / 4 - 0.1; halved
        # twice: two of four pairs, and half of that.
        ("margin", (math.log(3.0) / 4 - 0.1) / 4),
        ("mse", (math.log(3.0) / 4) ** 2 / 2),
    ],
)
def test_every_loss_of_a_list_is_the_one_worked_out_by_hand(loss, expected):
    target = torch.tensor([[math.log(3.0) / 2, 0.0]])
    assert loss_function(loss)(torch.zeros(1, 2), target, None).item() == pytest.approx(expected)


@pytest.mark.parametrize("loss", ["margin", "mse"])
def test_errors_are_those_of_standardized_targets(loss):
    prediction, target = torch.randn(3, 4), torch.randn(3, 4)
    value = loss_function(loss)(prediction, target, None)
    # Targets and predictions ten times as large and moved: the same standardized errors.
    larger = loss_function(loss, TARGETS * 10 + 3)
    torch.testing.assert_close(larger(prediction * 10 + 3, target * 10 + 3, None), value)


@pytest.mark.parametrize("loss", ["listnet", "listmle"])
def test_a_list_counts_by_the_harmonic_mean_of_its_weights(loss):
    prediction, target = torch.randn(2, 2), torch.randn(2, 2)
    losses = [loss_function(loss)(prediction[i : i + 1], target[i : i + 1], None) for i in (0, 1)]
    # Variances 2 and 1/2 have the mean 5/4; variances 1 and 1 the mean 1.
    weights = torch.tensor([[0.5, 2.0], [1.0, 1.0]])
    expected = (losses[0] / (5 / 4) + losses[1]) / 2
    torch.testing.assert_close(loss_function(loss)(prediction, target, weights), expected)


@pytest.mark.parametrize("loss", ["listnet", "mse"])
def test_weights_do_not_move_the_minimum(loss):
    target = torch.tensor([[0.1, -0.4, 0.9], [0.0, 0.2, 0.3]])
    best = target / 0.5 if loss == "listnet" else target
    prediction = best.clone().requires_grad_()
    weights = torch.tensor([[0.1, 5.0, 1.0], [2.0, 0.3, 0.4]])
    loss_function(loss)(prediction, target, weights).backward()
    torch.testing.assert_close(prediction.grad, torch.zeros(2, 3), atol=1e-7, rtol=0)


def test_the_listnet_of_params_is_that_function():
    prediction, target = torch.randn(3, 4), torch.randn(3, 4)
    expected = listnet(prediction, target, 0.5).mean()
    assert loss_function("listnet")(prediction, target, None) == expected


def test_targets_without_an_order_are_refused():
    with pytest.raises(SoundjudgeError, match="all 3 targets are the same"):
        loss_function("mse", np.ones(3, np.float32))


@pytest.mark.parametrize(
    ("name", "value"),
    [("list_size", 1), ("temperature", 0.0), ("margin", -0.1), ("eval_batch_size", 0)],
)
def test_a_ranking_that_makes_no_sense_is_refused_by_name(name, value):
    with pytest.raises(SoundjudgeError, match=name):
        replace(RANKING, **{name: value})
