"""What became of a notebook that ran: judged by its executed cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from nbformat import NotebookNode

Kind = Literal["error", "timeout", "died", "unfinished"]

#: tags of cells that papermill adds
INJECTED, MARKER = "injected-parameters", "papermill-error-cell-tag"
#: tag of Jupyter's for a cell that shows what an error looks like
RAISES = "raises-exception"
#: type of what a check of the course says of an answer in a strict run: whether it passed, and why
VERDICT = "application/vnd.vcviz.verdict+json"


@dataclass(frozen=True)
class Failure:
    """Why a notebook did not run to its end.

    Attributes
    ----------
    kind : "error" in a cell, "timeout" of a cell, "died" (the kernel), or "unfinished"
    cell : number of the cell in the notebook, from 1; None if the kernel did not start
    source : first line of the cell
    reason : one line
    last_output : last line that the cell printed
    """

    kind: Kind
    cell: int | None
    source: str
    reason: str
    last_output: str = ""

    @property
    def is_bad_input(self) -> bool:
        """Whether vcviz refused a value that the notebook was given."""
        return self.reason.startswith(("InputError:", "MissingError:"))

    def __str__(self) -> str:
        where = f"cell {self.cell}, {self.source!r}: " if self.cell else ""
        said = f"; it last printed: {self.last_output}" if self.last_output else ""
        return f"{where}{self.reason}{said}"


@dataclass(frozen=True)
class NotebookResult:
    """What running a notebook left behind.

    Attributes
    ----------
    name : the notebook's name
    path : the executed notebook
    page : the HTML page made of it, if asked for
    parameters : all of its parameters with the values they had
    seconds : how long it took
    failure : why it stopped early, if it did

    Examples
    --------
    >>> from pathlib import Path
    >>> result = vcviz.NotebookResult("sum", Path("reports/sum.ipynb"), None, {"n": 3}, seconds=2.0)
    >>> result.ok, result.page is None
    (True, True)
    """

    name: str
    path: Path
    page: Path | None
    parameters: Mapping[str, Any]
    seconds: float
    failure: Failure | None = None

    @property
    def ok(self) -> bool:
        """Whether every cell ran without an error."""
        return self.failure is None


class NotebookError(RuntimeError):
    """A notebook failed while it ran; `result` has the cell, the reason and what was kept.

    Examples
    --------
    >>> from pathlib import Path
    >>> from vcviz.headless.outcomes import Failure
    >>> failure = Failure("error", 3, "n / 0", "ZeroDivisionError: division by zero")
    >>> result = vcviz.NotebookResult("sum", Path("sum.failed.ipynb"), None, {"n": 3}, 2.0, failure)
    >>> print(vcviz.NotebookError(result))
    sum failed: cell 3, 'n / 0': ZeroDivisionError: division by zero; kept: sum.failed.ipynb
    """

    def __init__(self, result: NotebookResult) -> None:
        self.result = result
        #: whether vcviz refused a value that the notebook was given
        self.is_bad_input = result.failure is not None and result.failure.is_bad_input
        kept = " and ".join(str(p) for p in (result.path, result.page) if p)
        super().__init__(f"{result.name} failed: {result.failure}; kept: {kept}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.result,)


def find_failure(nb: NotebookNode) -> Failure | None:
    """Return the first cell that has an error or did not run; None if all of them ran.

    Only what the cells hold counts: metadata call cells completed that never ran. A cell tagged
    ``raises-exception`` is meant to have an error. A notebook that ran to its end fails by the
    checks that were not passed, all of them in one list.
    """
    for index, cell in enumerate(nb.cells):
        if cell.cell_type != "code":
            continue
        tags = cell.metadata.get("tags", [])
        for output in cell.outputs:
            if output.output_type == "error" and RAISES not in tags:
                reason = " ".join(f"{output.ename}: {output.evalue}".split())
                return failure_at("error", reason, nb, index)
        if cell.metadata.get("papermill", {}).get("exception"):
            # A magic that is used wrongly stops the kernel without an error among the outputs.
            reason = _last_output(cell) or "the kernel refused the cell"
            return replace(failure_at("error", reason, nb, index), last_output="")
        skipped = not cell.source.strip() or "skip-execution" in tags
        if cell.execution_count is None and not skipped:
            return failure_at("unfinished", "the cell did not run", nb, index)
    return _missed(nb)


def _missed(nb: NotebookNode) -> Failure | None:
    found = [
        (index, output.data[VERDICT])
        for index, cell in enumerate(nb.cells)
        for output in cell.get("outputs", [])
        if VERDICT in output.get("data", {})
    ]
    missed = [(index, verdict["said"]) for index, verdict in found if not verdict["passed"]]
    if not missed:
        return None
    reason = f"{len(missed)} of {len(found)} checks not passed: "
    reason += "; ".join(said for _, said in missed)
    return replace(failure_at("error", reason, nb, missed[0][0]), last_output="")


def failure_at(kind: Kind, reason: str, nb: NotebookNode, index: int | None) -> Failure:
    """Return the failure of the cell at `index`, with the number a person counts for it."""
    if index is None:
        return Failure(kind, None, "", reason)
    cell = nb.cells[index]
    # without the cells that papermill added
    added = sum(
        bool({INJECTED, MARKER} & set(c.metadata.get("tags", []))) for c in nb.cells[:index]
    )
    lines = [line.strip() for line in cell.source.splitlines() if line.strip()]
    return Failure(kind, index + 1 - added, (lines or [""])[0][:80], reason, _last_output(cell))


def _last_output(cell: NotebookNode) -> str:
    for output in reversed(cell.outputs):
        text = output.get("text") or output.get("data", {}).get("text/plain", "")
        if lines := text.strip().splitlines():
            return lines[-1][:200]
    return ""
