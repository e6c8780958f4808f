"""The documentation knows every name there is, and its links lead somewhere."""

import collections
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from front_doors import public

import vcviz

ROOT = Path(__file__).parents[2]
REFERENCE = sorted((ROOT / "docs" / "reference").glob("*.md"))
TEXTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
]


def listed() -> list[str]:
    """Return the full names of what the reference lists."""
    found, module = [], ""
    for line in "\n".join(page.read_text() for page in REFERENCE).splitlines():
        if match := re.fullmatch(r"\.\. (currentmodule|py:data):: (\S+)", line):
            if match[1] == "currentmodule":
                module = match[2]
            else:
                found.append(match[2])
        elif match := re.fullmatch(r" {3}([\w.]+)", line):
            found.append(f"{module}.{match[1]}")
    return found


def test_the_reference_has_every_public_name_once() -> None:
    listed_once = collections.Counter(listed())
    missing = [name for name in public() if listed_once[name] != 1]
    assert not missing


def test_the_gallery_draws_every_figure_and_explorer() -> None:
    gallery = (ROOT / "docs" / "gallery.md").read_text()
    drawn = [name for name in public() if re.search(r"\.plot_|Explorer$", name)]
    assert not [name for name in drawn if f"{name}(" not in gallery]


@pytest.mark.parametrize("registry", ["HEADS", "LAWS"])
def test_the_reference_has_every_class_that_can_be_chosen(registry: str) -> None:
    classes = getattr(vcviz.models, registry).values()
    assert {f"{kind.__module__}.{kind.__name__}" for kind in classes} <= set(listed())


def test_the_reference_has_every_measure() -> None:
    assert {f"vcviz.studies.measures.{name}" for name in vcviz.studies.MEASURES} <= set(listed())


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub and MyST make them."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = re.findall(r"^#+ (.+)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", h.lower()).strip().replace(" ", "-") for h in headings}


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(text: Path) -> None:
    prose = re.sub(r"^```\w*\n.*?^```$", "", text.read_text(), flags=re.M | re.S)
    for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "`", prose)):
        if "://" in link:
            url = urlsplit(link)
            assert (url.scheme, "." in url.netloc) == ("https", True), (
                f"{text.name} links to {link}"
            )
            continue
        path, _, anchor = link.partition("#")
        target = text.parent / path if path else text
        assert target.exists(), f"{text.name} links to {link}"
        if anchor:
            assert anchor in anchors(target), f"{text.name} links to {link}"


def test_what_contributors_are_led_to_is_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    paths = re.findall(r"`((?:vcviz|tests|docs|benchmarks|notebooks)/[^`<]+)`", text)
    assert len(paths) > 40
    for path in paths:
        assert list(ROOT.glob(path)), path
    named = re.findall(r"`(\w+)` (?:of|in) `([\w/.]+\.(?:py|js|yml|css))`", text)
    assert {"calibration_error", "plotly_click"} <= {name for name, _ in named}
    for name, path in named:
        assert name in (ROOT / path).read_text(encoding="utf-8"), (name, path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_pages_build_without_a_warning(tmp_path: Path) -> None:
    for module in ("sphinx", "furo", "myst_parser", "numpydoc"):
        pytest.importorskip(module, reason="the extra `docs` is not installed")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "reference" / "generated" / "vcviz.attack.html").is_file()
    # The numbers of a figure are in a file of their own, its still on the page of its function.
    assert "Plotly.newPlot" not in (tmp_path / "gallery.html").read_text()
    assert (tmp_path / "_static" / "figures" / "gallery-0.js").is_file()
    plotted = tmp_path / "reference" / "generated" / "vcviz.plot_latent_fit.html"
    assert 'src="../../_static/figures/gallery-' in plotted.read_text()
