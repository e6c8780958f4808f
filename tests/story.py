"""Sentences of notebooks and documents, each beside the function that computes what it promises."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import vcviz
from vcviz.headless.files import list_notebooks, read_notebook
from vcviz.headless.parameters import notebook_parameters
from vcviz.runs import Run

ROOT = Path(__file__).resolve().parent.parent
#: of a sentence about heads in general; the first is the one that the notebooks show
SEEDS = (0, 1, 2, 3, 4)


def text_of(name: str) -> str:
    """Return the words of a notebook ("tour", "course/03_training") or file ("docs/gallery.md").

    Line breaks are single spaces, so that a sentence may be broken anywhere.
    """
    if (path := list_notebooks().get(name)) is not None:
        text = "\n\n".join(c.source for c in read_notebook(path).cells if c.cell_type == "markdown")
    else:
        text = (ROOT / name).read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", text)


def defaults(notebook: str) -> dict[str, Any]:
    """Return a notebook's parameters as they are when nobody gives others."""
    return {
        p.name: p.default for p in notebook_parameters(read_notebook(list_notebooks()[notebook]))
    }


def default(function: Callable[..., Any], name: str) -> Any:
    """Return the default of an argument, for `Given` settings."""
    return inspect.signature(function).parameters[name].default


@dataclass(eq=False)
class Story:
    """The runs that the notebooks train with their own parameters, at any seed.

    Each is trained once a session, when it is first asked for; processes share the folder.
    """

    folder: Path
    _runs: dict[str, Run] = field(default_factory=dict)
    _assigned: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)

    def runs(self, notebook: str, seed: int = 0, **changed: Any) -> list[Run]:
        """Return the runs that a notebook trains, one a head.

        Parameters
        ----------
        notebook : its name; what `vcviz.train_heads` takes of its parameters is passed on
        changed : settings in place of the notebook's, e.g. ``heads=["variational"]``
        """
        taken = {"heads", *vcviz.RunConfig.model_fields}
        settings = {k: v for k, v in defaults(notebook).items() if k in taken}
        if (head := settings.pop("head", None)) is not None:
            settings |= {"heads": [head], "head_options": {head: settings["head_options"]}}
        return self.trained(**settings | {"seed": seed} | changed)

    def assigned(self, notebook: str, seed: int = 0) -> dict[str, Any]:
        """Return what the cells of a notebook assign; what they only show is not drawn."""
        if (key := (notebook, seed)) not in self._assigned:
            given = {
                "seed": seed,
                "runs_folder": str(self.folder),
                "out": str(self.folder / notebook),
            }
            cells = read_notebook(list_notebooks()[notebook]).cells
            tree = ast.parse("\n".join(c.source for c in cells if c.cell_type == "code"))
            tree.body = [line for line in tree.body if not isinstance(line, ast.Expr)]
            for line in tree.body:
                if isinstance(line, ast.AnnAssign) and ast.unparse(line.target) in given:
                    line.value = ast.Constant(given[ast.unparse(line.target)])
            exec(compile(ast.fix_missing_locations(tree), notebook, "exec"), values := {})
            self._assigned[key] = values
        return self._assigned[key]

    def tour(self, latent_dim: int, seed: int = 0) -> list[Run]:
        """Return the tour's runs in so many latent dimensions."""
        from vcviz.cli.tour import EPOCHS, HEADS

        n = EPOCHS[latent_dim]
        return self.trained(
            heads=list(HEADS), latent_dim=latent_dim, epochs=n, probe_every=n // 20, seed=seed
        )

    def trained(self, *, heads: Sequence[str], **settings: Any) -> list[Run]:
        """Return the runs of these settings, kept in memory with what was read of them."""
        runs = vcviz.train_heads(heads, **settings, out=self.folder, progress=False)
        return [self._runs.setdefault(run.name, run) for run in runs]


@dataclass(frozen=True)
class Claim:
    """A piece of text, and what it promises.

    Attributes
    ----------
    where : a notebook or file, see `text_of`
    fragment : what must stand there word for word
    holds : asserts, of one seed, that what the fragment says is so
    least : of the five seeds, in how many; 0 for what is about the run that is shown alone
    """

    where: str
    fragment: str
    holds: Callable[[Story, int], None]
    least: int = len(SEEDS)

    def __str__(self) -> str:
        """Return a name for the test."""
        return f"{self.where}-{self.fragment[:40]}"

    def check_text(self) -> None:
        """Raise an AssertionError if the fragment is no longer there."""
        assert self.fragment in text_of(self.where), f"{self.where} no longer says so"

    def check_seeds(self, story: Story) -> None:
        """Raise an AssertionError if it holds for fewer seeds than `least`."""
        failed = {}
        for seed in SEEDS:
            try:
                self.holds(story, seed)
            except AssertionError as error:
                failed[seed] = str(error).splitlines()[:1]
        assert len(SEEDS) - len(failed) >= self.least, failed


#: why nothing need be computed: what a word or an axis means; what the reader is to do; what
#: follows from a formula beside it; a paper's finding; what a setting of the program is
WHYS = ("definition", "instruction", "mathematics", "cited", "setting")


@dataclass(frozen=True)
class Given:
    """A piece of text with a number or an order in it that no figure can refute.

    Attributes
    ----------
    where : a notebook, see `text_of`
    fragment : what must stand there word for word
    why : one of `WHYS`
    equals : of a setting, what it is in the program; the fragment's only number must be that
    """

    where: str
    fragment: str
    why: str
    equals: Callable[[], float] | None = None

    def mistake(self, numbers: Sequence[str]) -> str:
        """Return what is wrong with it, given the numbers of its fragment, or nothing."""
        if self.why not in WHYS:
            return f"is given for {self.why!r}; one of {', '.join(WHYS)} is needed"
        if (self.why == "setting") != (self.equals is not None):
            return "is a setting if, and only if, it says what it equals"
        if self.equals is None:
            return ""
        is_now = self.equals()
        if len(numbers) != 1 or number(numbers[0]) != is_now:
            return f"must hold the one number {is_now}, and has {', '.join(numbers) or 'none'}"
        return ""


_NUMERALS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_NUMERALS += ["eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"]


def number(words: str) -> float:
    """Return the number that digits or an English word are: "95 %" is 95, "2,000" is 2000."""
    if words.lower() in _NUMERALS:
        return _NUMERALS.index(words.lower())
    return float(words.replace(",", "").replace("−", "-").strip("% "))


def parametrised(claims: Sequence[Claim]) -> pytest.MarkDecorator:
    """Return the mark that runs a test over claims."""
    return pytest.mark.parametrize("claim", claims, ids=str)
