"""The main job: three heads on digits, one page that shows what each anticipates and gets."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcviz.compare import summarise
from vcviz.errors import InputError
from vcviz.headless import run_notebook
from vcviz.runs import Run
from vcviz.training import train_heads

if TYPE_CHECKING:
    import pandas as pd

HEADS = ("softmax", "gaussian_mixture", "variational")
#: latent dimensions -> how many epochs the tour trains. In the plane a class has no room to move
#: around another on the way to its place, and needs longer.
EPOCHS = {2: 600, 16: 300}


@dataclass(frozen=True)
class Tour:
    """What the tour made: the runs, the page to open and the table to read."""

    runs: tuple[Run, ...]
    page: Path
    table: pd.DataFrame


def tour_runs(
    latent_dim: int,
    *,
    out: str | Path = "runs",
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> list[Run]:
    """Return the tour's runs at one latent dimension, trained now unless they are there.

    `epochs` defaults to `EPOCHS` of that dimension.
    """
    epochs = epochs or EPOCHS[latent_dim]
    return train_heads(
        HEADS,
        latent_dim=latent_dim,
        epochs=epochs,
        seed=seed,
        probe_every=max(1, epochs // 20),
        device=device,
        out=out,
        progress=progress,
    )


def run_tour(
    *,
    out: str | Path = "runs",
    reports: str | Path = "reports",
    epochs: int | None = None,
    seed: int = 0,
    device: str = "auto",
    progress: bool = True,
) -> Tour:
    """Train softmax, Gaussian-mixture and variational heads on digits and write the tour page.

    Parameters
    ----------
    out : folder of the runs; those that are already there are used, not trained again
    reports : folder of the executed notebook and its self-contained HTML page
    epochs : per run; fewer than the default leave the variational latents short of their law
    seed, device, progress : as for `vcviz.train`
    """
    out = Path(out).resolve()
    try:
        Path(reports).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"cannot write in {reports}: {error.strerror}; choose another reports="
        ) from None
    options: dict[str, Any] = {"out": out, "epochs": epochs, "seed": seed, "device": device}
    # Small models train on one thread each, so a second process takes the other core.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        space = pool.submit(tour_runs, 16, **options, progress=False)
        plane = tour_runs(2, **options, progress=progress)
        runs = [*plane, *space.result()]
    parameters = {"runs_folder": str(out), "epochs": epochs, "seed": seed}
    result = run_notebook("tour", parameters, out=reports, progress=progress)
    assert result.page is not None  # it is asked for by default
    return Tour(tuple(runs), result.page, summarise(runs, progress=progress))
