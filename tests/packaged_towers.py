"""A mark for tests that need the packages with the weights of the sample's towers."""

import pytest

from soundjudge.clap.encoders import packaged_weights
from soundjudge.errors import SoundjudgeError


def _are_missing() -> bool:
    try:
        for package in packaged_weights.SAMPLE_TOWERS:
            package.find()
    except SoundjudgeError:
        return True
    return False


needs_packages = pytest.mark.skipif(_are_missing(), reason=f"needs {packaged_weights.INSTALL}")
