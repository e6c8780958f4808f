"""How much memory and disk this machine has left for what files of others say they hold."""

from __future__ import annotations

import shutil
from pathlib import Path

from vcviz.errors import InputError

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


def free_disk() -> tuple[int, Path]:
    """Return the bytes that are free where `datasets` keeps what it converts, and that folder."""
    import datasets

    cache = Path(datasets.config.HF_DATASETS_CACHE)
    place = next(p for p in (cache, *cache.parents) if p.exists())
    return shutil.disk_usage(place).free, place


def check_memory(what: str, need: float, advice: str) -> None:
    """Raise an `InputError` if `what` takes more bytes than the memory that is free."""
    free = free_memory()
    if need > free:
        raise InputError(
            f"{what} would take {size(need)} of memory, more than the {size(free)} that are free; "
            f"{advice}"
        )


def check_disk(what: str, need: float) -> None:
    """Raise an `InputError` if `what` comes to more bytes than the cache of `datasets` can take."""
    refuse_disk(what, need, *free_disk())


def refuse_disk(what: str, need: float, free: int, place: Path) -> None:
    """Raise an `InputError` if `what` comes to more bytes than were found to be free in a place."""
    if need > free:
        raise InputError(
            f"{what} to {size(need)}, more than the {size(free)} that are free where {place} is; "
            "set HF_DATASETS_CACHE to a folder on a larger disk, or make a smaller copy"
        )


def size(n_bytes: float) -> str:
    """Return a number of bytes for a message."""
    return f"{n_bytes / 1e9:,.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.1f} MB"
