"""A real browser for the tests marked `browser`: Debian's Chromium, and no network."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# As root in a container there is no sandbox and little shared memory; WebGL runs in software.
FLAGS = (
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    # Only what asks for WebGL goes through it: for whole pages software takes six times as long.
    "--disable-gpu-compositing",
)
LOCAL = ("file:", "data:", "blob:", "about:", "http://127.0.0.1:", "http://localhost:", "ws://")


@dataclass
class Watch:
    """What a page asked for outside the machine, and what it complained about."""

    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def watched(page: Any) -> Watch:
    """Let a page reach this machine alone, and return a list of what it asks for and says."""
    watch = Watch()
    # A busy machine draws slowly; what never comes is noticed all the same.
    page.set_default_timeout(120_000)
    page.on(
        "request",
        lambda r: None if r.url.startswith(LOCAL) else watch.requests.append(r.url),
    )
    # What the page's own policy forbids is reported as a request, but never sent.
    page.on(
        "requestfailed",
        lambda r: watch.requests.remove(r.url) if r.failure == "csp" else None,
    )
    page.on("console", lambda m: watch.errors.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda e: watch.errors.append(str(e)))
    # Nothing outside may answer, so that a page that needs it fails here as it would offline.
    page.route(
        "**/*",
        lambda route: route.continue_() if route.request.url.startswith(LOCAL) else route.abort(),
    )
    return watch


_running: dict[str, Any] = {}


@contextlib.contextmanager
def browsing(chromium: str) -> Iterator[Any]:
    """Yield a browser; what is opened in it is closed at the end.

    One is started per process, for all tests: to start one takes longer than most tests.
    """
    outer = asyncio._get_running_loop()
    browser = _started(chromium)
    before = list(browser.contexts)
    asyncio._set_running_loop(_running["loop"])
    try:
        yield browser
    finally:
        for context in browser.contexts:
            if context not in before:
                context.close()
        # Playwright leaves its loop as the running one, and no other could be run in this thread.
        asyncio._set_running_loop(outer)


def _started(chromium: str) -> Any:
    """Return the browser of this process, another one if it has crashed."""
    from playwright.sync_api import sync_playwright

    if _running and not _running["browser"].is_connected():
        stop_browser()
    if not _running:
        playwright = sync_playwright().start()
        _running.update(playwright=playwright, loop=asyncio._get_running_loop())
        _running["browser"] = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
    return _running["browser"]


def stop_browser() -> None:
    """Close the browser of this process, if it has one."""
    if not _running:
        return
    asyncio._set_running_loop(_running["loop"])
    with contextlib.suppress(Exception):  # if it has crashed
        _running["browser"].close()
    _running["playwright"].stop()
    asyncio._set_running_loop(None)
    _running.clear()


@contextlib.contextmanager
def open_page(
    chromium: str, address: Path | str, *, dark: bool = False, **size: int
) -> Iterator[tuple[Any, Watch]]:
    """Open a file or local address and yield (Playwright page, what it asked for)."""
    if isinstance(address, Path):
        address = address.resolve().as_uri()
    with browsing(chromium) as browser:
        page = browser.new_page(
            viewport={"width": 1200, "height": 900, **size},
            color_scheme="dark" if dark else "light",
        )
        watch = watched(page)
        page.goto(address)
        yield page, watch
