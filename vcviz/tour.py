"""The main job: three heads on digits, one page that shows what each anticipates and gets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from vcviz.headless import run_notebook
from vcviz.runs import Run
from vcviz.summary import summarise
from vcviz.training import train_heads

if TYPE_CHECKING:
    import pandas as pd

HEADS = ("softmax", "gaussian_mixture", "variational")
LATENT_DIMS = (2, 16)


@dataclass(frozen=True)
class Tour:
    """What the tour made: the runs, the page to open and the table to read."""

    runs: tuple[Run, ...]
    page: Path
    table: pd.DataFrame


def run_tour(
    *,
    out: str | Path = "runs",
    reports: str | Path = "reports",
    epochs: int = 300,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> Tour:
    """Train softmax, Gaussian-mixture and variational heads on digits and write the tour page.

    Parameters
    ----------
    out : folder of the runs; those that are already there are used, not trained again
    reports : folder of the executed notebook and its self-contained HTML page
    epochs : per run; the defaults of METHODS-sized comparisons need some hundreds
    seed, device, progress : as for `vcviz.train`
    """
    out = Path(out).resolve()
    settings = {"epochs": epochs, "seed": seed, "probe_every": max(1, epochs // 30)}
    runs: list[Run] = []
    for latent_dim in LATENT_DIMS:
        runs += train_heads(
            HEADS,
            latent_dim=latent_dim,
            out=out,
            device=device,
            progress=progress,
            **settings,
        )
    result = run_notebook(
        "tour",
        {"runs_folder": str(out), "epochs": epochs, "seed": seed},
        out=reports,
        progress=progress,
    )
    return Tour(tuple(runs), result.page, summarise(runs, progress=progress))
