"""A notebook as an app: Voilà shows its text and outputs, and no code."""

from __future__ import annotations

import contextlib
import re
import socket
import time
import urllib.error
import urllib.request

import pytest
from browser import open_page
from lab_browser import served, small_copies

from vcviz.base.errors import InputError, MissingError
from vcviz.headless import lab
from vcviz.headless.lab import app_command


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
    (tmp_path / "course").mkdir()
    (tmp_path / "course" / "one.ipynb").touch()
    assert app_command("course/one", tmp_path)[3] == str(tmp_path / "course" / "one.ipynb")
    assert app_command("course", tmp_path)[3] == str(tmp_path / "course")


@contextlib.contextmanager
def app(folder, name, chromium):
    """Show a notebook as the command does, and yield the page and what it asked for."""
    pytest.importorskip("voila")
    small_copies(folder / "vcviz-notebooks")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    address = rf"http://(127\.0\.0\.1|localhost):{port}/"
    with (
        served(folder, "--app", name, f"--port={port}", address=address) as start,
        open_page(chromium, start) as (page, watch),
    ):
        page.locator(".js-plotly-plot[data-drawn]").first.wait_for()
        yield page
        assert watch.requests == []  # Voilà's own fonts from outside are not even asked for
        assert [e for e in watch.errors if "Content Security Policy" not in e] == []


def runs(kernel):
    """Whether the server still has this kernel."""
    try:
        with urllib.request.urlopen(kernel) as answer:
            return answer.status == 200
    except urllib.error.HTTPError as error:
        if error.code != 404:
            raise
        return False


@pytest.mark.browser
def test_an_app_shows_a_live_explorer_and_no_code(tmp_path, chromium):
    with app(tmp_path, "latent_space", chromium) as page:
        assert "Do the latents follow the law" in page.locator("h1").inner_text()
        assert page.get_by_text("vcviz.train_heads").count() == 0
        assert page.get_by_text("latent_dim").count() == 0  # the parameters
        # The figures that no control moves are drawn too.
        page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length > 4")
        first = (
            "Array.from(document.querySelector('.js-plotly-plot[data-drawn]')"
            ".data.find(t => t.meta.layer === 'points').x)"
        )
        before = page.evaluate(first)
        page.locator(".widget-slider .noUi-handle").first.focus()
        page.keyboard.press("Home")
        page.wait_for_function(f"String({first}) !== {','.join(map(str, before))!r}")
        # The kernel ends with the page.
        settings = "JSON.parse(document.querySelector('#jupyter-config-data').textContent)"
        kernel = page.evaluate(
            f"new URL('api/kernels/' + {settings}.kernelId, location.origin).href"
        )
        assert runs(kernel)
        page.unroute_all()  # what a page sends as it goes is lost on its way through here
        page.goto("about:blank")
        deadline = time.monotonic() + 120
        while runs(kernel):
            assert time.monotonic() < deadline, "the kernel of a closed page is still there"
            time.sleep(0.2)
    assert (tmp_path / "runs").is_dir()  # where it was started, as with JupyterLab


@pytest.mark.browser
def test_a_lesson_asks_in_fields_reveals_and_is_dragged(tmp_path, chromium):
    with app(tmp_path, "course/01_bayes", chromium) as page:
        assert page.get_by_text("course.check").count() == 0
        assert page.get_by_text("place of None").count() == 0
        field = page.get_by_label("Answer to 1.1")
        field.fill("[1.5, 1]")
        field.press("Enter")
        page.get_by_text("that is half of it").wait_for()
        field.fill("__import__('os')")
        field.press("Enter")
        page.get_by_text("expected 2 numbers").wait_for()
        field.fill("np.array([9, 6]) / 3")
        page.get_by_role("button", name="Check").first.click()
        page.get_by_text("✓ 1.1").wait_for()
        page.get_by_text("on two branches").click()
        page.get_by_role("button", name="Reveal").nth(1).click()
        page.get_by_text("It is another one: on a closed curve around A.").wait_for()
        handle = page.get_by_role("button", name="centre of B (1.5, 0)").first
        handle.scroll_into_view_if_needed()
        box = handle.bounding_box()
        page.mouse.move(box["x"] + 18, box["y"] + 18)
        page.mouse.down()
        page.mouse.move(box["x"] + 18, box["y"] - 40, steps=3)
        page.mouse.up()
        # The best softmax has turned: its weight along z₂ is that of the means.
        page.get_by_text(re.compile(r"softmax: w = \(3\.00, [1-4]\.\d\d\)")).wait_for()
