"""What the words of an explorer mean stands beneath it, on demand."""

import ipywidgets as ipw
import plotly.graph_objects as go
import pytest
from fake_runs import FakeRun

from vcviz import explorers
from vcviz.explorers.display import Explorer
from vcviz.explorers.words import WORDS, words_html

KINDS = [
    kind
    for name in explorers.__all__
    if isinstance(kind := getattr(explorers, name), type) and issubclass(kind, Explorer)
]


def test_every_word_is_explained_and_every_explanation_is_used():
    assert KINDS
    used = {word for kind in KINDS for word in kind.words}
    assert used == set(WORDS)


def test_a_word_is_text():
    assert "&lt;" not in words_html(["ECE"])
    with pytest.raises(KeyError):
        words_html(["<b>"])


def test_words_stand_beneath_the_live_and_the_static_figure(monkeypatch):
    ui = explorers.CalibrationExplorer(FakeRun(), resamples=0)
    last = ui.widget.children[-1]
    assert isinstance(last, ipw.HTML)
    assert "What the words mean" in last.value
    monkeypatch.setenv("VCVIZ_HEADLESS", "1")
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    ui._ipython_display_()
    figure, words = shown
    assert isinstance(figure, go.Figure)
    assert ">smECE</dt>" in words.data
