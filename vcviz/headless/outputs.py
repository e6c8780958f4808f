"""What a notebook showed, as files for other programs: figures, pictures and tables."""

from __future__ import annotations

import base64
import csv
import json
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcviz.base.errors import MissingError, unknown

if TYPE_CHECKING:
    from nbformat import NotebookNode

FIGURE = "application/vnd.plotly.v1+json"
FORMATS = ("png", "svg", "pdf")
# The one without a window takes half of a whole browser's time.
BROWSERS = (
    "chromium-headless-shell", "chromium", "chromium-browser", "google-chrome",
    "google-chrome-stable",
)  # fmt: skip
# Pixels; figures without a height have plotly's own. Doubled, so that text stays sharp in print.
_WIDTH, _HEIGHT, _SCALE = 900, 450, 2


def write_outputs(
    nb: NotebookNode, folder: Path, *, images: bool | Sequence[str] | None = None
) -> list[str]:
    """Write the figures, pictures and tables that the cells show, and return the files' names.

    Plotly's figures become JSON and images, pictures such as matplotlib's are written as they are,
    and tables become CSV.

    Parameters
    ----------
    nb : executed notebook
    folder : folder for the files; replaced as a whole, and left out if there are none
    images : write figures as PNG too, or in the formats that it names, of "png", "svg" and "pdf";
        default PNG if kaleido and a browser are there

    Raises
    ------
    InputError
        For another format.
    MissingError
        If images are asked for and cannot be made.
    """
    formats = image_formats(images)
    figures, tables, pictures = list(_figures(nb)), list(_tables(nb)), list(_pictures(nb))
    shutil.rmtree(folder, ignore_errors=True)
    if not figures and not tables and not pictures:
        return []
    if formats and not can_write_images():
        raise MissingError(
            f"{' and '.join(formats).upper()} files need kaleido and Chromium or Chrome: "
            "pip install 'vcviz[export]'"
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as place:
        temporary = Path(place) / folder.name
        temporary.mkdir()
        for number, figure in enumerate(figures, 1):
            path = temporary / f"figure-{number:02d}.json"
            path.write_text(json.dumps(figure, separators=(",", ":")), encoding="utf-8")
        if formats and figures:
            try:
                _write_images(figures, temporary, formats)
            except Exception as error:
                # Of the browser, and of many kinds; a run of hours is not lost for it.
                reason = " ".join(str(error).split()) or type(error).__name__
                kinds = " and ".join(formats).upper()
                warnings.warn(f"some figures were not written as {kinds}: {reason}", stacklevel=2)
        for number, rows in enumerate(tables, 1):
            path = temporary / f"table-{number:02d}.csv"
            with path.open("w", encoding="utf-8", newline="") as file:
                csv.writer(file).writerows(rows)
        for number, (suffix, content) in enumerate(pictures, 1):
            (temporary / f"picture-{number:02d}{suffix}").write_bytes(content)
        os.rename(temporary, folder)
    return sorted(path.name for path in folder.iterdir())


def image_formats(images: bool | Sequence[str] | None) -> tuple[str, ...]:
    """Return the formats that `images` of `write_outputs` stands for."""
    if images is None:
        images = can_write_images()
    if isinstance(images, bool):
        return ("png",) if images else ()
    for name in images:
        if name not in FORMATS:
            raise unknown("image format", name, FORMATS)
    return tuple(dict.fromkeys(images))


def can_write_images() -> bool:
    """Return whether kaleido and a browser for it are installed."""
    return find_spec("kaleido") is not None and find_browser() is not None


def find_browser() -> str | None:
    """Return the path of the first of `BROWSERS` that is installed, or None."""
    return next(filter(None, map(shutil.which, BROWSERS)), None)


def _figures(nb: NotebookNode) -> Iterator[Mapping[str, Any]]:
    for output in _outputs(nb):
        figure = output.get("data", {}).get(FIGURE)
        if figure is not None:
            yield {key: figure[key] for key in ("data", "layout", "frames") if key in figure}


def _pictures(nb: NotebookNode) -> Iterator[tuple[str, bytes]]:
    """Yield suffix and content of what is shown as a picture only, as by matplotlib."""
    for output in _outputs(nb):
        data = output.get("data", {})
        if FIGURE in data:
            continue
        if "image/svg+xml" in data:
            yield ".svg", data["image/svg+xml"].encode()
        for kind, suffix in (("image/png", ".png"), ("image/jpeg", ".jpg")):
            if kind in data:
                yield suffix, base64.b64decode(data[kind])
                break


def _tables(nb: NotebookNode) -> Iterator[list[list[str]]]:
    for output in _outputs(nb):
        data = output.get("data", {})
        if FIGURE not in data and "<table" in data.get("text/html", ""):
            parser = _Tables()
            parser.feed(data["text/html"])
            yield from (table for table in parser.found if table)


def _outputs(nb: NotebookNode) -> Iterator[Mapping[str, Any]]:
    for cell in nb.cells:
        if cell.cell_type == "code":
            yield from cell.outputs


def _write_images(figures: list[Mapping[str, Any]], folder: Path, formats: Sequence[str]) -> None:
    import kaleido

    # One browser for all of them: starting it takes seconds.
    kaleido.start_sync_server(silence_warnings=True, path=find_browser())
    try:
        for number, figure in enumerate(figures, 1):
            layout = {**figure.get("layout", {}), "paper_bgcolor": "white"}
            content = {"data": figure.get("data", []), "layout": layout}
            size = {"width": _WIDTH, "height": layout.get("height", _HEIGHT)}
            for name in formats:
                scale = _SCALE if name == "png" else 1  # the others have no pixels
                picture = kaleido.calc_fig_sync(
                    content, opts={"format": name, "scale": scale, **size}
                )
                (folder / f"figure-{number:02d}.{name}").write_bytes(picture)
    finally:
        kaleido.stop_sync_server(silence_warnings=True)


class _Tables(HTMLParser):
    """The tables of a piece of HTML as rows of text, without those within others."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[list[list[str]]] = []
        self._depth = 0
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag == "table":
            self._depth += 1
            if self._depth == 1:
                self.found.append([])
        elif self._depth == 1 and tag == "tr":
            self.found[-1].append([])
        elif self._depth == 1 and tag in ("td", "th") and self.found[-1]:
            self.found[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._depth -= 1
        elif tag in ("td", "th") and self._depth == 1:
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        if self._depth == 1 and self._in_cell:
            self.found[-1][-1][-1] += data.strip()
