"""Several runs side by side: their fits, reliability curves, attacks, and one table of it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm.auto import tqdm

from vcviz.base.arguments import takes_records
from vcviz.base.errors import InputError, unknown
from vcviz.metrics.calibration import reliability_curve
from vcviz.metrics.fit import latent_fit
from vcviz.metrics.robustness import attack_gates
from vcviz.records import LatentFit, LatentPlane, ReliabilityCurve
from vcviz.records.titles import law_of, run_titles
from vcviz.runs import Run
from vcviz.studies.compare.attacks import CHECKS
from vcviz.studies.compare.tables import with_labels

if TYPE_CHECKING:
    import pandas as pd

#: column -> what it means and its unit, in the order of the table
COLUMNS = {
    "head": "name of the head",
    "law": "p(z|y): its family, or 'implied' by a softmax layer, or none",
    "D": "latent dimensions",
    "accuracy": "test accuracy, fraction",
    "ECE": "test expected calibration error, 15 equal-width bins, fraction",
    "ECE if calibrated": "ECE that a perfectly calibrated model of this size would show, fraction",
    "NLL": "test negative log-likelihood, nats",
    "rate weight": "weight of the rate in the loss of a stochastic encoder",
    "rate": "KL(q(z|x) || r) of the training rows, nats, mean over the last epoch",
    "KL train": "moment KL of the training latents from p(z|y), mean over classes, nats",
    "KL test": "the same on the test split, nats",
    "variance train": "variance of whitened training latents; 1 = as anticipated",
    "energy train": "energy distance of whitened training latents from the law, 0 = equal",
    "PGD accuracy": "accuracy under the attack named in the table's attrs, fraction",
    "PGD gates": "how many sanity gates of that attack hold, and which do not",
}


@takes_records
def pick_run(runs: Sequence[Run], *, head: str) -> Run:
    """Return the first run with that head.

    Parameters
    ----------
    runs : runs to choose from
    head : name of a head

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If no run has it, with the nearest name.

    Examples
    --------
    >>> heads = ["softmax", "gaussian_mixture"]
    >>> runs = vcviz.train_heads(heads, dataset="mixture", epochs=3, progress=False)
    >>> vcviz.studies.pick_run(runs, head="gaussian_mixture").title
    'gaussian_mixture'
    """
    by_head = {run.config.head: run for run in reversed(runs)}
    if head not in by_head:
        raise unknown("head among these runs", head, by_head)
    return by_head[head]


@takes_records
def latent_fits(runs: Sequence[Run], *, split: str = "test", **options: Any) -> list[LatentFit]:
    """Return the latent fit of each run that anticipates a distribution.

    Parameters
    ----------
    runs : finished runs
    split : "test" or "train"
    options : as for `vcviz.latent_fit`

    Returns
    -------
    list of LatentFit

    Examples
    --------
    >>> heads = ["softmax", "gaussian_mixture"]
    >>> runs = vcviz.train_heads(heads, dataset="mixture", epochs=3, progress=False)
    >>> [fit.kl.shape for fit in vcviz.studies.latent_fits(runs, resamples=0)]
    [(5,), (5,)]
    """
    return [
        replace(latent_fit(run.latents(split), prior, **options), name=f"{name}, {split}")
        for run, name in zip(runs, run_titles(runs), strict=True)
        if (prior := run.prior()) is not None
    ]


@takes_records
def reliability_curves(
    runs: Sequence[Run], *, split: str = "test", epoch: int | None = None, **options: Any
) -> list[ReliabilityCurve]:
    """Return the reliability curve of each run.

    Parameters
    ----------
    runs : finished runs
    split : "test" or "train"
    epoch : None for the trained model; one of `Run.epochs` for the rows whose latents were kept
    options : as for `reliability_curve`

    Returns
    -------
    list of ReliabilityCurve

    Examples
    --------
    >>> heads = ["softmax", "gaussian_mixture"]
    >>> runs = vcviz.train_heads(heads, dataset="mixture", epochs=3, progress=False)
    >>> curves = vcviz.studies.reliability_curves(runs, n_bins=10, resamples=0)
    >>> curves[0].ece > curves[1].ece
    True
    """
    latents = [run.latents(split, epoch) for run in runs]
    when = split if epoch is None else f"{split}, epoch {epoch}"
    return [
        reliability_curve(lat, name=f"{name}, {when}", **options)
        for lat, name in zip(latents, run_titles(runs), strict=True)
    ]


@takes_records
def decision_planes(
    runs: Sequence[Run], *, split: str = "test", **options: Any
) -> list[LatentPlane]:
    """Return the predictions of each run on a plane through its latents.

    Parameters
    ----------
    runs : finished runs
    split : "test" or "train"
    options : as for `vcviz.latents.plane_log_probs`

    Returns
    -------
    list of LatentPlane

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> planes = vcviz.studies.decision_planes([run], size=40)
    >>> planes[0].log_probs.shape
    (40, 40, 5)
    """
    from vcviz.latents.planes import plane_log_probs

    return [
        plane_log_probs(run.model(), run.latents(split), name=name, **options)
        for run, name in zip(runs, run_titles(runs), strict=True)
    ]


@takes_records
def differences(one: Run, other: Run) -> pd.DataFrame:
    """Return what differs between two runs, one row for each difference; none if nothing does.

    Parameters
    ----------
    one, other : finished runs

    Returns
    -------
    DataFrame
        The column ``what`` says where a row is from: a setting, the data, the software, the device,
        or a number on the test split. The last two columns hold the values of the runs.

    Examples
    --------
    >>> heads = ["softmax", "gaussian_mixture"]
    >>> runs = vcviz.train_heads(heads, dataset="mixture", epochs=3, progress=False)
    >>> table = vcviz.studies.differences(*runs)
    >>> table[table["what"] == "setting"].iloc[0].tolist()
    ['setting', 'head', 'softmax', 'gaussian_mixture']
    """
    import pandas as pd

    sides = [_described(run) for run in (one, other)]
    names = [one.name, other.name]
    if names[0] == names[1]:
        names = [str(one.path), str(other.path) + " (itself)" * (one.path == other.path)]
    rows = [
        {"what": what, "name": name, names[0]: values[0], names[1]: values[1]}
        for what, name in dict.fromkeys(key for side in sides for key in side)
        if (values := [side.get((what, name)) for side in sides])[0] != values[1]
    ]
    return pd.DataFrame(rows, columns=["what", "name", *names])


def _described(run: Run) -> dict[tuple[str, str], Any]:
    record = run.record
    device = record.get("device") or {}
    found: dict[tuple[str, str], Any] = {
        ("setting", name): value for name, value in run.config.model_dump().items()
    }
    for which in ("train", "test"):
        for name in ("rows", "fingerprint"):
            found["data", f"{which} {name}"] = run.data[which][name]
    for name, version in (record.get("versions") or {}).items():
        found["software", name] = version
    found["software", "commit"] = record.get("commit")
    found["device", "type"], found["device", "name"] = device.get("type"), device.get("name")
    for name, value in run.metrics.items():
        found["number", name] = value
    return found


@takes_records
def summarise(
    runs: Sequence[Run],
    *,
    epsilon: float = 0.1,
    steps: int = 20,
    rows: int = 200,
    progress: bool = True,
) -> pd.DataFrame:
    """Return one row per run; `COLUMNS` says what each column is, without those of no run.

    The rate and its weight are there if all encoders are stochastic.

    A column ``labels`` is added where accuracy, ECE and NLL of some run are not for the label
    frequencies of its test rows, and says for which they are (`Run.label_note`). With r = N(0, I)
    the rate bounds the information I(X; Z) from above; with the law p(z|y) of a head that states
    one (unless ``rate_to="normal"``) it bounds I(X; Z | Y).

    Parameters
    ----------
    runs : finished runs
    epsilon, steps, rows : the L-infinity PGD attack: radius (inputs in [0, 1], or standardised
        units for tables), steps, and how many test rows are attacked; rows 0 leaves it out.
        What cannot be attacked (`Run.can_attack`), such as text, gets NaN.
    progress : show bars where it takes more than 2 s

    Returns
    -------
    DataFrame
        One row per run, indexed by its name.

    Raises
    ------
    InputError
        If there are no runs.

    Examples
    --------
    >>> heads = ["softmax", "gaussian_mixture"]
    >>> runs = vcviz.train_heads(heads, dataset="mixture", epochs=3, progress=False)
    >>> table = vcviz.summarise(runs, rows=0, progress=False)
    >>> table["accuracy"].round(1).tolist()
    [0.6, 1.0]
    >>> list(table.columns)[:6]
    ['head', 'law', 'D', 'accuracy', 'ECE', 'ECE if calibrated']
    """
    import pandas as pd

    if not runs:
        raise InputError("no runs to summarise; train some first: vcviz train")
    table = []
    for run in tqdm(runs, desc="summarising", unit="run", disable=not progress, delay=2):
        prior = run.prior()
        row = {
            "head": run.config.head,
            "law": law_of(run),
            "D": run.config.latent_dim,
            "accuracy": run.metrics["accuracy"],
            "ECE": run.metrics["ece"],
            "ECE if calibrated": run.metrics["ece_if_calibrated"],
            "NLL": run.metrics["nll"],
            "rate weight": run.config.rate_weight if run.config.stochastic else np.nan,
            "rate": run.history[-1].get("train/rate", np.nan),
            "PGD gates": "",
        }
        if prior is not None:
            train, test = (
                latent_fit(run.latents(split), prior, resamples=0, progress=progress)
                for split in ("train", "test")
            )
            row |= {
                "KL train": train.mean("kl"),
                "KL test": test.mean("kl"),
                "variance train": train.mean("whitened_variance"),
                "energy train": train.mean("energy"),
            }
        if rows > 0 and run.can_attack:
            options = {"epsilon": epsilon, "steps": steps, "checks": CHECKS}
            path = run.attack(rows, progress=False, **options)
            row |= {"PGD accuracy": path.accuracy[-1], "PGD gates": attack_gates(path).short}
        table.append(row)
    frame = pd.DataFrame(table, index=[r.name for r in runs], columns=list(COLUMNS))
    frame = frame.loc[:, [bool((frame[c].notna() & (frame[c] != "")).any()) for c in frame]]
    if not all(run.config.stochastic for run in runs):
        # Beside encoders that give points the weight of a rate says nothing.
        frame = frame.drop(columns=["rate weight", "rate"], errors="ignore")
    frame = with_labels(frame, [run.label_note for run in runs])
    frame.attrs["attack"] = f"L-infinity PGD, epsilon {epsilon:g}, {steps} steps, {rows} rows"
    return frame
