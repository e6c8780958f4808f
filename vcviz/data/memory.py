"""How much memory this machine has left for data."""

from __future__ import annotations

from pathlib import Path

from vcviz.base.errors import InputError

_GROUP = Path("/sys/fs/cgroup/memory.max")


def free_memory() -> int:
    """Return the bytes of memory that are free, within the container's limit where there is one."""
    import psutil

    free = psutil.virtual_memory().available
    try:
        limit = int(_GROUP.read_text())
    except (OSError, ValueError):  # no such limit, or the word "max"
        return free
    return max(0, min(free, limit - psutil.Process().memory_info().rss))


def check_memory(what: str, need: float, advice: str) -> None:
    """Raise an `InputError` if `what` takes more bytes than the memory that is free."""
    free = free_memory()
    if need > free:
        raise InputError(
            f"{what} would take {size(need)} of memory, more than the {size(free)} that are free; "
            f"{advice}"
        )


def size(n_bytes: float) -> str:
    """Return a number of bytes for a message."""
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"
