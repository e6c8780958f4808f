"""The course: figures, predictions and self-checks of the notebooks in ``notebooks/course``.

A lesson is a module: its explorer, what it asks the reader to predict, and the keys of its checks,
all of them computed when they are asked for.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

from IPython.display import Markdown

from vcviz.base.errors import unknown
from vcviz.course.answer_field import APP, AnswerField
from vcviz.course.answers import FOR, STRICT, Verdict, judge
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
from vcviz.course.few_label_accuracy import accuracy_figure, few_label_runs, gains_figure
from vcviz.course.gauge import GaugeExplorer
from vcviz.course.lessons import CHECKS, PREDICTIONS
from vcviz.course.noise import FlipExplorer, TemperatureExplorer
from vcviz.course.notation import notation
from vcviz.course.objective import ObjectiveExplorer, four_objectives
from vcviz.course.own_tables import (
    agreement_table,
    confident_table,
    data_table,
    mistakes_table,
    report_table,
)
from vcviz.course.pages import check_form, for_lecturers
from vcviz.course.predictions import Prediction
from vcviz.course.training import course_runs, fit_figure

__all__ = [
    "AnswerField",
    "BayesExplorer",
    "BitsExplorer",
    "ConfidenceExplorer",
    "FlipExplorer",
    "GaugeExplorer",
    "ObjectiveExplorer",
    "TemperatureExplorer",
    "accuracy_figure",
    "agreement_table",
    "at_flip",
    "attacked",
    "check",
    "confident_table",
    "course_runs",
    "data_table",
    "density_figure",
    "few_label_runs",
    "fit_figure",
    "five_diagrams",
    "flipped",
    "four_objectives",
    "gains_figure",
    "in_region",
    "mistakes_table",
    "notation",
    "own_log_density",
    "predict",
    "report_table",
]


def check(question: str, answer: Any, **given: Any) -> Verdict | AnswerField | Markdown:
    """Return what is to be said of an answer, with a hint where it is wrong.

    In an app, which shows no code to fill in, it is a field to type the answer in; on an exported
    page a form; and with ``VCVIZ_COURSE_FOR=lecturer`` the answer with its derivation.

    Parameters
    ----------
    question : its number, such as "1.2"
    answer : number, numbers or a word, or a text that stands for one, such as "1/3" or "12 %";
        None as long as there is none
    given : what the notebook has made and the question is about

    Raises
    ------
    InputError
        For a question that does not exist.

    Examples
    --------
    >>> from vcviz import course
    >>> course.check("7.3", "log(2)").passed
    False
    """
    if question not in CHECKS:
        raise unknown("question", question, CHECKS)

    def said(of: Any) -> Verdict:
        return judge(question, of, lambda: CHECKS[question].key(**given))

    found = said(answer)
    if found.state != "open" or os.environ.get(STRICT) == "1":
        return found
    asked = CHECKS[question]
    if os.environ.get(FOR) == "lecturer":
        return for_lecturers(question, asked, asked.key(**given))
    if os.environ.get(APP) == "1":
        return AnswerField(question, said)
    if os.environ.get("VCVIZ_HEADLESS") == "1":
        return replace(found, form=check_form(question, asked.key(**given)))
    return found


def predict(question: str, **given: Any) -> Prediction:
    """Return a question that a lesson asks before it shows a figure.

    Parameters
    ----------
    question : its number, such as "1a"
    given : what the notebook has made and the question is about

    Raises
    ------
    InputError
        For a question that does not exist.
    """
    if question not in PREDICTIONS:
        raise unknown("prediction", question, PREDICTIONS)
    return PREDICTIONS[question](**given)
