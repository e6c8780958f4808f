"""The main job: three heads on digits, one page that shows what each anticipates and gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vcviz.base.errors import InputError
from vcviz.headless import run_notebook
from vcviz.runs import Run
from vcviz.studies.compare import summarise
from vcviz.studies.sweeps.cluster import script_apart
from vcviz.training import train_heads

if TYPE_CHECKING:
    import pandas as pd

HEADS = ("softmax", "gaussian_mixture", "variational")
#: latent dimensions -> how many epochs the tour trains. In the plane a class has no room to move
#: around another on the way to its place, and needs longer.
EPOCHS = {2: 200, 16: 100}
#: about half of the work, and the other half: what two processes train at the same time
_SHARES = (
    {2: ("variational", "softmax")},
    {16: ("variational", "softmax", "gaussian_mixture"), 2: ("gaussian_mixture",)},
)


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
    return _train({latent_dim: HEADS}, out=out, epochs=epochs, seed=seed, device=device,
                  progress=progress)  # fmt: skip


def _train(share: Mapping[int, Sequence[str]], *, epochs: int | None, **options: Any) -> list[Run]:
    found = []
    for latent_dim, heads in share.items():
        n = epochs or EPOCHS[latent_dim]
        found += train_heads(
            heads, latent_dim=latent_dim, epochs=n, probe_every=max(1, n // 20), **options
        )
    return found


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
    with script_apart(), ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        here, there = _SHARES
        rest = pool.submit(_train, there, **options, progress=False)
        _train(here, **options, progress=progress)
        rest.result()
        runs = [run for d in EPOCHS for run in tour_runs(d, **options, progress=False)]
        table = pool.submit(summarise, runs, progress=False)
        parameters = {"runs_folder": str(out), "epochs": epochs, "seed": seed}
        # The page is what the tour is for; `vcviz notebook tour` writes its figures as PNG too.
        result = run_notebook("tour", parameters, out=reports, images=False, progress=progress)
        assert result.page is not None  # it is asked for by default
        return Tour(tuple(runs), result.page, table.result())
