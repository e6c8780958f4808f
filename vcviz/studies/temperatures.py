"""Training at several temperatures where the truth is known: how far each prediction is from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

from vcviz.base.errors import InputError
from vcviz.base.options import check_count, check_number
from vcviz.metrics.calibration import mean_kl
from vcviz.training import train

if TYPE_CHECKING:
    import pandas as pd


def temperature_study(
    temperatures: Sequence[float],
    *,
    draws: Sequence[int] = (100,),
    seeds: int = 3,
    epochs: int = 60,
    longer: int = 5,
    head_options: Mapping[str, Any] | None = None,
    out: str | Path = "runs",
    progress: bool = True,
    **settings: Any,
) -> pd.DataFrame:
    """Return one row per run: mean KL(true p(y|x) || predicted) over the test rows, in nats.

    Beside the sweep stand the plain softmax, and the head at temperature 1 trained `longer` times
    as long: tau also sets the effective learning rate, so that a gain from a small tau may only be
    one of speed.

    Parameters
    ----------
    temperatures : tau of the heteroscedastic head
    draws : S in training, a line each
    seeds : runs of each setting, with seeds 0, 1, … of data and weights
    epochs : passes over the training rows
    longer : times as many for the control; 0 leaves it out
    head_options : further options of the head
    out : folder of runs; what is there is not trained again
    progress : show a bar
    settings : as for `vcviz.train`; the dataset must know its p(y|x)

    Returns
    -------
    DataFrame
        Columns ``group``, ``sweeps`` (whether the row belongs to the sweep), ``temperature`` (NaN
        for softmax), ``draws``, ``epochs``, ``seed`` and ``kl``.

    Raises
    ------
    InputError
        If the data do not say their p(y|x), or settings are out of range or none.

    Examples
    --------
    >>> settings = {"dataset": "utilities", "dataset_options": {"n": 300}, "epochs": 1}
    >>> table = vcviz.studies.temperature_study(
    ...     [0.5, 1.0], draws=[10], seeds=1, longer=0, progress=False, **settings
    ... )
    >>> table[["group", "temperature"]]
         group  temperature
    0  softmax          NaN
    1   S = 10          0.5
    2   S = 10          1.0
    """
    import pandas as pd

    check_count("seeds", seeds)
    taus = [check_number("temperatures", tau, above=0) for tau in temperatures]
    counts = [check_count("draws", s) for s in draws]
    if not taus or not counts:
        raise InputError("a study needs temperatures and draws, at least one of each")
    plan: list[dict[str, Any]] = [{"group": "softmax", "epochs": epochs}]
    for s in counts:
        plan += [
            {"group": f"S = {s}", "temperature": tau, "draws": s, "epochs": epochs} for tau in taus
        ]
    if check_count("longer", longer, minimum=0):
        name = f"τ = 1, {longer} × as long"
        more = {"temperature": 1.0, "draws": max(counts), "epochs": longer * epochs}
        plan.append({"group": name} | more)
    cells = [(cell, seed) for cell in plan for seed in range(seeds)]
    rows = []
    for cell, seed in tqdm(cells, desc="training", unit="run", delay=2, disable=not progress):
        options = {k: cell[k] for k in ("temperature", "draws") if k in cell}
        run = train(
            head="heteroscedastic" if options else "softmax",
            head_options={**(head_options or {}), **options} if options else {},
            epochs=cell["epochs"],
            seed=seed,
            out=out,
            progress=False,
            **settings,
        )
        truth = run.split("test").label_probs
        if truth is None:
            raise InputError(
                "the data do not say their p(y|x), so that nothing can be compared with it; "
                "use dataset='utilities' or 'mixture'"
            )
        kl = mean_kl(truth, run.latents("test").log_probs)
        rows.append({**cell, "sweeps": cell["group"].startswith("S ="), "seed": seed, "kl": kl})
    columns = ["group", "sweeps", "temperature", "draws", "epochs", "seed", "kl"]
    return pd.DataFrame(rows, columns=columns)
