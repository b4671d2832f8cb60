"""What breaks in a user's hands, in number: kills, full disks, mutated files, two writers."""

import pytest


def pytest_itemcollected(item: pytest.Item) -> None:
    """All are slow ones: `make test-fast` leaves them out."""
    item.add_marker(pytest.mark.slow)
