"""Progress bars: whether they are shown, and how often."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_SHOWN = ContextVar("vcviz_bars_shown", default=True)


@contextmanager
def bars(shown: bool) -> Iterator[None]:
    """Show the bars of the block, or none: whatever is called in it need not be told."""
    token = _SHOWN.set(shown)
    try:
        yield
    finally:
        _SHOWN.reset(token)


def bars_shown() -> bool:
    """Return whether bars are shown here."""
    return _SHOWN.get()


def bar(items: Iterable[Any], title: str, **options: Any) -> Any:
    """Return items behind a bar, which shows itself once they take longer than two seconds."""
    from tqdm.auto import tqdm

    return tqdm(items, title, delay=2, disable=not bars_shown(), **options)


def bar_interval() -> float:
    """Return the seconds between two redraws of a progress bar."""
    # One that is redrawn ten times a second fills a log file with itself.
    return 0.1 if sys.stderr.isatty() or "ipykernel" in sys.modules else 10.0
