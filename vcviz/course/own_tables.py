"""Tables of two heads on data of one's own: rows, numbers with intervals, mistakes."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vcviz.base.errors import InputError
from vcviz.figures.pictures import data_uri, rgba
from vcviz.metrics import negative_log_likelihood, reliability_curve
from vcviz.metrics.intervals import wilson
from vcviz.records import Split
from vcviz.records.titles import run_titles

if TYPE_CHECKING:
    import pandas as pd
    from IPython.display import HTML

    from vcviz.runs import Run

#: from here on a prediction is called confident
CONFIDENT = 0.9
_CELL = "text-align:left;padding:2px 14px 2px 0;vertical-align:middle"


def data_table(train: Split, test: Split) -> pd.DataFrame:
    """Return a row for each split: rows, classes, and two classes of the training rows in it.

    These are the most and the least frequent of the training rows.
    """
    import pandas as pd

    most, least = train.class_counts.argmax(), train.class_counts.argmin()
    rows = {
        name: {
            "rows": len(split.y),
            "classes": len(split.class_counts),
            f"share of {_short(train.class_names[most], 20)}, the most frequent": round(
                float(split.class_counts[most] / len(split.y)), 4
            ),
            f"rows of {_short(train.class_names[least], 20)}, the least frequent": int(
                split.class_counts[least]
            ),
        }
        for name, split in (("training", train), ("test", test))
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def report_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return what to say of each head on the test rows, with intervals over rows."""
    import pandas as pd

    rows = {}
    for name, run in zip(run_titles(runs), runs, strict=True):
        lat = run.latents("test")
        curve = reliability_curve(lat)
        low, high = wilson(lat.accuracy, len(lat.y))
        floor = curve.ece_if_calibrated_interval
        rows[name] = {
            "test rows": len(lat.y),
            "accuracy (95 % interval)": f"{lat.accuracy:.3f} ({low:.3f} to {high:.3f})",
            "NLL, nats": f"{negative_log_likelihood(lat.log_probs, lat.y):.3f}",
            "ECE": f"{curve.ece:.3f}",
            "ECE if calibrated": f"{floor[0]:.3f} to {floor[1]:.3f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def agreement_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return how many test rows both of two heads read rightly, only one of them, or none."""
    import pandas as pd

    first, second = right(runs)
    names = run_titles(runs[:2])
    table = [[(a & b).sum() for b in (second, ~second)] for a in (first, ~first)]
    return pd.DataFrame(
        table,
        index=[f"{names[0]} {word}" for word in ("right", "wrong")],
        columns=[f"{names[1]} {word}" for word in ("right", "wrong")],
    )


def confident_table(runs: Sequence[Run]) -> pd.DataFrame:
    """Return how many test predictions of each head are confident, and how many of them wrong."""
    import pandas as pd

    rows = {}
    for name, run in zip(run_titles(runs), runs, strict=True):
        confidence, wrong = confident(run)
        rows[name] = {
            f"confidence ≥ {CONFIDENT}": len(confidence),
            "their mean confidence": round(float(confidence.mean()), 4) if len(wrong) else np.nan,
            "wrong": int(wrong.sum()),
        }
    return pd.DataFrame.from_dict(rows, orient="index")


def mistakes_table(run: Run, test: Split, *, n: int = 6) -> HTML:
    """Return the most confident mistakes on test rows, each with its input.

    Parameters
    ----------
    run : a finished run
    test : the test rows that it was judged on, in their order
    n : how many

    Raises
    ------
    InputError
        If the rows are others than those of the run.
    """
    from IPython.display import HTML

    lat = run.latents("test")
    if len(test.y) != len(lat.y) or (test.y != lat.y).any():
        raise InputError(f"test must be the test rows of the run, {len(lat.y)} of them in order")
    confidence, said = np.exp(lat.log_probs.max(1)), lat.log_probs.argmax(1)
    wrong = np.flatnonzero(said != lat.y)
    wrong = wrong[np.argsort(-confidence[wrong], kind="stable")][:n]
    lines = "".join(
        f"<tr><td style='{_CELL}'>{_input(test, i)}</td>"
        + "".join(
            f"<td style='{_CELL}'>{html.escape(str(value))}</td>"
            for value in (
                i,
                _short(test.class_names[lat.y[i]], 30),
                _short(test.class_names[said[i]], 30),
                f"{confidence[i]:.4f}",
            )
        )
        + "</tr>"
        for i in map(int, wrong)
    )
    names = ("input", "test row", "label", "prediction", "confidence")
    head = "".join(f"<th style='{_CELL}'>{name}</th>" for name in names)
    return HTML(f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>")


def _input(split: Split, row: int) -> str:
    """Return HTML that shows one input."""
    if split.kind == "image":
        pixels = np.asarray(split.x[row : row + 1], dtype=np.float32)
        if split.x.dtype == np.uint8:
            pixels /= 255
        style = "height:48px;image-rendering:pixelated"
        return f"<img alt='test row {row}' style='{style}' src='{data_uri(rgba(pixels)[0])}'>"
    if split.texts is not None:
        return html.escape(_short(split.texts[row], 120))
    return html.escape(", ".join(f"{value:.2f}" for value in np.ravel(split.x[row])[:6]) + " …")


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


def right(runs: Sequence[Run]) -> list[NDArray[np.bool_]]:
    """Return whether each test row is classified rightly, by the first two runs."""
    both = [run.latents("test") for run in runs[:2]]
    return [lat.log_probs.argmax(1) == lat.y for lat in both]


def confident(run: Run) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return confidence of the confident test predictions, and whether each is wrong."""
    lat = run.latents("test")
    confidence = np.exp(lat.log_probs.max(1).astype(np.float64))
    rows = confidence >= CONFIDENT
    return confidence[rows], (lat.log_probs.argmax(1) != lat.y)[rows]
