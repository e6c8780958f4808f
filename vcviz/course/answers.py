"""Self-checks: an answer against a truth that is computed, with a hint where it is wrong."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from numbers import Real
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import InputError, clip

#: with this set to 1 a check that is not passed raises, so that a run of the notebook fails
STRICT = "VCVIZ_COURSE_STRICT"

State = Literal["right", "wrong", "open"]
_OPEN = "not answered yet: put your answer in place of None and run the cell"
#: a page, on a screen or on paper, cannot judge
_ON_PAGE = "your answer: ____________ (the notebook checks it: vcviz lab --course)"
_LOOK = {"right": ("✓", "#009E73"), "wrong": ("✗", "#D55E00"), "open": ("…", "#7A7A7A")}


class AnswerError(InputError):
    """A self-check was not passed while every check had to be."""


@dataclass(frozen=True)
class Key:
    """What is right, and which wrong answers tell what went wrong.

    Attributes
    ----------
    truth : number, array of numbers, or a word
    why : what is said to a right answer
    mistakes : hint -> the answer that somebody gives who makes that mistake
    unit : "nats" and "fraction" also know answers in bits and in percent
    tolerance : largest error, relative to the largest number of the truth
    hint : what is said to any other wrong answer
    """

    truth: float | ArrayLike | str
    why: str
    mistakes: Mapping[str, float | ArrayLike | str] = field(default_factory=dict)
    unit: str = ""
    tolerance: float = 0.02
    hint: str = "read the text above the question again"


@dataclass(frozen=True)
class Check:
    """A question of a lesson, as its lecturer sees it.

    Attributes
    ----------
    key : works out what is right; takes what the notebook gives to ``course.check``
    solution : what a student would write, a Python expression; may use ``np``, ``math`` and
        what the notebook has made
    derivation : how one gets there, Markdown with formulas; for lecturers
    points : what a right answer counts
    """

    key: Callable[..., Key]
    solution: str
    derivation: str = ""
    points: int = 1


@dataclass(frozen=True)
class Verdict:
    """What a check says; a notebook shows it in colour."""

    question: str
    state: State
    message: str

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.state == "right"

    def __repr__(self) -> str:
        return f"{_LOOK[self.state][0]} {self.question}: {self.message}"

    def _repr_html_(self) -> str:
        sign, color = _LOOK[self.state]
        said = html.escape(self.message, quote=False)
        return (
            f"<div style='border-left:4px solid {color};padding:4px 10px'>"
            f"<b style='color:{color}'>{sign} {self.question}</b> {said}</div>"
        )


def judge(question: str, answer: Any, key: Callable[[], Key]) -> Verdict:
    """Return what is to be said of an answer; `key` is only worked out for one that was given.

    Raises
    ------
    AnswerError
        If the answer is not right while the environment variable `STRICT` is 1.
    """
    if answer is None:
        on_page = os.environ.get("VCVIZ_HEADLESS") == "1" and os.environ.get(STRICT) != "1"
        found = Verdict(question, "open", _ON_PAGE if on_page else _OPEN)
    else:
        found = _compared(question, answer, key())
    if not found.passed and os.environ.get(STRICT) == "1":
        raise AnswerError(f"check {question}: {found.message}")
    return found


def _compared(question: str, answer: Any, key: Key) -> Verdict:
    if isinstance(key.truth, str):
        said = str(answer).strip().lower()
        if said == key.truth.lower():
            return Verdict(question, "right", key.why)
        named = {str(wrong).lower(): hint for hint, wrong in key.mistakes.items()}
        return Verdict(question, "wrong", named.get(said, f"not {clip(answer)}; {key.hint}"))
    truth = np.asarray(key.truth, dtype=float)
    given = _numbers(answer)
    if given is None or given.shape != truth.shape:
        wanted = "one number" if truth.ndim == 0 else f"{truth.size} numbers, such as [1.0, 2.0]"
        return Verdict(question, "wrong", f"expected {wanted}, got {clip(answer)}")
    if _close(given, truth, truth, key.tolerance):
        return Verdict(question, "right", key.why)
    for hint, wrong in {**key.mistakes, **_of_unit(key.unit, truth)}.items():
        if _close(given, np.asarray(wrong, dtype=float), truth, key.tolerance):
            return Verdict(question, "wrong", hint)
    return Verdict(question, "wrong", f"{clip(answer)} is not it; {key.hint}")


def _numbers(answer: Any) -> NDArray[np.float64] | None:
    if isinstance(answer, (str, bool)):
        return None
    try:
        given = np.asarray(answer, dtype=float)
    except (TypeError, ValueError):
        return None
    real = isinstance(answer, (Real, np.generic)) or given.ndim > 0
    return given if real and np.isfinite(given).all() else None


def _close(
    given: NDArray[np.float64],
    wanted: NDArray[np.float64],
    truth: NDArray[np.float64],
    tolerance: float,
) -> bool:
    if wanted.shape != given.shape:
        return False
    # Of the mistake's own size too: a small one must not swallow everything near it.
    size = min(np.abs(part).max() for part in (wanted, truth)) or np.abs(truth).max()
    return bool(np.abs(given - wanted).max() <= max(tolerance * size, 1e-9))


def _of_unit(unit: str, truth: NDArray[np.float64]) -> dict[str, Any]:
    """Return the mistakes that any number of this unit invites."""
    found: dict[str, Any] = {"the size is right, the sign is not": -truth}
    if unit == "nats":
        found["that is in bits; in nats it is smaller by a factor of log 2"] = truth / np.log(2)
        found["that is divided by log 2 the wrong way round: give nats"] = truth * np.log(2)
    if unit == "bits":
        found["that is in nats; divide by log 2 for bits"] = truth * np.log(2)
    if unit == "fraction":
        found["that is in percent; give a fraction"] = 100 * truth
    return found
