"""How often progress is shown."""

from __future__ import annotations

import sys


def bar_interval() -> float:
    """Return the seconds between two redraws of a progress bar."""
    # One that is redrawn ten times a second fills a log file with itself.
    return 0.1 if sys.stderr.isatty() or "ipykernel" in sys.modules else 10.0
