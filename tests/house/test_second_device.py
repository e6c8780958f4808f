"""What was left on the wrong device is found without a GPU, see `second_device_checks.py`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKS = Path(__file__).parents[1] / "second_device_checks.py"


@pytest.mark.parametrize(
    "float64", ["yes", pytest.param("no", marks=pytest.mark.slow)], ids="float64: {}".format
)
def test_everything_runs_on_a_device_that_is_not_the_cpu(float64):
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", "addopts="]
    # A model of each kind, as the tests of foreign models have them.
    options += ["-o", "pythonpath=tests/latents"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(CHECKS)],
        capture_output=True, text=True, check=False, cwd=CHECKS.parent.parent,
        env=os.environ | {"SECOND_DEVICE_FLOAT64": float64},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    (passed,) = re.findall(r"(\d+) passed", done.stdout)
    assert int(passed) > 100
    assert "skipped" not in done.stdout
