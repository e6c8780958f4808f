"""Errors that a user can act on: one line saying what was expected, what came, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something the caller passed is wrong; the message is one line meant for them.

    Examples
    --------
    >>> try:
    ...     vcviz.build_head("softmax", latent_dim=0, n_classes=3)
    ... except vcviz.InputError as error:
    ...     print(error)
    latent_dim must be a whole number of at least 1, got 0
    """


class MissingError(InputError, FileNotFoundError):
    """A file, folder, run or notebook that was named does not exist."""

    # OSError would otherwise render a single argument through errno formatting.
    __str__ = ValueError.__str__


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the closest choice, or an empty string."""
    match = get_close_matches(str(name), [str(c) for c in choices], n=1, cutoff=0.5)
    return f"; did you mean {match[0]!r}?" if match else ""


def unknown(kind: str, name: object, choices: Iterable[str]) -> InputError:
    """Build the error for a name that is not one of `choices`, with the nearest one."""
    names = sorted(str(c) for c in choices)
    hint = nearest(str(name), names) or ";"
    return InputError(
        f"unknown {kind} {clip(name)}{hint} choose from: {', '.join(names) or 'none'}"
    )


def clip(value: object, limit: int = 80) -> str:
    """Return `repr(value)` on one line, cut to `limit` characters, for use in a message."""
    return shorten(repr(value), limit)


def shorten(text: str, limit: int = 80) -> str:
    """Return text on one line, cut to `limit` characters, for use in a message."""
    text = " ".join(text.splitlines())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def expect(name: str, value: object, kind: type, hint: str = "") -> None:
    """Raise an `InputError` unless `value` is of that kind."""
    if not isinstance(value, kind):
        advice = f"; {hint}" if hint else ""
        raise InputError(f"{name} must be a {kind.__name__}, got {type(value).__name__}{advice}")


class RunWarning(UserWarning):
    """A run folder was passed over because it is damaged."""


class SweepError(RuntimeError):
    """A sweep cannot go on; what is finished is kept and the same command continues."""


class TrainingError(RuntimeError):
    """Training cannot go on; the message is one line saying at which step and why."""
