"""What README and guides say runs: their Python, their commands, their formulas, their workflow."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from click import Context
from typer.main import get_command

import vcviz
from vcviz.cli import app
from vcviz.headless.files import list_notebooks, read_notebook
from vcviz.headless.mathml import to_mathml
from vcviz.headless.parameters import notebook_parameters

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
#: before a block that the tests leave out; the reason follows
NOT_RUN = "<!-- not run:"


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the line at which its text begins."""

    text: str
    line: int


def blocks(page: Path, language: str) -> list[Block]:
    """Return the page's blocks of a language, but those that say why they are not run."""
    text = page.read_text(encoding="utf-8")
    found = re.finditer(rf"^([^\n]*)\n+```{language}\n(.*?)^```$", text, re.M | re.S)
    return [
        Block(match[2], text.count("\n", 0, match.start(2)))
        for match in found
        if not match[1].startswith(NOT_RUN)
    ]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def pages_with(language: str) -> pytest.MarkDecorator:
    found = [page for page in PAGES if blocks(page, language)]
    assert found
    return pytest.mark.parametrize("page", found, ids=name_of)


# ---------------------------------------------------------------- Python


def small_classifier() -> dict[str, Any]:
    """Return what pages call a model, its data, and the arrays that it gives."""
    test = vcviz.load_data("digits")[1]
    x, y = torch.tensor(test.x).float() / 255, torch.tensor(test.y)
    model = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(64, 4), torch.nn.ReLU(), torch.nn.Linear(4, 10)
    )
    for step in range(60):
        loss = torch.nn.functional.cross_entropy(model(x), y)
        slopes = torch.autograd.grad(loss, list(model.parameters()))
        for weight, slope in zip(model.parameters(), slopes, strict=True):
            weight.data -= slope * (1.0 if step < 40 else 0.3)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=100)
    lat = vcviz.extract_latents(model, loader)
    return {"model": model, "loader": loader, "z": lat.z, "p": lat.log_probs, "y": lat.y}


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """Return what pages take from one another: a classifier and two runs."""
    runs = vcviz.train_heads(
        ["softmax", "variational"], dataset="digits", latent_dim=2, epochs=2, probe_every=1,
        out=tmp_path_factory.mktemp("runs"), progress=False,
    )  # fmt: skip
    return {"vcviz": vcviz, "torch": torch, "np": np, "runs": runs, **small_classifier()}


def shorter(code: str) -> str:
    """Return code that trains for two epochs, and says nothing meanwhile."""
    return re.sub(r"\b(epochs|steps)=\d+", r"\1=2", code)


@pages_with("python")
def test_python_runs(
    page: Path, given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    names = dict(given)
    for block in blocks(page, "python"):
        # Empty lines before it, so that a traceback has the page's line.
        code = compile("\n" * block.line + shorter(block.text), str(page), "exec")
        exec(code, names)


@pages_with(r"{drawn}[^\n]*")
def test_code_that_draws_is_python(page: Path) -> None:
    for block in blocks(page, r"{drawn}[^\n]*"):  # run when the pages are built
        compile("\n" * block.line + block.text, str(page), "exec")


# ---------------------------------------------------------------- commands


def commands(page: Path) -> list[list[str]]:
    """Return the vcviz commands of a page, word by word."""
    lines = "\n".join(b.text for b in blocks(page, "sh")).replace("\\\n", " ").splitlines()
    found = []
    for line in lines:
        for part in re.split(r"&&|\|", line.split(" #")[0].split("&>")[0]):
            words = shlex.split(part.rstrip(" &"), comments=True)
            while words and re.fullmatch(r"\w+=\S+", words[0]):
                words = words[1:]
            if words and words[0].split("/")[-1] == "vcviz":
                found.append(words[1:])
    return found


def check_parameters(words: list[str]) -> None:
    """Raise an AssertionError if a command names parameters that its notebook does not have."""
    parameters = notebook_parameters(read_notebook(list_notebooks()[words[1]]))
    named = {b.split("=")[0] for a, b in pairwise(words) if a == "-p"}
    assert named <= {p.name for p in parameters}, words


@pages_with("sh")
def test_commands_are_understood(page: Path) -> None:
    known = get_command(app)
    for words in commands(page):
        command, rest = known, list(words)
        while hasattr(command, "commands"):
            assert rest[0] in command.commands, words
            command = command.commands[rest.pop(0)]
        takes = command.get_params(Context(command))
        taken = {o for p in takes for o in (*p.opts, *p.secondary_opts)} | {"-h", "--help"}
        options = [w.split("=")[0] for w in words if re.match(r"--?[a-z]", w)]
        assert set(options) <= taken, words
        if words[0] == "notebook" and words[1] in list_notebooks():
            check_parameters(words)


def test_the_workflow_is_one() -> None:
    (text,) = (b.text for b in blocks(ROOT / "docs/headless.md", "yaml") if "jobs:" in b.text)
    workflow = yaml.safe_load(text)
    # YAML 1.1 reads the word "on" as true.
    assert workflow.keys() >= {"name", "jobs"}
    assert workflow[True] == ["push", "workflow_dispatch"]
    (job,) = workflow["jobs"].values()
    runs = [step["run"] for step in job["steps"] if "run" in step]
    made = [shlex.split(run) for run in runs if run.startswith("vcviz ")]
    assert len(made) == 2
    kept = job["steps"][-1]["with"]["path"]
    for words in made:
        assert words[words.index("--out") + 1] == kept
        check_parameters(words[1:])


# ---------------------------------------------------------------- formulas, citation, front page


def formulas(page: Path) -> list[str]:
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
    shown = re.findall(r"\$\$(.+?)\$\$", text, re.S)
    return shown + re.findall(r"(?<!\$)\$([^$\n]+?)\$(?!\$)", text)


def test_formulas_are_drawn_without_a_network() -> None:
    found = [(name_of(page), tex) for page in PAGES[1:] for tex in formulas(page)]
    assert len(found) > 30
    assert [f for f in found if not to_mathml(f[1]).startswith("<math")] == []


def test_the_citation_is_of_this_version() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert citation["version"] == vcviz.__version__
    cited = (ROOT / "docs/bibliography.md").read_text(encoding="utf-8")
    assert f"version = {{{vcviz.__version__}}}" in cited
    assert citation["title"] in cited


def test_works_are_in_the_bibliography() -> None:
    listed = (ROOT / "docs/bibliography.md").read_text(encoding="utf-8")
    listed = dict.fromkeys(re.findall(r"^\* ([\w-]+).*?\((\d{4})\)", listed, re.M))
    text = (ROOT / "docs/theory.md").read_text(encoding="utf-8")
    cited = re.findall(r"([A-Z][\w-]+)(?: et al\.| and [A-Z]\S+)?,? (\d{4})", text)
    assert len(cited) > 20
    assert [work for work in cited if work not in listed] == []


def test_the_readme_sells_the_point_in_its_first_screen() -> None:
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:40]
    text = "\n".join(first)
    points = (
        "vcviz.explore(model, loader)",
        "docs/explore.webp",
        "97 comparisons",
        "pip install",
    )
    assert [point for point in points if point not in text] == []
    assert (ROOT / "docs/explore.webp").stat().st_size < 1.5e6
