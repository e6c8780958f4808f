"""One table of all comparisons, as Markdown; peers that are missing are named.

``python -m benchmarks`` makes the whole, ``python -m benchmarks calibration training`` parts of it.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import importlib
import platform
import warnings

import torch

from benchmarks.pairs import Pair, heading, line

PARTS = ("training", "critics", "reading", "calibration", "distances", "starting", "peers")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", default=PARTS, metavar="PART", help=", ".join(PARTS))
    wanted = parser.parse_args().parts
    if stray := sorted(set(wanted) - set(PARTS)):
        parser.error(f"no part {stray[0]!r}; choose from: {', '.join(PARTS)}")
    torch.set_num_threads(1)
    warnings.filterwarnings(
        "ignore", module="(netcal|art|foolbox|torchattacks|relplot|calibration)"
    )
    print(f"{platform.machine()}, Python {platform.python_version()}, torch {torch.__version__}\n")
    print(heading(), flush=True)
    for part in wanted:
        for found in importlib.import_module(f"benchmarks.{part}").pairs():
            print(line(found.row()) if isinstance(found, Pair) else found, flush=True)


if __name__ == "__main__":
    main()
