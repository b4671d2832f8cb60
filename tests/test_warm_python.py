"""The warm Python of other tests runs a script as Python itself does."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow
SCRIPT = """
import atexit, os, sys
atexit.register(print, "the end")
print(__name__, sys.argv, os.getcwd(), os.environ["OWN"], "soundjudge" in sys.modules)
import own_module
print("to stderr", file=sys.stderr)
{ending}
"""


@pytest.mark.parametrize("ending", ["", "sys.exit(3)", "1 / 0"])
def test_arguments_folder_environment_outputs_and_exit_code_are_those_of_python(
    warm_python, tmp_path, ending
):
    (tmp_path / "own_module.py").write_text("print('imported')\n")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(ending=ending))
    runs = [
        subprocess.run(
            [str(python), str(script), "a b"], cwd=tmp_path, env={**os.environ, "OWN": "1"},
            capture_output=True, text=True, check=False,
        )
        for python in (sys.executable, warm_python)
    ]  # fmt: skip
    one, other = runs
    assert (one.returncode, one.stdout) == (other.returncode, other.stdout)
    assert one.returncode == {"": 0, "sys.exit(3)": 3, "1 / 0": 1}[ending]
    assert one.stderr.splitlines()[-1] == other.stderr.splitlines()[-1]
