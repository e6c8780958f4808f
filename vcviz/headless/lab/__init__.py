"""JupyterLab on a writable copy of the notebooks, so that an installed package works too."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from vcviz.base.errors import InputError, MissingError, unknown
from vcviz.base.options import check_path
from vcviz.headless.files import list_notebooks, notebooks_in

#: tells JupyterLab not to ask whether it may fetch news, and Voilà to fetch nothing from outside
_CONFIG = Path(__file__).parent / "config"
#: remembers what was copied, to tell a notebook that a person changed from an old one of ours
_RECORD = ".vcviz-notebooks.json"


def copy_notebooks(folder: str | os.PathLike[str] = "vcviz-notebooks") -> list[str]:
    """Copy vcviz's notebooks to a folder and return one line for each that a person should know of.

    A notebook that was changed there, which running it does too, is kept; if ours is newer than
    what was copied, it is put beside it as ``<name>.new.ipynb``.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    """
    folder = check_path("the folder for notebooks", folder)
    said = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        record = _read_record(folder / _RECORD)
        for name, source in list_notebooks().items():
            target, new = folder / f"{name}.ipynb", _digest(source)
            target.parent.mkdir(exist_ok=True)
            here = _digest(target) if target.exists() else None
            if here is None or (here == record.get(name) and here != new):
                shutil.copyfile(source, target)
            elif here != new and record.get(name) != new:
                beside = target.with_suffix(".new.ipynb")
                shutil.copyfile(source, beside)
                said.append(f"{target} was changed and is kept; the newer one is {beside.name}")
            record[name] = new
        (folder / _RECORD).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot copy the notebooks to {folder}: {error.strerror}; choose another folder"
        ) from None
    return said


def lab_command(
    folder: str | os.PathLike[str],
    *,
    first: str = "tour",
    port: int | None = None,
    browser: bool = True,
    extra: Sequence[str] = (),
) -> list[str]:
    """Return the command that serves JupyterLab on the current folder, with this interpreter.

    Notebooks run in the current folder, as with ``vcviz notebook``, so that both use its runs.

    Parameters
    ----------
    folder : where the notebooks were copied to
    first : name of the notebook that it opens
    port : where it listens; default the first free one from 8888
    browser : open it in a browser
    extra : more arguments for JupyterLab
    """
    folder, here = Path(folder).resolve(), Path.cwd()
    root = here if folder.is_relative_to(here) else folder
    opened = (folder / f"{first}.ipynb").relative_to(root).as_posix()
    command = [
        sys.executable,
        "-m",
        "jupyterlab",
        f"--ServerApp.root_dir={root}",
        "--ip=127.0.0.1",
        f"--LabApp.default_url=/lab/tree/{opened}",
        "--ServerApp.kernel_spec_manager_class=vcviz.headless.kernels.SameInterpreter",
        "--ServerApp.kernel_manager_class=vcviz.headless.lab.kernels.KernelsHere",
        "--KernelManager.transport_encryption=auto",
        # It asks no other machine for anything.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        command.append("--allow-root")  # in a container there is often nobody else to be
    return [*command, *_served(port, browser), *extra]


def app_command(
    name: str,
    folder: str | os.PathLike[str],
    *,
    port: int | None = None,
    browser: bool = True,
    extra: Sequence[str] = (),
) -> list[str]:
    """Return the command that serves a notebook as an app: its text and outputs, without code.

    Parameters
    ----------
    name : of the notebook in `folder`, such as "tour" or "course/01_bayes"; "course" serves all of
        that folder, so that links lead from notebook to notebook
    folder, browser : as for `lab_command`
    port : where it listens; default Voilà's own, 8866
    extra : more arguments for Voilà

    Raises
    ------
    InputError
        If there is no such notebook.
    MissingError
        If Voilà is not installed.
    """
    if find_spec("voila") is None:
        raise MissingError("an app needs Voilà: pip install 'vcviz[voila]'")
    folder = Path(folder)
    notebooks = notebooks_in(folder)
    folders = {part: folder / part for one in notebooks if (part := one.rpartition("/")[0])}
    served = notebooks | folders
    if name not in served:
        raise unknown("notebook", name, served)
    command = [
        sys.executable,
        "-m",
        "voila",
        str(served[name].resolve()),
        "--Voila.ip=127.0.0.1",
        f"--MappingKernelManager.root_dir={Path.cwd()}",
    ]
    return [*command, *_served(port, browser), *extra]


def _served(port: int | None, browser: bool) -> list[str]:
    chosen = [] if port is None else [f"--port={port}"]
    return chosen if browser else [*chosen, "--no-browser"]


#: Voilà leaves out figures that come as plotly's JSON, as JupyterLab takes them; and a notebook
#: may ask in fields what it would ask in its code
APP_ENVIRONMENT = {"PLOTLY_RENDERER": "notebook", "VCVIZ_APP": "1"}


def start(command: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    """Serve JupyterLab or an app until it is stopped and return its exit status."""
    paths = [str(_CONFIG), os.environ.get("JUPYTER_CONFIG_PATH", "")]
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    os.environ.update(environment or {})
    if os.name == "posix":
        os.execv(command[0], list(command))
    return subprocess.call(command)


def _read_record(path: Path) -> dict[str, str]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
