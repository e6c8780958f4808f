"""Where notebooks are: ours in the source tree or the installed package, a user's own anywhere."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from vcviz.base.errors import InputError, MissingError, unknown
from vcviz.base.json_files import inside, read_json
from vcviz.base.options import check_path

if TYPE_CHECKING:
    from nbformat import NotebookNode


def notebook_folder() -> Path:
    """Return the folder of vcviz's own notebooks; it may not be writable."""
    package = Path(__file__).resolve().parent.parent
    installed, source = package / "notebooks", package.parent / "notebooks"
    if installed.is_dir():
        return installed
    if source.is_dir() and (package.parent / "pyproject.toml").is_file():
        return source
    raise MissingError(f"vcviz was installed without its notebooks ({installed} is missing)")


def list_notebooks() -> dict[str, Path]:
    """Return vcviz's own notebooks by name; those in a folder are called "<folder>/<name>"."""
    return notebooks_in(notebook_folder())


def notebooks_in(folder: Path) -> dict[str, Path]:
    """Return the notebooks of a folder by name, those in folders within it last."""
    paths = sorted(folder.rglob("*.ipynb"), key=lambda p: (len(p.relative_to(folder).parts), p))
    ours = [path for path in paths if ".ipynb_checkpoints" not in path.parts]
    return {path.relative_to(folder).with_suffix("").as_posix(): path for path in ours}


#: of what a run of a notebook writes of itself
FORMAT = "vcviz.notebook/1"
_BUT_NOT = "is JSON, but not a Jupyter notebook"


class _Failure(BaseModel):
    cell: Any
    reason: Any


class _Record(BaseModel):
    """What a run of a notebook writes of itself."""

    model_config = ConfigDict(strict=True)
    format: Literal["vcviz.notebook/1"]
    notebook: str
    address: str = ""
    parameters: dict[str, Any]
    seconds: float
    files: list[str]
    sizes: dict[str, Any]
    failure: _Failure | None


def find_notebook(notebook: str | os.PathLike[str]) -> Path:
    """Return the path of a notebook: a file, or the name of one of ours.

    Raises
    ------
    InputError
        If there is none; the nearest name is suggested.
    """
    path = check_path("a notebook", notebook)
    if path.is_file():
        return path
    ours = list_notebooks()
    name = path.as_posix().removesuffix(".ipynb")
    if name in ours:
        return ours[name]
    if path.parent.as_posix() not in {Path(name).parent.as_posix() for name in ours} or path.suffix:
        raise MissingError(f"no notebook {str(path)!r}; ours are {', '.join(ours) or 'none'}")
    raise unknown("notebook", str(notebook), ours)


def notebook_address(path: Path) -> str:
    """Return what finds a notebook from any folder: the name of one of ours, or the whole path."""
    path = path.resolve()
    ours = {source.resolve(): name for name, source in list_notebooks().items()}
    return ours.get(path, str(path))


def read_notebook(path: Path) -> NotebookNode:
    """Return the notebook in a file, in the newest format that nbformat knows.

    Raises
    ------
    InputError
        If the file is not a notebook.
    """
    import nbformat
    from nbformat.reader import NotJSONError

    try:
        nb = nbformat.read(path, as_version=4)
        known = _is_ours(nb.metadata) and all(
            cell.source.encode() is not None
            and _is_ours(cell.metadata)
            and isinstance(cell.cell_type, str)
            for cell in nb.cells
        )
    except OSError:
        raise
    except Exception as error:  # of four libraries, which assert what others check
        reason = (str(error).splitlines() or [""])[0][:120]
        where = (
            "is not a Jupyter notebook"
            if isinstance(error, NotJSONError | UnicodeError)
            else _BUT_NOT
        )
        raise InputError(f"{path} {where}: {reason or type(error).__name__}") from None
    if not known:
        raise InputError(f"{path} {_BUT_NOT}")
    return nb


def _is_ours(metadata: Any) -> bool:
    """Return whether what papermill and vcviz read of metadata has the form that they expect."""
    return (
        isinstance(metadata, dict)
        and isinstance(metadata.get("tags", []), list)
        and all(isinstance(metadata.get(name, {}), dict) for name in ("papermill", "vcviz"))
    )


def notebook_title(nb: NotebookNode, default: str = "") -> str:
    """Return the text of the first heading of a notebook."""
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("#"):
                    return line.lstrip("#").strip()
    return default


def source_fingerprint(path: Path) -> str:
    """Return a hash of a notebook's cells."""
    sources = [(cell.cell_type, cell.source) for cell in read_notebook(path).cells]
    return hashlib.sha256(json.dumps(sources).encode()).hexdigest()[:16]


def is_record(values: Any) -> bool:
    """Return whether this is what a run of a notebook writes of itself."""
    try:
        _Record.model_validate(values)
    except ValidationError:
        return False
    return True


def read_record(path: Path) -> dict[str, Any] | None:
    """Return what a run of a notebook wrote last; None if it failed or is not whole.

    The files that it names must be there with the sizes that they had.
    """
    try:
        record = read_json(path)
        if not is_record(record):
            return None
        for name in record["files"]:
            inside(path.parent, name)
        whole = all(
            inside(path.parent, name).stat().st_size == size
            for name, size in record["sizes"].items()
        )
        return record if whole and record["failure"] is None else None
    except (OSError, ValueError):
        return None
