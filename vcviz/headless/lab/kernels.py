"""Kernels of ``vcviz lab``: where they run, and that an app's end with its page."""

from __future__ import annotations

from jupyter_server.auth.identity import PasswordIdentityProvider, User
from jupyter_server.services.kernels.kernelmanager import AsyncMappingKernelManager
from tornado.web import RequestHandler


class KernelsHere(AsyncMappingKernelManager):
    """Kernels that start in JupyterLab's root folder instead of their notebook's."""

    def cwd_for_path(self, path: str, **options: object) -> str:
        """Return the folder in which the kernel of the notebook at `path` starts."""
        return str(self.root_dir)


class TokenInACookie(PasswordIdentityProvider):
    """Who may use an app; gives each page the cookie with which it may end its kernel.

    When they are closed, Voilà's pages send the token against cross-site requests along, from a
    cookie that Voilà 0.5 never sets: the request is refused, and the kernel stays.
    """

    async def get_user(self, handler: RequestHandler) -> User | None:
        """Return the user, and set the cookie."""
        user = await self._get_user(handler)
        if user and handler.request.method == "GET" and "Upgrade" not in handler.request.headers:
            handler.current_user = user
            assert handler.xsrf_token  # to ask for it is what sets it
        return user
