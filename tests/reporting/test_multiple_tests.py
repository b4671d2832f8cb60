import pytest

from soundjudge.reporting import resampling


def test_holm_by_hand():
    # Sorted .01 .03 .04 become .03 .06 .04, and none may be below the one before.
    assert resampling.holm([0.04, 0.01, 0.03]) == pytest.approx([0.06, 0.03, 0.06])
    assert resampling.holm([0.9, 0.8]) == [1, 1]
    assert resampling.holm([]) == []
