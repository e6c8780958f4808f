"""Jupyter kernels that run the same Python interpreter as vcviz itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import zmq
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

from vcviz.base.errors import unknown


class SameInterpreter(KernelSpecManager):
    """Kernel specs in which ``python3`` is this interpreter, whatever is registered elsewhere.

    A machine may have no kernel of that name, or one of another environment without vcviz.
    """

    def find_kernel_specs(self) -> dict[str, str]:
        """Return the folder of each kernel by name."""
        return {**super().find_kernel_specs(), NATIVE_KERNEL_NAME: str(RESOURCES)}

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        """Return the spec of a kernel."""
        if kernel_name == NATIVE_KERNEL_NAME:
            return KernelSpec(resource_dir=str(RESOURCES), **get_kernel_dict())
        return super().get_kernel_spec(kernel_name)


def choose_kernel(metadata: Mapping[str, Any], kernel: str | None = None) -> tuple[str, str]:
    """Return name and language of the kernel to run a notebook with.

    A Python notebook often names the kernel of the environment that it was written in; it runs in
    this interpreter, unless `kernel` says otherwise. Other languages keep their own kernel.

    Raises
    ------
    InputError
        If there is no such kernel; the nearest is named.
    """
    spec = metadata.get("kernelspec", {})
    language = spec.get("language") or metadata.get("language_info", {}).get("name", "python")
    python = language.lower() == "python"
    name = kernel or (NATIVE_KERNEL_NAME if python else spec.get("name", NATIVE_KERNEL_NAME))
    specs = SameInterpreter()
    if name not in (known := specs.find_kernel_specs()):
        raise unknown("kernel", name, known)
    return name, specs.get_kernel_spec(name).language


class Kernel(AsyncKernelManager):
    """A kernel with extra environment variables that remembers how its process ended."""

    extra_environment: Mapping[str, str] = {}
    folder: Path | None = None
    #: takes what the process writes to stderr past Jupyter
    stderr: IO[bytes] | None = None
    #: exit status of a process that died by itself; minus the signal that killed it
    exit_status: int | None = None

    def _kernel_spec_manager_default(self) -> KernelSpecManager:
        return SameInterpreter(parent=self)

    def _transport_encryption_default(self) -> str:
        # Messages go over loopback TCP, where other users of the machine could read them.
        return "auto" if zmq.has("curve") else "disabled"

    async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
        """Start the process."""
        options["env"] = {**os.environ, **self.extra_environment}
        if self.stderr is not None:
            options["stderr"] = self.stderr
        if self.folder is not None:
            options["cwd"] = str(self.folder)
        if self.kernel_name == NATIVE_KERNEL_NAME:  # others may have no vcviz
            extra = options.get("extra_arguments") or []
            options["extra_arguments"] = [*extra, "--ext=vcviz.headless.showing"]
        await super().start_kernel(**options)

    async def is_alive(self) -> bool:  # type: ignore[override]
        """Return whether the process runs."""
        alive = await super().is_alive()
        process = getattr(self.provisioner, "process", None)
        if not alive and process is not None:
            self.exit_status = process.poll()
        return alive

    def ending(self) -> str:
        """Return how the process ended, in words."""
        status = self.exit_status
        if status is None:
            return "the kernel died"
        if status < 0:
            name = signal.Signals(-status).name
            return f"the kernel was killed by {name}{' (out of memory?)' * (name == 'SIGKILL')}"
        return f"the kernel exited with status {status}"

    def last_words(self) -> str:
        """Return the last line that the process wrote to stderr past Jupyter."""
        if self.stderr is None:
            return ""
        self.stderr.seek(0)
        lines = self.stderr.read().decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:200] if lines else ""
