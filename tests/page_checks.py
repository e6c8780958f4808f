"""What is held of every exported page."""

import base64
import gzip
from html.parser import HTMLParser

from browser import browsing, watched
from pages_browser import WIDTHS, beyond, overlaps, pale, scrolled, undrawn

from vcviz.headless.files import notebook_title, read_notebook
from vcviz.headless.pages import FIGURE


def code_cells(nb):
    return [c for c in nb.cells if c.cell_type == "code"]


def unpacked(page: str, name: str) -> str:
    """Return the text that is packed into a page, such as "figure-0"."""
    content = page.partition(f'<script type="text/plain" id="{name}">')[2].partition("<")[0]
    return gzip.decompress(base64.b64decode(content)).decode()


class Fetches(HTMLParser):
    """Collect everything in a page that a browser would fetch, and its scripts."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.data: dict[str, str] = {}
        self._inside = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if tag != "a":
            named = [values[k] for k in ("src", "href", "srcset", "data") if k in values]
            # A picture within the page, as stills have them, is not fetched.
            self.addresses += [address for address in named if not address.startswith("data:")]
        self._inside = values.get("id", tag) if tag in ("script", "style", "title") else ""

    def handle_endtag(self, tag):
        self._inside = ""

    def handle_data(self, data):
        if self._inside:
            self.data[self._inside] = self.data.get(self._inside, "") + data


def check_page(nb, path, page):
    """A run of a notebook that went well, and its page."""
    executed = read_notebook(path)
    outputs = [o for c in code_cells(executed) for o in c.outputs]
    assert [o for o in outputs if o.output_type == "error"] == []
    figures = [o for o in outputs if FIGURE in o.get("data", {})]
    assert figures
    assert "widgets" not in executed.metadata
    text = page.read_text(encoding="utf-8")
    assert f"<title>{notebook_title(nb)}</title>" in text
    assert text.count('data-figure="') == len(figures)
    assert Fetches(text).addresses == []
    check_sizes(path, page)


def check_drawing(path, chromium, dark=False, widths=WIDTHS):
    """No panel lies over another, no number is left out, no word is pale, nothing sticks out."""
    with browsing(chromium) as browser:
        for width in [1280] if dark else widths:
            page = browser.new_page(
                viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light"
            )
            watch = watched(page)
            page.goto(path.resolve().as_uri())
            scrolled(page)
            for wrong in (overlaps(page), undrawn(page), pale(page), watch.errors):
                assert wrong == [], (path.stem, width)
            assert beyond(page) <= 0, (path.stem, width)
            page.close()


def check_sizes(path, page):
    """A page should open at once: plotly.js takes 2 MB of it."""
    assert path.stat().st_size < 3e6
    assert page.stat().st_size < 5e6
