"""The course: figures, predictions and self-checks of the notebooks in ``notebooks/course``.

A lesson is a module: its explorer, what it asks the reader to predict, and the keys of its checks,
all of them computed when they are asked for.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from vcviz.base.errors import unknown
from vcviz.course import attack, bayes, bits, confidence, gauge, noise, objective, training
from vcviz.course.answer_field import APP, AnswerField
from vcviz.course.answers import AnswerError, Key, Verdict, judge
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
from vcviz.course.noise import FlipExplorer, TemperatureExplorer
from vcviz.course.objective import ObjectiveExplorer, four_objectives
from vcviz.course.predictions import Prediction
from vcviz.course.training import course_runs, fit_figure

__all__ = [
    "KEYS",
    "PREDICTIONS",
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
    "own_log_density",
    "predict",
]

#: number of a question -> what is right; some need what the notebook has made
KEYS: dict[str, Callable[..., Key]] = {
    "1.1": bayes.key_weight,
    "1.2": bayes.key_bias,
    "1.3": bayes.key_excess,
    "2.1": gauge.key_freedom,
    "2.2": gauge.key_prior,
    "2.3": gauge.key_identified,
    "3.1": training.key_collapse,
    "3.2": training.key_radius,
    "3.3": training.key_softmax,
    "4.1": objective.key_entropy,
    "4.2": objective.key_kl,
    "4.3": objective.key_constant,
    "5.1": confidence.key_ece,
    "5.2": confidence.key_temperature,
    "5.3": confidence.key_floor,
    "6.1": attack.key_radius,
    "6.2": attack.key_drop,
    "6.3": attack.key_share,
    "7.1": noise.key_ceiling,
    "7.2": noise.key_probit,
    "7.3": noise.key_scale,
    "8.1": bits.key_entropy,
    "8.2": bits.key_known,
    "8.3": bits.key_offset,
}

#: number of a lesson -> what it asks the reader to predict
PREDICTIONS: dict[str, Callable[..., Prediction]] = {
    "1": bayes.predict_shape,
    "2": gauge.predict_scale,
    "3": training.predict_nearest,
    "4": objective.predict_collapse,
    "5": confidence.predict_five,
    "6": attack.predict_region,
    "7": noise.predict_flips,
    "8": bits.predict_offset,
}


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
    if question not in KEYS:
        raise unknown("question", question, KEYS)

    def said(of: Any) -> Verdict:
        return judge(question, of, lambda: KEYS[question](**given))

    found = said(answer)
    if found.state == "open" and os.environ.get(APP) == "1":
        return AnswerField(question, said)
    return found


def predict(lesson: str, **given: Any) -> Prediction:
    """Return the question that a lesson asks before it shows the answer."""
    if lesson not in PREDICTIONS:
        raise unknown("lesson", lesson, PREDICTIONS)
    return PREDICTIONS[lesson](**given)
