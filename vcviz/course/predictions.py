"""Predict, then reveal: a question whose right option and reason are computed when asked for."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import ipywidgets as ipw

from vcviz.explorers.controls import PLAIN, prose


@dataclass(frozen=True)
class Reveal:
    """The number of the right option, and the reason with its numbers."""

    option: int
    reason: str


class Prediction:
    """A question with options: choose one, then reveal what is computed.

    Parameters
    ----------
    question : plain text
    options : at least two, plain text
    reveal : works the answer out

    Attributes
    ----------
    widget : options and a button
    """

    def __init__(self, question: str, options: Sequence[str], reveal: Callable[[], Reveal]) -> None:
        self.question, self.options, self._reveal = question, tuple(options), reveal
        self._choice = ipw.RadioButtons(
            options=list(self.options),
            value=None,
            style=PLAIN,
            layout=ipw.Layout(width="auto", margin="2px 0 2px 8px"),
        )
        self._button = ipw.Button(
            description="Reveal",
            icon="eye",
            disabled=True,
            tooltip="choose first",
            layout=ipw.Layout(width="auto"),
        )
        self._said = ipw.HTML()
        self._choice.observe(self._chosen, names="value")
        self._button.on_click(lambda _: self.reveal())
        title = ipw.HTML(prose(f"<b>Predict first.</b> {html.escape(question)}"))
        self.widget = ipw.VBox(
            [title, self._choice, self._button, self._said],
            layout=ipw.Layout(align_items="flex-start", margin="0 0 10px 0"),
        )

    @property
    def answer(self) -> Reveal:
        """The right option and the reason."""
        return self._reveal()

    def choose(self, option: str) -> None:
        """Choose an option, as a click on it does."""
        self._choice.value = option

    def reveal(self) -> str:
        """Show whether the choice was right and return what is said."""
        if self._choice.value is None:
            return ""
        found = self.answer
        right = self.options[found.option]
        start = "As you said" if self._choice.value == right else "It is another one"
        said = f"<b>{start}: {html.escape(right)}.</b> {html.escape(found.reason)}"
        self._said.value = prose(said)
        return said

    def page(self) -> str:
        """Return HTML that asks and reveals without a kernel, and shows all of it in print."""
        found = self.answer
        items = "".join(
            f"<li><label><input type='radio' name='predict-{id(self)}'> "
            f"{html.escape(option)}</label></li>"
            for option in self.options
        )
        right = html.escape(self.options[found.option])
        return (
            f"<p><b>Predict first.</b> {html.escape(self.question)}</p>"
            f"<ul style='list-style:none;padding-left:.5em'>{items}</ul>"
            f"<details class='reveal'><summary>Reveal</summary>"
            f"<p><b>{right}.</b> {html.escape(found.reason)}</p></details>"
        )

    def _chosen(self, _change: Any) -> None:
        self._button.disabled = self._choice.value is None
        self._said.value = ""

    def _ipython_display_(self) -> None:
        from IPython.display import HTML, display

        headless: Any = os.environ.get("VCVIZ_HEADLESS") == "1"
        display(HTML(self.page()) if headless else self.widget)
