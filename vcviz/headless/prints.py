"""A page on paper: a PDF, as the browser prints it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from vcviz.base.errors import MissingError
from vcviz.base.replacing import replacing
from vcviz.headless.outputs import BROWSERS

# Milliseconds that the page's scripts have, and seconds that all of it may take.
_FOR_SCRIPTS, _LONGEST = 20_000, 300


def write_pdf(page: Path, pdf: Path, *, slides: bool = False) -> Path:
    """Print a page into a file and return its path.

    Parameters
    ----------
    page : HTML file, as `run_notebook` writes it
    pdf : file to write; an existing one is replaced
    slides : a sheet for each section of a lesson of the course

    Raises
    ------
    MissingError
        If there is no Chromium or Chrome.
    RuntimeError
        If the browser prints nothing; with what it said last.
    """
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise MissingError("a PDF needs Chromium or Chrome; install one, or print from a browser")
    with tempfile.TemporaryDirectory() as profile, replacing(pdf) as temporary:
        command = [
            browser,
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--no-pdf-header-footer",
            "--window-size=1280,900",  # a narrow one stacks the panels of figures
            f"--user-data-dir={profile}",
            f"--virtual-time-budget={_FOR_SCRIPTS}",
            f"--print-to-pdf={temporary.resolve()}",
        ]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            command.append("--no-sandbox")  # it refuses to start with one, as in a container
        address = page.resolve().as_uri() + "#slides" * slides
        done = subprocess.run([*command, address], capture_output=True, timeout=_LONGEST)
        if not temporary.is_file():
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise RuntimeError(f"{browser} printed nothing: {said[-1] if said else 'no reason'}")
    return pdf
