"""Files that one process at a time may hold."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock

#: seconds after which a wait is said
_PATIENCE = 2.0


@contextlib.contextmanager
def held(path: Path, *, busy: str | None = None) -> Iterator[None]:
    """Hold a lock file for the block, and remove it at the end.

    Parameters
    ----------
    path : the file, in a folder that is there
    busy : what to say on stderr while another process has it, whose end is then waited for; None
        does not wait

    Raises
    ------
    filelock.Timeout
        If another process has it and `busy` is None.
    """
    lock = FileLock(path)
    if busy is None:
        lock.acquire(timeout=0)
    else:
        try:
            lock.acquire(timeout=_PATIENCE)
        except TimeoutError:
            print(f"{busy}; waiting for it", file=sys.stderr)
            lock.acquire()
    try:
        yield
    finally:
        # While it is still held: whoever waits then starts over, and never has a removed file.
        path.unlink(missing_ok=True)
        lock.release()
