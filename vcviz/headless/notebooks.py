"""Run notebooks unattended: parameters checked first, success judged by the executed cells.

Papermill runs the notebook, in this Python interpreter. While it runs, the kernel has
``VCVIZ_HEADLESS=1`` and explorers show static figures with native controls instead of widgets.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import logging
import math
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vcviz import __version__
from vcviz.base.errors import InputError
from vcviz.base.locks import held
from vcviz.base.options import check_path
from vcviz.base.progress import bar_interval
from vcviz.base.replacing import replacing
from vcviz.headless.files import (
    FORMAT,
    find_notebook,
    notebook_address,
    read_notebook,
    source_fingerprint,
)
from vcviz.headless.outcomes import (
    MARKER,
    Failure,
    NotebookError,
    NotebookResult,
    failure_at,
    find_failure,
)
from vcviz.headless.outputs import image_formats, write_outputs
from vcviz.headless.parameters import check_parameters, notebook_parameters

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from vcviz.headless.kernels import Kernel

#: plotly's name of what saves figures as their JSON; the page brings plotly.js once for all of them
RENDERER = "plotly_mimetype"
ENVIRONMENT = {
    "VCVIZ_HEADLESS": "1",
    "PLOTLY_RENDERER": RENDERER,
    # A progress bar in a notebook is a widget, which shows nothing without a kernel.
    "TQDM_DISABLE": "1",
    "PYTHONHASHSEED": "0",
}
_START_TIMEOUT = 120
_FULL = (errno.ENOSPC, errno.EDQUOT)


def run_notebook(
    notebook: str | os.PathLike[str],
    parameters: Mapping[str, Any] | None = None,
    *,
    out: str | os.PathLike[str] | None = None,
    html: bool = True,
    images: bool | Sequence[str] | None = None,
    timeout: float | None = None,
    kernel: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    progress: bool = True,
) -> NotebookResult:
    """Run a notebook with these parameters and return where the results are.

    Parameters
    ----------
    notebook : name of one of ours, e.g. "latent_space", or path of any notebook
    parameters : values for its cell tagged ``parameters``; checked before a kernel starts
    out : a folder, or the file to write (.ipynb); default ``reports/<name>.ipynb``
    html : also write one self-contained page beside it
    images : write the figures as PNG too, in ``<name>_files``, or in the formats that it names, of
        "png", "svg" and "pdf"; default PNG if kaleido and a browser for it are there. Figures
        as JSON and tables as CSV are written there in any case.
    timeout : longest time for a cell, seconds
    kernel : name of a Jupyter kernel; default this very Python interpreter, or the notebook's own
        kernel if it is not in Python
    env : more environment variables for the kernel
    cwd : folder in which the cells run; default the current one
    progress : show a progress bar

    Returns
    -------
    NotebookResult
        The source is never written to. While it runs, the notebook so far is in
        ``<name>.partial.ipynb``; a second run into the same file waits for the first. What other
        programs need to know is in ``<name>.json``.

    Raises
    ------
    InputError
        For an unknown notebook or parameter, with the nearest name, or a wrong value.
    NotebookError
        If a cell failed or took too long, or the kernel died. What ran is kept as
        ``<name>.failed.ipynb`` and a page.

    Examples
    --------
    >>> import nbformat
    >>> from nbformat.v4 import new_code_cell, new_notebook
    >>> given = new_code_cell("n: int = 1  # a number", metadata={"tags": ["parameters"]})
    >>> nbformat.write(new_notebook(cells=[given, new_code_cell("print(2 * n)")]), "double.ipynb")
    >>> result = vcviz.run_notebook("double.ipynb", {"n": 21}, html=False, progress=False)
    >>> result.ok, result.path.name
    (True, 'double.ipynb')
    >>> nbformat.read(result.path, 4).cells[-1].outputs[0].text.strip()
    '42'
    """
    from vcviz.headless.kernels import choose_kernel

    source = find_notebook(notebook)
    nb = read_notebook(source)
    declared = notebook_parameters(nb)
    values = check_parameters(declared, parameters or {})
    if timeout is not None and not timeout > 0:
        raise InputError(f"timeout should be a positive number of seconds, got {timeout!r}")
    image_formats(images)
    kernel_name, language = choose_kernel(nb.metadata, kernel)
    target = _target(source, out)

    with _room_in(target.parent), _written_alone(target):
        start = time.monotonic()
        partial = target.with_name(f"{target.stem}.partial.ipynb")
        nb, failure = _execute(
            source,
            partial,
            values,
            kernel_name=kernel_name,
            language=language,
            environment={**ENVIRONMENT, **(env or {})},
            folder=None if cwd is None else Path(cwd),
            timeout=timeout,
            progress=progress,
        )
        kept = target.with_name(f"{target.stem}.failed.ipynb") if failure else target
        result = NotebookResult(
            name=source.stem,
            path=kept,
            page=kept.with_suffix(".html") if html else None,
            parameters={p.name: values.get(p.name, p.default) for p in declared},
            seconds=time.monotonic() - start,
            failure=failure,
        )
        _keep(nb, partial, result)
        files = write_outputs(nb, kept.with_name(f"{kept.stem}_files"), images=images)
        _write_record(result, source, files)
        if not failure:
            for stale in (".failed.ipynb", ".failed.html", ".failed.json"):
                target.with_name(target.stem + stale).unlink(missing_ok=True)
            shutil.rmtree(target.with_name(f"{target.stem}.failed_files"), ignore_errors=True)
    if failure:
        raise NotebookError(result)
    return result


def _execute(
    source: Path,
    partial: Path,
    values: Mapping[str, Any],
    *,
    kernel_name: str,
    language: str,
    environment: Mapping[str, str],
    folder: Path | None,
    timeout: float | None,
    progress: bool,
) -> tuple[NotebookNode, Failure | None]:
    """Run the notebook into `partial`; return it, and how it failed, if it did."""
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    from vcviz.headless.kernels import Kernel
    from vcviz.headless.saving import PatientEngine

    started: list[Kernel] = []
    reached: list[int] = []

    class ThisKernel(Kernel):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.extra_environment, self.folder, self.stderr = environment, folder, stderr
            started.append(self)

    def limit(cell: NotebookNode) -> int | None:
        # A cell may have a limit of its own.
        own = cell.metadata.get("vcviz", {}).get("timeout", timeout)
        return None if own is None else math.ceil(own)

    bar = {"desc": source.stem, "mininterval": bar_interval()}
    kind: Literal["timeout", "died"]
    with _quiet(), tempfile.TemporaryFile() as stderr:
        try:
            with contextlib.suppress(papermill.PapermillExecutionError):  # found in the outputs
                papermill.execute_notebook(
                    _escaped(source),
                    _escaped(partial),
                    dict(values),
                    engine_name=PatientEngine.name,
                    kernel_name=kernel_name,
                    language=language,
                    kernel_manager_class=ThisKernel,
                    progress_bar=bar if progress else False,
                    start_timeout=_START_TIMEOUT,
                    timeout_func=limit,
                    store_widget_state=False,
                    on_cell_execute=lambda cell, cell_index: reached.append(cell_index),
                )
            nb = read_notebook(partial)
            return nb, find_failure(nb)
        except CellTimeoutError:
            # Without a limit of ours one of the client's own, for a kernel that does not answer.
            seconds = limit(read_notebook(partial).cells[reached[-1]])
            reason = "did not answer" if seconds is None else f"took longer than {seconds:g} s"
            kind = "timeout"
        except DeadKernelError:
            kind, reason = "died", started[-1].ending()
        except RuntimeError as error:
            if reached:
                raise
            why = started[-1].last_words() or str(error).strip()
            kind, reason = "died", f"the kernel did not start: {why}"
    nb = read_notebook(partial)
    return nb, failure_at(kind, reason, nb, reached[-1] if reached else None)


def _keep(nb: NotebookNode, partial: Path, result: NotebookResult) -> None:
    """Write the executed notebook and its page where they belong."""
    from vcviz.headless.slim import notebook_text, slim_figures

    slim_figures(nb)
    nb.cells = [c for c in nb.cells if MARKER not in c.metadata.get("tags", [])]
    nb.metadata.get("papermill", {}).update(output_path=str(result.path))
    nb.metadata["vcviz"] = {
        **nb.metadata.get("vcviz", {}),
        "version": __version__,
        "parameters": dict(result.parameters),
        "seconds": round(result.seconds, 3),
        "failure": None if result.failure is None else str(result.failure),
    }
    partial.write_text(notebook_text(nb) + "\n", encoding="utf-8")
    if result.page:
        from vcviz.headless.pages import write_page

        failure = f"{result.name} stopped: {result.failure}" if result.failure else None
        write_page(nb, result.page, name=result.name, failure=failure)
    os.replace(partial, result.path)


def _write_record(result: NotebookResult, source: Path, files: list[str]) -> None:
    """Write what became of the notebook as JSON, last: where it is, the rest is complete."""
    failure = result.failure
    record = {
        "format": FORMAT,
        "notebook": result.name,
        "address": notebook_address(source),
        "source": source_fingerprint(source),
        "version": __version__,
        "parameters": dict(result.parameters),
        "seconds": round(result.seconds, 3),
        "failure": None if failure is None else dataclasses.asdict(failure),
        "executed": result.path.name,
        "page": None if result.page is None else result.page.name,
        "files": [f"{result.path.stem}_files/{name}" for name in files],
        "sizes": {p.name: p.stat().st_size for p in (result.path, result.page) if p},
    }
    path = result.path.with_suffix(".json")
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def _target(source: Path, out: str | os.PathLike[str] | None) -> Path:
    """Return the file to write."""
    path = check_path("out", "reports" if out is None else out)
    target = path if path.suffix == ".ipynb" else path / f"{source.stem}.ipynb"
    if target.resolve() == source.resolve():
        raise InputError(f"out={str(target)!r} is the notebook itself; choose another file")
    return target


@contextlib.contextmanager
def _written_alone(target: Path) -> Iterator[None]:
    """Keep a second run out of the same files: it waits."""
    with contextlib.ExitStack() as stack:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            lock = target.with_name(f".{target.name}.lock")
            stack.enter_context(held(lock, busy=f"{target} is being written by another run"))
        except OSError as error:
            if error.errno in _FULL:
                raise
            raise InputError(
                f"cannot write in {target.parent}: {error.strerror}; choose another out="
            ) from None
        yield


@contextlib.contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    """Say which folder it was if a disk is full: the error of a write names no file."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        advice = "free some space or choose another out="
        raise OSError(error.errno, f"{error.strerror}; {advice}", str(folder)) from None


def _escaped(path: Path) -> str:
    # papermill fills in {…} in paths
    return str(path.resolve()).replace("{", "{{").replace("}", "}}")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep papermill's log lines from the terminal: what matters is in the error that we raise."""
    logger = logging.getLogger("papermill")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
