"""The main job: three heads on digits, one page that shows what each anticipates and gets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vcviz.base.errors import InputError
from vcviz.explorers.latent_explorer import LatentExplorer
from vcviz.explorers.page_rows import of_split
from vcviz.figures import theme as style
from vcviz.figures.latent_panel import LatentOptions, View
from vcviz.figures.latents import spec_of_views
from vcviz.headless import run_notebook
from vcviz.metrics.robustness.support import support_threshold
from vcviz.runs import Run
from vcviz.studies.compare import summarise
from vcviz.studies.sweeps.cluster import script_apart
from vcviz.training import train_heads

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

HEADS = ("softmax", "gaussian_mixture", "variational")
#: latent dimensions -> how many epochs the tour trains. In the plane a class has no room to move
#: around another on the way to its place, and needs longer.
EPOCHS = {2: 200, 16: 100}
#: about half of the work, and the other half: what two processes train at the same time
_SHARES = (
    {2: ("variational", "softmax")},
    {16: ("variational", "softmax", "gaussian_mixture"), 2: ("gaussian_mixture",)},
)

_MASS = 0.9  # of a class, that its ring holds
_TITLES = {"gaussian_mixture": "Gaussian mixture"}


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


class Opening(LatentExplorer):
    """The explorer that opens the tour.

    Without a kernel it is the picture alone, of test latents and the rings that hold 90 % of what
    is anticipated, with one slider of epochs; a page plays it once.

    Parameters
    ----------
    runs : with latents of two dimensions
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        super().__init__(runs, mass=(_MASS,))

    def figure(self, **options: Any) -> go.Figure:
        """Return the picture; with options the static figure of any `LatentExplorer`."""
        if options:
            return super().figure(**options)
        found = self.bound.figure(draw=self._picture)
        found.update_layout(meta={**found.layout.meta, "plays": True})
        return self.carrying(found)

    def _picture(self, **values: Any) -> dict[str, Any]:
        options = LatentOptions(compact=True, mass=(_MASS,), classes=values["classes"])
        views = [self._view(i, values["epoch"], options) for i in range(len(self.sources))]
        spec = spec_of_views(views, options)
        # The numbers stand above each panel, beneath its heading.
        for heading in spec["layout"]["annotations"]:
            heading["yshift"] = 17
        readouts = [t for t in spec["data"] if t["meta"]["layer"] == "readout"]
        for trace, view in zip(readouts, views, strict=True):
            trace |= {"y": [view.ranges[1][1]], "textposition": "top right"}
        return dict(of_split(style.themed(spec, self.theme), "test"))

    def _view(self, number: int, epoch: int | None, options: LatentOptions) -> View:
        source = self.sources[number]
        panel = source.panel(("pair", 0, 1), ("test", True), epoch)
        panel = replace(
            panel,
            title=_TITLES.get(source.title, source.title),
            subtitle=None,
            fit=None,
            fit_varying=None,
        )
        remarks: list[str] = []
        if panel.prior is not None:
            own = panel.prior.log_prob(panel.lat.z)[np.arange(len(panel.lat)), panel.lat.y]
            inside = own >= support_threshold(panel.prior, _MASS)[panel.lat.y]
            remarks = [f"{inside.mean():.0%} in their ring"]
        assert options.classes is not None  # as the explorer's control has them
        return _OneLine(panel, list(options.classes), options, number, remarks=remarks)


class _OneLine(View):
    """A panel that tells its numbers in one line."""

    def notes(self) -> list[str]:
        """Return the line."""
        return [" · ".join([*self.remarks, f"{self.lat.accuracy:.0%} right"])]


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
