"""The options of heads, laws and encoders, which are chosen by name."""

from __future__ import annotations

import inspect


def options_of(kind: type) -> list[str]:
    """Return the names of the keyword options of a class, with those it hands on to its base."""
    found: dict[str, None] = {}
    for part in kind.__mro__:
        if "__init__" not in vars(part):
            continue
        parameters = inspect.signature(part.__init__).parameters.values()  # type: ignore[misc]
        found |= dict.fromkeys(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)
        if all(p.kind is not p.VAR_KEYWORD for p in parameters):
            break
    return [name for name in found if name not in ("latent_dim", "n_classes")]
