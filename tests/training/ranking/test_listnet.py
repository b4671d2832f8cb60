"""ListNet with the arithmetic written out."""

import math

import pytest
import torch

from soundjudge.training.ranking.losses import listnet


def test_the_loss_of_one_list_is_the_cross_entropy_worked_out_by_hand():
    # softmax(0, ln 3) = (1, 3) / 4. log_softmax(0, 0) = (-ln 2, -ln 2).
    # - (1/4 * -ln 2 + 3/4 * -ln 2) = ln 2.
    target = torch.tensor([[0.0, math.log(3.0)]])
    assert listnet(torch.zeros(1, 2), target, 1.0).item() == pytest.approx(math.log(2.0))
    # log_softmax(0, ln 3) = (ln 1/4, ln 3/4): the entropy of the target itself,
    # - (1/4 ln 1/4 + 3/4 ln 3/4) = 0.5623351...
    assert listnet(target, target, 1.0).item() == pytest.approx(0.5623351446)


def test_the_temperature_divides_the_targets_and_not_the_predictions():
    # target / 0.5 = (0, ln 9): softmax (1, 9) / 10; prediction (0, ln 3): log (1/4, 3/4).
    # - (1/10 ln 1/4 + 9/10 ln 3/4) = 0.1 * 1.3862944 + 0.9 * 0.2876821 = 0.3975433...
    target = torch.tensor([[0.0, math.log(3.0)]])
    assert listnet(target, target, 0.5).item() == pytest.approx(0.3975433, abs=1e-6)


def test_every_list_has_a_loss_of_its_own():
    prediction, target = torch.randn(3, 4), torch.randn(3, 4)
    separate = [listnet(p[None], t[None], 0.7) for p, t in zip(prediction, target, strict=True)]
    torch.testing.assert_close(listnet(prediction, target, 0.7), torch.cat(separate))


def test_the_gradient_is_zero_where_predictions_are_targets_over_temperature_plus_a_constant():
    target = torch.tensor([[0.1, -0.4, 0.9], [0.0, 0.2, 0.3]])
    shift = torch.tensor([[5.0], [-2.0]])  # one constant per list
    prediction = (target / 0.25 + shift).requires_grad_()
    listnet(prediction, target, 0.25).sum().backward()
    torch.testing.assert_close(prediction.grad, torch.zeros(2, 3), atol=1e-7, rtol=0)


def test_elsewhere_the_gradient_is_the_difference_of_the_two_softmaxes():
    target, prediction = torch.randn(1, 5), torch.randn(1, 5, requires_grad=True)
    listnet(prediction, target, 2.0).backward()
    expected = torch.softmax(prediction.detach(), 1) - torch.softmax(target / 2.0, 1)
    torch.testing.assert_close(prediction.grad, expected)


def test_the_level_of_the_predictions_is_free_but_not_of_one_alone():
    target, prediction = torch.randn(2, 4), torch.randn(2, 4)
    loss = listnet(prediction, target, 1.0)
    torch.testing.assert_close(listnet(prediction + 3.0, target, 1.0), loss)
    assert not torch.isclose(listnet(prediction + torch.eye(4)[:2], target, 1.0), loss).any()


def test_predictions_in_bf16_are_compared_in_float32():
    target = torch.randn(1, 16)
    loss = listnet(torch.randn(1, 16).bfloat16(), target, 1.0)
    assert loss.dtype == torch.float32


def test_two_shapes_that_differ_are_refused():
    with pytest.raises(AssertionError, match=r"\(1, 3\) and \(3,\)"):
        listnet(torch.zeros(1, 3), torch.zeros(3), 1.0)
