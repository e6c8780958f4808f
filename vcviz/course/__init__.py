"""The course: figures, predictions and self-checks of the notebooks in ``notebooks/course``.

A lesson is a module: its explorer, what it asks the reader to predict, and the keys of its checks,
all of them computed when they are asked for.
"""

from __future__ import annotations

import os
from typing import Any

from vcviz.base.errors import unknown
from vcviz.course.answer_field import APP, AnswerField
from vcviz.course.answers import AnswerError, Verdict, judge
from vcviz.course.attack import (
    at_flip,
    attacked,
    density_figure,
    flipped,
    in_region,
    own_log_density,
)
from vcviz.course.bayes import BayesExplorer
from vcviz.course.bits import BitsExplorer
from vcviz.course.confidence import ConfidenceExplorer, five_diagrams
from vcviz.course.gauge import GaugeExplorer
from vcviz.course.lessons import CHECKS, PREDICTIONS
from vcviz.course.noise import FlipExplorer, TemperatureExplorer
from vcviz.course.notation import notation
from vcviz.course.objective import ObjectiveExplorer, four_objectives
from vcviz.course.predictions import Prediction
from vcviz.course.training import course_runs, fit_figure

__all__ = [
    "AnswerError",
    "AnswerField",
    "BayesExplorer",
    "BitsExplorer",
    "ConfidenceExplorer",
    "FlipExplorer",
    "GaugeExplorer",
    "ObjectiveExplorer",
    "TemperatureExplorer",
    "at_flip",
    "attacked",
    "check",
    "course_runs",
    "density_figure",
    "fit_figure",
    "five_diagrams",
    "flipped",
    "four_objectives",
    "in_region",
    "notation",
    "own_log_density",
    "predict",
]


def check(question: str, answer: Any, **given: Any) -> Verdict | AnswerField:
    """Return what is to be said of an answer, with a hint where it is wrong.

    In an app, which shows no code to fill in, it is a field to type the answer in.

    Parameters
    ----------
    question : its number, such as "1.2"
    answer : number, numbers or a word; None as long as there is none
    given : what the notebook has made and the question is about

    Raises
    ------
    AnswerError
        If the answer is not right while ``VCVIZ_COURSE_STRICT`` is 1.
    InputError
        For a question that does not exist.
    """
    if question not in CHECKS:
        raise unknown("question", question, CHECKS)

    def said(of: Any) -> Verdict:
        return judge(question, of, lambda: CHECKS[question].key(**given))

    found = said(answer)
    if found.state == "open" and os.environ.get(APP) == "1":
        return AnswerField(question, said)
    return found


def predict(lesson: str, **given: Any) -> Prediction:
    """Return the question that a lesson asks before it shows the answer."""
    if lesson not in PREDICTIONS:
        raise unknown("lesson", lesson, PREDICTIONS)
    return PREDICTIONS[lesson](**given)
