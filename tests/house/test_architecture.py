"""Data flows one way: which module may import which, and who may use torch and plotly."""

from __future__ import annotations

import ast
import collections
import functools
import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest
from front_doors import ROOMS, TOP, public

import vcviz

PACKAGE = Path(vcviz.__file__).parent

#: from the bottom up; a room imports from those below it, and from itself
LAYERS = (
    {"base"},
    {"records"},
    {"geometry", "models"},
    {"metrics"},
    {"data", "figures", "latents"},
    {"attacks"},
    {"runs"},
    {"training"},
    {"headless"},
    {"studies"},
    {"explorers"},
    {"course"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

NUMBERS = {"base", "records", "geometry", "metrics"}
TORCH = {"models", "latents", "attacks", "training"}
#: torch inside functions, so that what needs none of it stays quick
TORCH_WHEN_CALLED = {"explorers", "runs", "studies"}
PLOTLY = {"course", "explorers", "figures"}
#: plotly's script is written into pages
PLOTLY_WHEN_CALLED = {"headless"}


class Imports(ast.NodeVisitor):
    """Collects (module, whether inside a function), leaving out what only type checkers see."""

    def __init__(self, source: str, package: str) -> None:
        self.found: list[tuple[str, bool]] = []
        self.package = package
        self.depth = 0
        self.visit(ast.parse(source))

    def visit_If(self, node: ast.If) -> None:
        if "TYPE_CHECKING" not in ast.unparse(node.test):
            self.generic_visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self.depth += 1
        self.generic_visit(node)
        self.depth -= 1

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Import(self, node: ast.Import) -> None:
        self.found += [(alias.name, self.depth > 0) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        if node.level:
            base = self.package.split(".")
            module = ".".join([*base[: len(base) - node.level + 1], *filter(None, [module])])
        for alias in node.names:
            self.found.append((f"{module}.{alias.name}", self.depth > 0))


def top(path: Path) -> str:
    """Return the module or subpackage of vcviz that a file belongs to."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@functools.cache
def imports_of(path: Path) -> list[tuple[str, bool]]:
    package = ".".join(path.relative_to(PACKAGE.parent).parent.parts)
    return Imports(path.read_text(encoding="utf-8"), package).found


def own(module: str) -> str | None:
    """Return the part of vcviz that an import names; None for other packages and `vcviz` itself."""
    parts = module.split(".")
    exists = len(parts) > 1 and (
        (PACKAGE / parts[1]).is_dir() or (PACKAGE / f"{parts[1]}.py").is_file()
    )
    return parts[1] if parts[0] == "vcviz" and exists else None


def each(names: set[str] | None = None, *, but: set[str] = frozenset()):
    """Try a test on every file, or those of some modules, and say of which files it failed."""
    kept = [p for p in files() if (names is None or top(p) in names) and top(p) not in but]

    def of_all(check):
        @functools.wraps(check)
        def tried():
            wrong = {}
            for path in kept:
                try:
                    check(path)
                except AssertionError as error:
                    wrong[str(path.relative_to(PACKAGE))] = str(error)
            assert kept
            assert not wrong

        del tried.__wrapped__  # pytest would look there for arguments
        return tried

    return of_all


@each()
def test_nothing_imports_upwards(path):
    name = top(path)
    assert name in RANK, f"give {name!r} a place in LAYERS"
    used = {other for module, _ in imports_of(path) if (other := own(module)) not in (None, name)}
    wrong = sorted(other for other in used if RANK.get(other, len(LAYERS)) >= RANK[name])
    assert not wrong, f"{name} must not import {', '.join(wrong)}"


@each(but=TORCH)
def test_torch_stays_where_it_belongs(path):
    uses(path, "torch", TORCH_WHEN_CALLED)


@each(but=PLOTLY)
def test_plotly_stays_where_it_belongs(path):
    uses(path, "plotly", PLOTLY_WHEN_CALLED)


def uses(path: Path, library: str, when_called: set[str]) -> None:
    places = {inside for module, inside in imports_of(path) if library in module.split(".")}
    assert False not in places, f"{top(path)} must not import {library} when it is imported"
    assert top(path) in when_called or not places, f"{top(path)} must not import {library} at all"


@each(NUMBERS | {"figures"})
def test_numbers_and_figures_rest_on_numbers_alone(path):
    allowed = NUMBERS | {top(path)}
    assert {own(module) for module, _ in imports_of(path)} <= {*allowed, None}


def test_imports_are_seen_wherever_they_stand():
    source = """
import torch.nn as nn
from typing import TYPE_CHECKING
if TYPE_CHECKING:
    import plotly
class A:
    def f(self):
        from vcviz import cli, __version__
        from .theme import palette
        from .. import explorers
"""
    assert Imports(source, "vcviz.figures").found == [
        ("torch.nn", False),
        ("typing.TYPE_CHECKING", False),
        ("vcviz.cli", True),
        ("vcviz.__version__", True),
        ("vcviz.figures.theme.palette", True),
        ("vcviz.explorers", True),
    ]
    assert (own("vcviz.cli"), own("vcviz.__version__"), own("torch.nn")) == ("cli", None, None)


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("vcviz", {"torch", "plotly", "pandas", "scipy", "numpy"}),
        ("vcviz.cli", {"torch", "plotly", "pandas", "scipy"}),
        ("vcviz.runs", {"torch", "plotly"}),
        ("vcviz.data", {"torch", "datasets"}),
        ("vcviz.explorers", {"torch", "umap"}),
        ("vcviz.headless.files, nbformat", {"torch", "plotly", "lark"}),
    ],
)
def test_importing_loads_no_more_than_it_needs(module, absent):
    code = f"import sys, {module}; print(*sorted({absent!r} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120
    )
    assert done.stdout.split() == []


def test_every_public_name_is_documented():
    functions = {name: value for name, value in public().items() if callable(value)}
    assert functions
    assert [name for name, value in functions.items() if not (value.__doc__ or "").strip()] == []


@pytest.mark.parametrize("room", ["vcviz", *(f"vcviz.{name}" for name in ROOMS)])
def test_a_room_lists_what_it_has(room):
    module = importlib.import_module(room)
    assert (module.__doc__ or "").strip()
    assert set(getattr(module, "__all__", ())) <= set(dir(module))


def test_the_house_is_small_enough_to_learn():
    # An old checkout may have folders of what Python compiled.
    rooms = [p for p in PACKAGE.iterdir() if p.is_file() or any(p.rglob("*.py"))]
    assert len(rooms) <= 20
    assert {p.stem for p in rooms if p.suffix == ".py" or p.is_dir()} - {"__init__"} == set(RANK)
    assert len(TOP) <= 60
    names = collections.Counter(path.stem for path in files())
    del names["__init__"]
    assert max(names.values()) <= 3, names.most_common(3)


def parameters(path: Path):
    """Yield (function, how many arguments it takes), without self and cls."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            args = node.args
            names = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
            more = sum(a is not None for a in (args.vararg, args.kwarg))
            yield node.name, len([n for n in names if n not in ("self", "cls")]) + more


@each()
def test_no_function_takes_more_than_a_reader_can_hold(path):
    assert not [(name, n) for name, n in parameters(path) if n > 14]


#: what a parameter of this type is called, alone or as one of several in a function
PARAMETERS = {
    "LatentSet": {
        "lat",
        *("train", "validation"),  # the rows that something is fitted on, beside those it judges
        *("strangers", "known", "strange"),  # out of distribution, and both sides of a comparison
        *("before", "after"),  # the same rows twice
        "chosen",  # some rows of `lat`
        "log_probs",  # of `shift_prior`, which takes them as an array too
    },
    "LatentPrior": {"prior"},
    "LogitLaw": {"law"},
    "Trajectory": {"path", "first"},
    "Projection": {"projection", "start"},  # of a tour
    "Split": {
        *("split", "train", "test"),
        *("whole", "like", "rows"),  # before it is divided; what others are made like; some rows
        "data",  # of an explorer, whose `split` is the name of one
    },
    "Run": {"run", *("one", "other")},
    "RunConfig": {"config", *("before", "now")},
    "Scoreboard": {"board"},
}


@each()
def test_a_record_has_one_name_in_all_signatures(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            for arg in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs):
                kind = ast.unparse(arg.annotation).removesuffix(" | None") if arg.annotation else ""
                assert arg.arg in PARAMETERS.get(kind, {arg.arg}), f"{node.name}({arg.arg}: {kind})"


def test_contributing_draws_the_rooms_in_their_order():
    text = (PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    picture = text.split("```")[1]
    drawn = [set(re.findall(r"[a-z]+", line.split("  ")[0])) for line in picture.splitlines()]
    drawn = [names & set(RANK) for names in drawn]
    assert [names for names in drawn if names][::-1] == [n for n in LAYERS if n != {"__main__"}]


def test_an_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="attribute nonsense"):
        vcviz.nonsense  # noqa: B018
