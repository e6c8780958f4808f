"""Jupyter kernels that run the same Python interpreter as vcviz itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import zmq
from ipykernel.kernelspec import RESOURCES, get_kernel_dict
from jupyter_client.kernelspec import NATIVE_KERNEL_NAME, KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager


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


class Kernel(AsyncKernelManager):
    """A kernel with extra environment variables that remembers how its process ended."""

    extra_environment: Mapping[str, str] = {}
    folder: Path | None = None
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
        if self.folder is not None:
            options["cwd"] = str(self.folder)
        await super().start_kernel(**options)

    async def is_alive(self) -> bool:  # type: ignore[override]
        """Return whether the process runs."""
        alive = await super().is_alive()
        process = getattr(self.provisioner, "process", None)
        if not alive and process is not None:
            self.exit_status = process.poll()
        return alive

    @property
    def ending(self) -> str:
        """How the process ended, in words."""
        status = self.exit_status
        if status is None:
            return "the kernel died"
        if status == -getattr(signal, "SIGKILL", 9):
            return "the kernel was killed (SIGKILL; out of memory?)"
        if status < 0:
            return f"the kernel was killed by signal {-status}"
        return f"the kernel exited with status {status}"
