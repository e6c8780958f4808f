"""What is public: the names at the top of vcviz, and those of its rooms."""

import inspect
from typing import Any

import vcviz

ROOMS = [name for name in vcviz.__all__ if inspect.ismodule(getattr(vcviz, name))]
TOP = [name for name in vcviz.__all__ if name not in ROOMS]


def public() -> dict[str, Any]:
    """Return what is public by the full name under which a reader looks for it."""
    found = {f"vcviz.{name}": getattr(vcviz, name) for name in TOP}
    for room in set(ROOMS) - {"course"}:  # the lessons' own
        module = getattr(vcviz, room)
        for name in set(getattr(module, "__all__", ())) - set(TOP):
            value = getattr(module, name)
            if not inspect.ismodule(value):
                found[f"vcviz.{room}.{name}"] = value
    return found


def by_last_name() -> dict[str, Any]:
    """Return the same by the name alone."""
    return {name.rpartition(".")[2]: value for name, value in public().items()}
