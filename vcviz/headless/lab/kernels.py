"""Kernels of ``vcviz lab``: all of them run in the folder that JupyterLab shows."""

from __future__ import annotations

from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager


class KernelsHere(AsyncMappingKernelManager):
    """Kernels that start in JupyterLab's root folder instead of their notebook's."""

    def cwd_for_path(self, path: str, **options: object) -> str:
        """Return the folder in which the kernel of the notebook at `path` starts."""
        return str(self.root_dir)
