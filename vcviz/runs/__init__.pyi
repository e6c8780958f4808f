"""Run folders: the only code that reads and writes them, and what a run is told (`RunConfig`)."""

from .config import RunConfig as RunConfig
from .finding import list_runs as list_runs
from .finding import load_run as load_run
from .run import Run as Run
