"""Run the named claims and write what came out beside them: ``python -m benchmarks.claims NAME``.

Each module has ``report(seeds, runs_folder) -> str``, the Markdown of its result. Runs are kept in
the folder and are not trained twice.
"""

from __future__ import annotations

import argparse
import importlib
import os
import pkgutil
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import benchmarks.claims as package

HELPERS = ("tables",)


def main() -> None:
    """Run the claims that the command line names."""
    found = [m.name for m in pkgutil.iter_modules(package.__path__)]
    names = [n for n in found if n not in HELPERS and not n.startswith("_")]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims", description=__doc__)
    parser.add_argument("names", nargs="+", choices=names, metavar="NAME", help=", ".join(names))
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds (default 5)")
    parser.add_argument("--runs", default="runs/claims", help="folder of the runs")
    options = parser.parse_args()
    for name in options.names:
        module = importlib.import_module(f"benchmarks.claims.{name}")
        start = time.monotonic()
        text = module.report(range(options.seeds), options.runs)
        minutes = (time.monotonic() - start) / 60
        text += f"\n`python -m benchmarks.claims {name} --seeds {options.seeds}`: {minutes:.1f} min"
        text += " (runs already in the folder are not trained again)\n"
        Path(module.__file__ or name).with_suffix(".md").write_text(text, encoding="utf-8")
        print(text)


if __name__ == "__main__":
    main()
