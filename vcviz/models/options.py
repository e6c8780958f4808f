"""The options of heads, laws and encoders, which are chosen by name."""

from __future__ import annotations

import inspect
from typing import Any


def options_of(kind: type) -> list[str]:
    """Return the names of the keyword options of a class, with those it hands on to its base."""
    return list(_options(kind))


def defaults_of(kind: type) -> dict[str, Any]:
    """Return the options of `options_of` that have a default, with it."""
    return {k: p.default for k, p in _options(kind).items() if p.default is not p.empty}


def _options(kind: type) -> dict[str, inspect.Parameter]:
    found: dict[str, inspect.Parameter] = {}
    for part in kind.__mro__:
        if "__init__" not in vars(part):
            continue
        parameters = inspect.signature(part.__init__).parameters.values()  # type: ignore[misc]
        for option in parameters:
            if option.kind is option.KEYWORD_ONLY:
                found.setdefault(option.name, option)
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return {k: p for k, p in found.items() if k not in ("latent_dim", "n_classes")}
