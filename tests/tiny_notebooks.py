"""Notebooks of a few cells, built in the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook


def code(source: str, *tags: str, **parts: Any) -> NotebookNode:
    cell = new_code_cell(source, **parts)
    if tags:
        cell.metadata["tags"] = list(tags)
    return cell


def text(source: str) -> NotebookNode:
    return new_markdown_cell(source)


def notebook(*cells: NotebookNode | str, kernel: str = "python3", **metadata: Any) -> NotebookNode:
    spec = {"name": kernel, "language": "python", "display_name": kernel}
    return new_notebook(
        cells=[code(c) if isinstance(c, str) else c for c in cells],
        metadata={"kernelspec": spec, **metadata},
    )


def save(path: Path, *cells: NotebookNode | str, **options: Any) -> Path:
    nbformat.write(notebook(*cells, **options), path)
    return path
