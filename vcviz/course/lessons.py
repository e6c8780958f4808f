"""The questions of all lessons, by their numbers."""

from __future__ import annotations

from collections.abc import Callable

from vcviz.course import (
    attack,
    bayes,
    bits,
    confidence,
    few_labels,
    gauge,
    noise,
    objective,
    own_data,
    training,
)
from vcviz.course.answers import Check
from vcviz.course.predictions import Prediction

#: in the order of the course; the place in it is the number of the lesson
LESSONS = (
    bayes,
    gauge,
    training,
    objective,
    confidence,
    attack,
    noise,
    bits,
    few_labels,
    own_data,
)

#: number of a question -> what is asked; some need what the notebook has made
CHECKS: dict[str, Check] = {q: c for lesson in LESSONS for q, c in lesson.CHECKS.items()}

#: number of a prediction -> what the reader is asked before an answer is shown
PREDICTIONS: dict[str, Callable[..., Prediction]] = {
    q: ask for lesson in LESSONS for q, ask in lesson.PREDICTIONS.items()
}
