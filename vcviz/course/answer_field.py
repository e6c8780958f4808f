"""A field for an answer, where a notebook is shown without its code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ipywidgets as ipw

from vcviz.course.answers import Verdict
from vcviz.explorers.controls import PLAIN, prose, row_of

#: set to 1 where a notebook is an app, such as by ``vcviz lab --app``
APP = "VCVIZ_APP"
#: what a field shows as long as nothing is typed
EXAMPLES = "0.5, 1/3, 12 %, log(2), [1, 2], or a word"


class AnswerField:
    """A field, a button, and what is said of an answer: a check for readers who see no code.

    Parameters
    ----------
    question : its number
    judge : text -> what is to be said of it

    Attributes
    ----------
    widget : what is displayed
    """

    def __init__(self, question: str, judge: Callable[[str], Verdict]) -> None:
        self._judge = judge
        self._text = ipw.Text(
            description=f"Answer to {question}",
            placeholder=EXAMPLES,
            continuous_update=False,
            style=PLAIN,
            layout=ipw.Layout(width="420px", max_width="100%"),
        )
        self._button = ipw.Button(description="Check", layout=ipw.Layout(width="auto"))
        self._feedback = ipw.HTML()
        self._text.observe(self._answered, names="value")
        self._button.on_click(self._answered)
        row = row_of([self._text, self._button], gap="2px 8px")
        self.widget = ipw.VBox([row, self._feedback])

    def answer(self, text: str) -> str:
        """Give an answer, as typing it does, and return what is said of it."""
        self._text.value = text
        return self._feedback.value

    def _answered(self, _change: Any) -> None:
        found = self._judge(self._text.value)
        self._feedback.value = "" if found.state == "open" else prose(found._repr_html_())

    def _ipython_display_(self) -> None:
        from IPython.display import display

        display(self.widget)
