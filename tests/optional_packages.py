"""Packages that a GPU machine may lack: a test that uses one is skipped there, and says why."""

from typing import Any

import pytest


class OptionalPackage:
    """A package that is imported where a test first uses it."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        reason = f"{self._name}, which this test uses, is not installed"
        return getattr(pytest.importorskip(self._name, reason=reason), attribute)


soundfile = OptionalPackage("soundfile")
