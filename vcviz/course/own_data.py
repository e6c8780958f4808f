"""Lesson 10: two heads on data of one's own, and what to report of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from vcviz.course.answers import Check, Key
from vcviz.course.own_tables import CONFIDENT, confident, right
from vcviz.course.predictions import Prediction, Reveal
from vcviz.metrics import reliability_curve
from vcviz.metrics.intervals import normal_quantile
from vcviz.records import Split
from vcviz.records.titles import run_titles

if TYPE_CHECKING:
    from vcviz.runs import Run


def predict_new_rows(runs: Sequence[Run]) -> Prediction:
    """Ask whether the law that is met on training rows is met on test rows."""

    def reveal() -> Reveal:
        from vcviz.studies import latent_fits

        seen, new = (
            [fit.mean("energy") for fit in latent_fits(runs, split=split, resamples=0)]  # type: ignore[arg-type]
            for split in ("train", "test")
        )
        said = "; ".join(
            f"{name} {a:.3f} on training rows, {b:.3f} on test rows"
            for name, a, b in zip(run_titles(runs), seen, new, strict=True)
        )
        ratio = new[-1] / seen[-1]
        return Reveal(
            1 if abs(new[-1] - seen[-1]) < 0.02 or 0.8 <= ratio <= 1.25 else 0 if ratio < 1 else 2,
            f"Energy distance to the law, mean of the classes: {said}. It is 0 if latents follow "
            "the law. In the figure, compare the classes: which are far from it? Read some of "
            "their rows.",
        )

    return Prediction(
        "The variational head is held to its law on training rows. How far from it are the "
        "latents of test rows?",
        ["nearer", "about as far", "farther"],
        reveal,
    )


def predict_floor(runs: Sequence[Run]) -> Prediction:
    """Ask for how many heads the ECE exceeds what a calibrated classifier shows."""

    def reveal() -> Reveal:
        curves = [reliability_curve(run.latents("test")) for run in runs]
        beyond = [curve.ece > curve.ece_if_calibrated_interval[1] for curve in curves]
        said = []
        for name, run, curve in zip(run_titles(runs), runs, curves, strict=True):
            lat = run.latents("test")
            gap = float(np.exp(lat.log_probs.max(1)).mean()) - lat.accuracy
            low, high = curve.ece_if_calibrated_interval
            said.append(
                f"**{name}**: ECE {curve.ece:.3f}; a calibrated classifier of this size would "
                f"have {low:.3f} to {high:.3f}. Its mean confidence is {abs(gap):.3f} "
                f"{'above' if gap > 0 else 'below'} its accuracy."
            )
        return Reveal(sum(beyond), "\n\n".join(said))

    return Prediction(
        "For how many of the two heads is the ECE larger than the noise of this test set explains "
        "(95 %)?",
        ["none", "one", "both"],
        reveal,
    )


def key_baseline(train: Split, test: Split) -> Key:
    """Return the test accuracy of always answering the most frequent class."""
    most = train.class_counts.argmax()
    truth = float((test.y == most).mean())
    count = len(train.class_counts)
    return Key(
        truth,
        "an accuracy means nothing without this number beside it",
        {
            "that is for guessing at random among the classes": 1 / count,
            "that is its share of the training rows; accuracy is of test rows": float(
                (train.y == most).mean()
            ),
            "that is its share of errors": 1 - truth,
        },
        unit="fraction",
        tolerance=0.005,
        hint="choose the class by the training rows; the table has its share of the test rows",
    )


def key_interval(runs: Sequence[Run]) -> Key:
    """Return half of a 95 % interval of the softmax head's accuracy, by the normal law."""
    lat = runs[0].latents("test")
    n, a = len(lat.y), lat.accuracy
    error = float(np.sqrt(a * (1 - a) / n))
    truth = normal_quantile(0.95) * error
    return Key(
        truth,
        "differences below about this size need a paired comparison, or more rows",
        {
            "that is the standard error; 95 % are 1.96 of them": error,
            "that is the whole width": 2 * truth,
            "take the square root": truth**2 / normal_quantile(0.95),
            "that is the standard deviation of one row; divide by √n": truth * float(np.sqrt(n)),
        },
        unit="fraction",
        tolerance=0.05,
        hint="1.96 √(accuracy (1 − accuracy) / n) with n test rows",
    )


def key_expected(runs: Sequence[Run]) -> Key:
    """Return how many of the confident predictions of softmax would be wrong if calibrated."""
    confidence, wrong = confident(runs[0])
    truth = float((1 - confidence).sum())
    return Key(
        truth,
        "compare it with the mistakes in the table: more of them is overconfidence",
        {
            "that is how many are wrong; asked is how many would be": float(wrong.sum()),
            "that is with the threshold; take the mean confidence": (1 - CONFIDENT)
            * len(confidence),
            "that is how many would be right": float(confidence.sum()),
            "that is the share; multiply it with the number of predictions": truth
            / max(len(confidence), 1),
        },
        tolerance=0.05,
        hint="each is wrong with probability 1 − confidence",
    )


def key_paired(runs: Sequence[Run]) -> Key:
    """Return half of a 95 % interval of the difference of two accuracies on the same rows."""
    first, second = right(runs)
    n = len(first)
    d = second.astype(float) - first
    truth = normal_quantile(0.95) * float(d.std()) / np.sqrt(n)
    apart = normal_quantile(0.95) * np.sqrt(first.var() / n + second.var() / n)
    return Key(
        float(truth),
        "only rows on which the two disagree count: pairing takes the others out",
        {
            "that treats the rows of the two heads as different ones": float(apart),
            "that is the standard error; 95 % are 1.96 of them": float(
                truth / normal_quantile(0.95)
            ),
            "that is the whole width": float(2 * truth),
            "that is the difference itself": float(d.mean()),
        },
        unit="fraction",
        tolerance=0.05,
        hint="give each row +1, 0 or −1; with n₊ and n₋ rows on which one alone is right the "
        "variance is (n₊ + n₋)/n − ((n₊ − n₋)/n)²",
    )


_A = "runs[0].latents('test').accuracy"
_P = "np.exp(runs[0].latents('test').log_probs.max(1))"
_R = "[(r.latents('test').log_probs.argmax(1) == r.latents('test').y) * 1.0 for r in runs]"
CHECKS = {
    "10.1": Check(
        key_baseline,
        "(test.y == train.class_counts.argmax()).mean()",
        "The table has the share of the test rows of the class that is the most frequent of the "
        "training rows. To take the one that is the most frequent of the test rows would be to "
        "choose by the test rows.",
    ),
    "10.2": Check(
        key_interval,
        f"1.96 * math.sqrt({_A} * (1 - {_A}) / len(test.y))",
        r"Each row is right or wrong, with variance accuracy (1 − accuracy); divided by $n$ it is "
        r"that of the mean. Near 0 and 1 Wilson's interval, which the report has, is better.",
    ),
    "10.3": Check(
        key_paired,
        f"1.96 * np.std(np.diff({_R}, axis=0)) / math.sqrt(len(test.y))",
        r"$d_i \in \{-1, 0, 1\}$, with $n_-$ times $-1$ and $n_+$ times $+1$: variance "
        r"$(n_+ + n_-)/n - ((n_+ - n_-)/n)^2$. The table of agreement has $n_+$ and $n_-$.",
        points=2,
    ),
    "10.4": Check(
        key_expected,
        f"((1 - {_P}) * ({_P} >= 0.9)).sum()",
        r"$\sum_i (1 - \hat p_i)$ over the confident rows: their number times one minus their mean "
        r"confidence.",
    ),
}
PREDICTIONS = {"10a": predict_new_rows, "10b": predict_floor}
