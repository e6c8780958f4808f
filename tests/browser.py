"""A real browser for the tests marked `browser`: Debian's Chromium, and no network."""

from __future__ import annotations

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


@contextlib.contextmanager
def browsing(chromium: str) -> Iterator[Any]:
    """Start a browser and yield it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        try:
            yield browser
        finally:
            browser.close()


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
