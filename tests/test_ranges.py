from types import SimpleNamespace

import pytest

from soundjudge.errors import SoundjudgeError
from soundjudge.ranges import check_range

NAN = float("nan")


@pytest.mark.parametrize(
    ("bounds", "inside", "outside", "rule"),
    [
        ({"least": 1}, (1, 7), (0, NAN), "1 or more"),
        ({"above": 0}, (1e-9, 7), (0, -1, NAN), "above 0"),
        ({"most": 2}, (-9, 2), (2.5, NAN), "at most 2"),
        ({"least": 0, "most": 1}, (0, 0.5, 1), (-0.1, 1.1, NAN), "0 to 1"),
        ({"least": 0, "below": 1}, (0, 0.9), (-0.1, 1, NAN), "0 or more and below 1"),
        ({"above": 0, "below": 1}, (0.1, 0.9), (0, 1, NAN), "above 0 and below 1"),
        ({"above": 0, "most": 1}, (0.1, 1), (0, 1.1, NAN), "above 0 and at most 1"),
        ({"least": 1, "most": 5, "unit": " Hz"}, (1, 5), (6,), "1 to 5 Hz"),
        ({"least": 1, "or_null": True}, (1, None), (0,), "1 or more, or null"),
    ],
)
def test_a_number_outside_its_range_is_refused_with_the_rule(bounds, inside, outside, rule):
    for value in inside:
        check_range(SimpleNamespace(size=value), "size", **bounds)
    for value in outside:
        with pytest.raises(SoundjudgeError) as error:
            check_range(SimpleNamespace(size=value), "size", **bounds)
        assert str(error.value) == f"size is {value}: it must be {rule}"


def test_every_named_number_is_checked():
    with pytest.raises(SoundjudgeError, match="width is 0"):
        check_range(SimpleNamespace(size=1, width=0), "size", "width", least=1)
