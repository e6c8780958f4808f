"""A notebook as an app: Voilà shows its text and outputs, and no code."""

from __future__ import annotations

import socket

import pytest
from browser import open_page
from lab_browser import served, small_copies

from vcviz import lab
from vcviz.errors import InputError, MissingError
from vcviz.lab import app_command


def test_an_app_needs_voila_and_a_notebook(tmp_path, monkeypatch):
    monkeypatch.setattr(lab, "find_spec", lambda name: None)
    with pytest.raises(MissingError, match=r"pip install 'vcviz\[voila\]'"):
        app_command("tour", tmp_path)
    monkeypatch.setattr(lab, "find_spec", lambda name: object())
    (tmp_path / "tour.ipynb").touch()
    with pytest.raises(InputError, match=r"unknown notebook 'toor'.*tour"):
        app_command("toor", tmp_path)
    command = app_command("tour", tmp_path, port=1, browser=False, extra=["--debug"])
    assert command[1:4] == ["-m", "voila", str(tmp_path / "tour.ipynb")]
    assert command[-3:] == ["--port=1", "--no-browser", "--debug"]


@pytest.mark.browser
@pytest.mark.timeout(300)
def test_an_app_shows_a_live_explorer_and_no_code(tmp_path, chromium):
    pytest.importorskip("voila")
    small_copies(tmp_path / "vcviz-notebooks")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    address = rf"http://(127\.0\.0\.1|localhost):{port}/"
    with (
        served(tmp_path, "--app", "latent_space", f"--port={port}", address=address) as start,
        open_page(chromium, start) as (page, watch),
    ):
        plot = page.locator(".js-plotly-plot[data-drawn]").first
        plot.wait_for(timeout=120_000)
        assert "Do the latents follow the law" in page.locator("h1").inner_text()
        assert page.get_by_text("vcviz.train_heads").count() == 0
        assert page.get_by_text("latent_dim").count() == 0  # the parameters
        # The figures that no control moves are drawn too.
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length > 4")
        first = "Array.from(document.querySelector('.js-plotly-plot[data-drawn]').data[2].x)"
        before = page.evaluate(first)
        page.locator(".widget-slider .noUi-handle").first.focus()
        page.keyboard.press("Home")
        page.wait_for_function(f"String({first}) !== {','.join(map(str, before))!r}")
        assert watch.requests == []  # Voilà's own fonts from outside are not even asked for
        assert [e for e in watch.errors if "Content Security Policy" not in e] == []
    assert (tmp_path / "runs").is_dir()  # where it was started, as with JupyterLab
