"""A field for an answer, where a notebook is shown without its code."""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

import ipywidgets as ipw

from vcviz.course.answers import Verdict
from vcviz.explorers.controls import PLAIN, prose, row_of

#: set to 1 where a notebook is an app, such as by ``vcviz lab --app``
APP = "VCVIZ_APP"
_LONGEST = 200


def read_answer(text: str) -> Any:
    """Return the number, the numbers or the word that somebody typed; None if there is none."""
    said = text.strip()[:_LONGEST]
    try:
        return ast.literal_eval(said.replace("−", "-"))  # as texts and figures write a minus
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return said or None


class AnswerField:
    """A field, a button, and what is said of an answer: a check for readers who see no code.

    Parameters
    ----------
    question : its number
    judge : answer -> what is to be said of it

    Attributes
    ----------
    widget : what is displayed
    """

    def __init__(self, question: str, judge: Callable[[Any], Verdict]) -> None:
        self._judge = judge
        self._text = ipw.Text(
            description=f"Answer to {question}",
            placeholder="0.5, or [1, 2], or a word",
            continuous_update=False,
            style=PLAIN,
            layout=ipw.Layout(width="360px", max_width="100%"),
        )
        self._button = ipw.Button(description="Check", layout=ipw.Layout(width="auto"))
        self._said = ipw.HTML()
        self._text.observe(self._answered, names="value")
        self._button.on_click(self._answered)
        row = row_of([self._text, self._button], gap="2px 8px")
        self.widget = ipw.VBox([row, self._said])

    def answer(self, text: str) -> str:
        """Give an answer, as typing it does, and return what is said of it."""
        self._text.value = text
        return self._said.value

    def _answered(self, _change: Any) -> None:
        given = read_answer(self._text.value)
        self._said.value = prose("" if given is None else self._judge(given)._repr_html_())

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)
