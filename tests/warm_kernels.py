"""Kernels forked from a process that has imported torch: half of a short notebook's time.

vcviz itself is imported by each kernel anew. `tests/headless/test_headless.py` starts kernels as
users do; with `warm` only what comes before the first line of a notebook differs.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

IMPORTED = (
    "ipykernel.kernelapp", "ipykernel.ipkernel", "IPython.core.interactiveshell", "ipywidgets",
    "anywidget", "pandas", "plotly.graph_objects",
    "scipy.stats", "scipy.ndimage", "scipy.optimize", "sklearn.datasets", "torch", "tqdm.auto",
    "pydantic", "safetensors",
)  # fmt: skip
_LONGEST = 1 << 20


class Forked:
    """A kernel, with what jupyter_client asks of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int) -> None:
        self.pid, self.returncode = pid, None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _asked({"poll": self.pid})
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        while self.poll() is None:
            time.sleep(0.02)
        return self.returncode

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)


_server: dict[str, Any] = {}


@contextlib.contextmanager
def warm() -> Iterator[None]:
    """While entered, notebooks run in kernels that are forked."""
    with mock.patch("jupyter_client.provisioning.local_provisioner.launch_kernel", _launch):
        yield


def stop() -> None:
    """End the process that kernels are forked from, and with it those that are left."""
    if _server:
        _server["socket"].close()
        _server["process"].wait()
        _server.clear()


def _launch(command: list[str], *, env: dict[str, str], cwd: Any = None, stderr: Any, **_: Any):
    errors = [] if stderr is None else [stderr.fileno()]
    words = {"arguments": command[3:], "environment": env, "cwd": str(cwd or os.getcwd())}
    assert command[1:3] == ["-m", "ipykernel_launcher"]
    return Forked(_asked(words, errors))


def _asked(words: dict[str, Any], files: list[int] = ()) -> Any:
    if not _server:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        from vcviz.headless.notebooks import ENVIRONMENT

        path = [str(Path(__file__).resolve().parents[1]), os.environ.get("PYTHONPATH", "")]
        _server["process"] = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            env={**os.environ, **ENVIRONMENT, "PYTHONPATH": os.pathsep.join(path)},
        )
        theirs.close()
        _server["socket"] = ours
    socket.send_fds(_server["socket"], [json.dumps(words).encode()], files)
    answer = _server["socket"].recv(_LONGEST)
    assert answer, "the process that forks kernels has died"
    return json.loads(answer)


# ---------------------------------------------------------------- in the process that forks


def _serve(connection: socket.socket) -> None:
    import importlib

    for name in IMPORTED:
        importlib.import_module(name)
    while True:
        asked, files, _, _ = socket.recv_fds(connection, _LONGEST, 1)
        if not asked:
            return
        words = json.loads(asked)
        if "poll" in words:
            pid, status = os.waitpid(words["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
            connection.send(json.dumps(answer).encode())
        elif not os.fork():
            os.setsid()  # before anybody knows of it: who interrupts it interrupts its group
            connection.send(json.dumps(os.getpid()).encode())
            connection.close()
            _become(words, files)
            return
        for file in files:
            os.close(file)


def _become(words: dict[str, Any], files: list[int]) -> None:
    for file in files:
        os.dup2(file, 2)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.environ.clear()
    os.environ.update(words["environment"])
    os.chdir(words["cwd"])
    parent = f"--IPKernelApp.parent_handle={os.getppid()}"  # with which it ends
    sys.argv = ["ipykernel_launcher", *words["arguments"], parent]
    from ipykernel import kernelapp

    kernelapp.launch_new_instance()


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).resolve().parent))
    _serve(socket.socket(fileno=int(sys.argv[1])))
