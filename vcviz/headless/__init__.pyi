"""Notebooks -> pages; JupyterLab and Voilà for people."""

from . import lab as lab
from .notebooks import run_notebook as run_notebook
from .outcomes import NotebookError as NotebookError
from .outcomes import NotebookResult as NotebookResult
