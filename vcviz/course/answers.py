"""Self-checks: an answer against a truth that is computed, with a hint where it is wrong."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vcviz.base.errors import clip
from vcviz.course.expressions import Unreadable, evaluate
from vcviz.headless.outcomes import VERDICT

#: with this set to 1 a run of a notebook fails at its end, with all that is not right in one list
STRICT = "VCVIZ_COURSE_STRICT"
#: "lecturer" opens what is to be revealed and shows answers with derivations
FOR = "VCVIZ_COURSE_FOR"

State = Literal["right", "wrong", "open"]
_OPEN = "not answered yet: put your answer in place of None and run the cell"
_LOOK = {"right": ("✓", "#009E73"), "wrong": ("✗", "#D55E00"), "open": ("…", "#7A7A7A")}


@dataclass(frozen=True)
class Key:
    """What is right, and which wrong answers tell what went wrong.

    An answer to a number or to numbers may be a number, a fraction, a list or an array, or a text
    that `expressions.evaluate` reads: ``"1/3"``, ``"12 %"``, ``"math.log(2)"``. An answer in words
    may be spelled with any capitals, spaces and hyphens, in singular and plural, with or without
    an article: "The log-ratio" is "log ratios".

    Attributes
    ----------
    truth : number, array of numbers, or a word or two
    why : what is said to a right answer
    mistakes : hint -> the answer that somebody gives who makes that mistake; for words also
        several, in a tuple. The likely wrong answer belongs here.
    unit : "nats" and "bits" know each other, "fraction" and "percent" too; it may be typed after
        the number
    tolerance : largest error, relative to the largest number of the truth
    hint : what is said to any other wrong answer
    spellings : other words that are as right
    accepts : for a question with many right answers: whether an answer, as an array of the truth's
        shape, is one; `truth` is then an example. A page cannot check such a question.

    Examples
    --------
    >>> key = Key(0.5, "half of them", {"that is the share of the others": 0.75}, unit="fraction")
    >>> judge("1.1", "50 %", lambda: key)
    ✓ 1.1: half of them
    >>> judge("1.1", [0.75], lambda: key)
    ✗ 1.1: that is the share of the others
    >>> judge("1.2", "Covariances", lambda: Key("covariance", "each class has its own")).passed
    True
    """

    truth: float | ArrayLike | str
    why: str
    mistakes: Mapping[str, float | ArrayLike | str | Sequence[str]] = field(default_factory=dict)
    unit: str = ""
    tolerance: float = 0.02
    hint: str = "read the text above the question again"
    spellings: Sequence[str] = ()
    accepts: Callable[[NDArray[np.float64]], bool] | None = None

    @property
    def words(self) -> bool:
        """Whether the answer is in words."""
        return isinstance(self.truth, str)

    @property
    def all_mistakes(self) -> dict[str, Any]:
        """`mistakes`, and those that any number of this unit invites."""
        return {**self.mistakes, **({} if self.words else _of_unit(self.unit, self.truth))}


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
    """What a check says; a notebook shows it in colour, a page may show a form in its place."""

    question: str
    state: State
    message: str
    form: str = field(default="", repr=False)

    @property
    def passed(self) -> bool:
        """Whether the answer is right."""
        return self.state == "right"

    def __repr__(self) -> str:
        return f"{_LOOK[self.state][0]} {self.question}: {self.message}"

    def _repr_html_(self) -> str:
        sign, color = _LOOK[self.state]
        said = html.escape(self.message, quote=False)
        return self.form or (
            f"<div role='status' style='border-left:4px solid {color};padding:4px 10px'>"
            f"<b style='color:{color}'>{sign} {self.question}</b> {said}</div>"
        )

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        shown: dict[str, Any] = {"text/plain": repr(self), "text/html": self._repr_html_()}
        if os.environ.get(STRICT) == "1":
            shown[VERDICT] = {"passed": self.passed, "said": f"{self.question} {self.message}"}
        return shown


def judge(question: str, answer: Any, key: Callable[[], Key]) -> Verdict:
    """Return what is to be said of an answer; `key` is only worked out for one that was given."""
    if answer is None or (isinstance(answer, str) and answer.strip() in ("", "None")):
        return Verdict(question, "open", _OPEN)
    right, said = _compared(answer, key())
    return Verdict(question, "right" if right else "wrong", said)


def normal(words: object) -> str:
    """Return words without what spellings differ in: capitals, spaces, hyphens, articles, plural.

    Examples
    --------
    >>> normal("The log-ratios") == normal("Log ratio") == normal("logratio")
    True
    """
    said = re.sub(r"^(the|an?)\s+", "", str(words).strip(" \t\n'\"").casefold())
    said = re.sub(r"[\W_]+", "", said) or said  # a sign alone is an answer too
    for plural, singular in (("ies", "y"), ("sses", "ss"), ("s", "")):
        if said.endswith(plural) and not said.endswith("ss"):
            return said.removesuffix(plural) + singular
    return said


def _compared(answer: Any, key: Key) -> tuple[bool, str]:
    """Return whether an answer is right, and what is to be said of it."""
    if key.words:
        said = normal(answer)
        if said in map(normal, (key.truth, *key.spellings)):
            return True, key.why
        for hint, wrong in key.mistakes.items():
            if said in map(normal, [wrong] if isinstance(wrong, str) else wrong):  # type: ignore[arg-type]
                return False, hint
        return False, f"{clip(answer)} is not it; {key.hint}"
    truth = np.asarray(key.truth, dtype=float)
    try:
        given = _numbers(answer, key.unit, truth.shape)
    except (Unreadable, TypeError, ValueError) as error:
        wanted = "one number" if truth.ndim == 0 else f"{truth.size} numbers, such as [1.0, 2.0]"
        why = f" ({error})" if isinstance(error, Unreadable) else ""
        return False, f"expected {wanted}, got {clip(answer)}{why}"
    if key.accepts(given) if key.accepts else _close(given, truth, truth, key.tolerance):
        return True, key.why
    for hint, wrong in key.all_mistakes.items():
        if _close(given, np.asarray(wrong, dtype=float), truth, key.tolerance):
            return False, hint
    shown = clip(answer) if isinstance(answer, str) else value_text(given)
    return False, f"{shown} is not it; {key.hint}"


def value_text(value: Any) -> str:
    """Return an answer in a few characters: words as they are, numbers with four digits."""
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence) and isinstance(value[0], str):
        return " or ".join(value)
    numbers = np.asarray(value, dtype=float)
    text = ", ".join(f"{number:.4g}" for number in numbers.ravel())
    return f"[{text}]" if numbers.ndim else text


def _numbers(answer: Any, unit: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Return an answer as an array of this shape."""
    if isinstance(answer, bool):
        raise TypeError
    if isinstance(answer, str):
        said = answer.strip()
        answer = evaluate((said.removesuffix("%" if unit == "percent" else unit)) if unit else said)
    given = np.asarray(answer, dtype=float)
    if np.squeeze(given).shape != np.squeeze(np.empty(shape)).shape or not np.isfinite(given).all():
        raise ValueError
    return given.reshape(shape)


def reach(wrong: ArrayLike, truth: ArrayLike, tolerance: float) -> float:
    """Return how far from a mistake, or from the truth itself, an answer still counts as that."""
    # Of the mistake's own size too: a small one must not swallow everything near it.
    size = min(np.abs(part).max() for part in (wrong, truth)) or np.abs(truth).max()
    return float(max(tolerance * size, 1e-9))


def _close(
    given: NDArray[np.float64],
    wanted: NDArray[np.float64],
    truth: NDArray[np.float64],
    tolerance: float,
) -> bool:
    if wanted.shape != given.shape:
        return False
    return bool(np.abs(given - wanted).max() <= reach(wanted, truth, tolerance))


def _of_unit(unit: str, value: Any) -> dict[str, Any]:
    """Return the mistakes that any number of this unit invites."""
    truth = np.asarray(value, dtype=float)
    found: dict[str, Any] = {"the size is right, the sign is not": -truth}
    if unit == "nats":
        found["that is in bits; in nats it is smaller by a factor of log 2"] = truth / np.log(2)
        found["that is divided by log 2 the wrong way round: give nats"] = truth * np.log(2)
    if unit == "bits":
        found["that is in nats; divide by log 2 for bits"] = truth * np.log(2)
    if unit == "fraction":
        found["that is in percent; give a fraction"] = 100 * truth
    if unit == "percent":
        found["that is a fraction; give percent"] = truth / 100
    return found
