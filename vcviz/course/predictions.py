"""Predict, then reveal: a question whose answer and reason are computed when asked for."""

from __future__ import annotations

import html
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as ipw

from vcviz.course.answers import FOR
from vcviz.course.expressions import Unreadable, evaluate
from vcviz.explorers.controls import PLAIN, prose

_NEAR = 0.25


@dataclass(frozen=True)
class Reveal:
    """What is right, and what to expect of the figure, with its numbers.

    Attributes
    ----------
    right : number of the right option, from 0; or the number that was asked for
    reason : what to expect, and why; ``**bold**`` is bold, an empty line begins a paragraph
    """

    right: float
    reason: str


class Prediction:
    """A question before a figure: answer it, then see what is computed and what to look for.

    It stands in the cell before its figure. What a reader should expect is in the reason, which is
    not shown before they have answered.

    Parameters
    ----------
    question : plain text
    options : at least two, plain text; none if a number is asked for
    reveal : works the answer out
    unit : of the number, such as "nats"

    Attributes
    ----------
    widget : options or a field, and a button

    Examples
    --------
    >>> Prediction("How sure is it?", (), lambda: Reveal(0.9, "It is **sure**.")).answer.right
    0.9
    """

    def __init__(
        self,
        question: str,
        options: Sequence[str],
        reveal: Callable[[], Reveal],
        *,
        unit: str = "",
    ) -> None:
        self.question, self.options, self.unit = question, tuple(options), unit
        self._reveal = reveal
        self._choice: Any = (
            ipw.RadioButtons(
                options=list(self.options),
                value=None,
                style=PLAIN,
                layout=ipw.Layout(width="auto", margin="2px 0 2px 8px"),
            )
            if options
            else ipw.Text(
                placeholder=f"your guess, {unit}" if unit else "your guess",
                layout=ipw.Layout(width="220px", margin="2px 0 2px 8px"),
            )
        )
        self._button = ipw.Button(
            description="Reveal",
            icon="eye",
            disabled=True,
            tooltip="answer first",
            layout=ipw.Layout(width="auto"),
        )
        self._feedback = ipw.HTML()
        self._choice.observe(self._chosen, names="value")
        self._button.on_click(lambda _: self.reveal())
        title = ipw.HTML(prose(f"<b>Predict first.</b> {html.escape(question)}"))
        self.widget = ipw.VBox(
            [title, self._choice, self._button, self._feedback],
            layout=ipw.Layout(align_items="flex-start", margin="0 0 10px 0"),
        )

    @property
    def answer(self) -> Reveal:
        """What is right, and the reason."""
        return self._reveal()

    def choose(self, answer: str) -> None:
        """Choose an option or type a number, as a reader does."""
        self._choice.value = answer

    def reveal(self) -> str:
        """Show whether the prediction was right and return what is said."""
        if self._button.disabled:
            return ""
        found = self.answer
        if self.options:
            same = self._choice.value == self.options[int(found.right)]
            start = "As you said" if same else "It is another one"
        else:
            off = abs(float(evaluate(self._choice.value)) - found.right)
            near = off <= _NEAR * abs(found.right)
            start = "You were near" if near else "You were not near"
        said = f"<b>{start}: {self._right(found)}.</b> {_marked(found.reason)}"
        self._feedback.value = prose(said)
        return said

    def page(self, *, is_open: bool = False) -> str:
        """Return HTML that asks and reveals without a kernel.

        The page's script keeps the reveal shut until there is an answer.
        """
        found = self.answer
        name = f"predict-{id(self)}"
        asked = "".join(
            f"<label><input type='radio' name='{name}'> {html.escape(option)}</label><br>"
            for option in self.options
        ) or (
            f"<label><input type='text' size='12' aria-label='your guess'> {html.escape(self.unit)}"
            "</label>"
        )
        return (
            f"<div class='predict'><p><b>Predict first.</b> {html.escape(self.question)}</p>"
            f"<p>{asked}</p><details class='reveal'{' open' * is_open}><summary>Reveal</summary>"
            f"<p><b>{self._right(found)}.</b> {_marked(found.reason)}</p></details></div>"
        )

    def _right(self, found: Reveal) -> str:
        if self.options:
            return html.escape(self.options[int(found.right)])
        return html.escape(f"{found.right:.3g} {self.unit}".strip())

    def _chosen(self, _change: Any) -> None:
        self._button.disabled = not self._answered()
        self._feedback.value = ""

    def _answered(self) -> bool:
        if self.options:
            return self._choice.value is not None
        try:
            float(evaluate(self._choice.value))
        except (Unreadable, TypeError, ValueError):
            return False
        return True

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        headless: Any = os.environ.get("VCVIZ_HEADLESS") == "1"
        is_open = os.environ.get(FOR) == "lecturer"
        display(HTML(self.page(is_open=is_open)) if headless else self.widget)


def _marked(text: str) -> str:
    """Return plain text as HTML, with bold words and paragraphs."""
    bold = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", html.escape(text.strip()))
    return re.sub(r"\n\s*\n", "<br><br>", bold)
