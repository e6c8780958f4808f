"""Lesson 9: few labels, many seeds, and what a comparison can make one believe."""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, t

from vcviz.course.answers import Check, Key
from vcviz.course.few_label_accuracy import CONTROL, HEADS, SOFTMAX, VC, FewLabels
from vcviz.course.predictions import Prediction, Reveal
from vcviz.records import Estimate


def _ahead(found: FewLabels, over: str) -> int:
    """Return for how many numbers of labels the interval of VC's gain lies above zero."""
    return sum(Estimate.of(row).above(0) == "held" for row in found.gains(VC, over))


def predict_best(found: FewLabels) -> Prediction:
    """Ask who is most accurate with the fewest labels."""

    def reveal() -> Reveal:
        n = found.labels[0]
        means = {name: Estimate.of(values[0]) for name, values in found.accuracy.items()}
        order = [name for name, _ in sorted(means.items(), key=lambda item: -item[1].value)]
        said = ", ".join(f"{name} {means[name]}" for name in order)
        winners = [list(HEADS)[i] for i in np.argmax([*found.accuracy.values()], axis=0)[0]]
        won = ", ".join(f"{name} {winners.count(name)}" for name in HEADS)
        return Reveal(
            list(HEADS).index(order[0]),
            f"Mean accuracy with {n} labels (± half a 95 % interval over seeds): {said}. In how "
            f"many of the {len(winners)} seeds each head is first: {won}. Who reports one seed "
            "can choose.",
        )

    return Prediction(
        f"With {found.labels[0]} labels, two for each digit: which head is the most accurate, on "
        "average over the seeds?"
        if found.labels[0] == 20
        else f"With {found.labels[0]} labels: which head is the most accurate, on average?",
        [
            "softmax",
            "softmax with q(z|x): the encoder of VC, and no law",
            "variational: q(z|x), and a law that the latents are held to",
        ],
        reveal,
    )


def predict_control(found: FewLabels) -> Prediction:
    """Ask what is left of VC's gain when softmax gets the same encoder."""

    def reveal() -> Reveal:
        total = len(found.labels)
        plain, fair = _ahead(found, SOFTMAX), _ahead(found, CONTROL)
        n = found.labels[0]
        over, left = (100 * found.gains(VC, other)[0].mean() for other in (SOFTMAX, CONTROL))
        return Reveal(
            0 if fair == total else 2 if fair == 0 else 1,
            f"Over plain softmax the paired interval lies above zero for {plain} of {total} "
            f"numbers of labels, over softmax with the encoder of VC for {fair}. With {n} labels "
            f"the mean gain is {over:+.1f} points over the one and {left:+.1f} over the other. "
            "The first comparison changes two things at once, the encoder and the law. Only the "
            "second is about the law (and its critic).\n\n"
            "**Look for** the unpaired intervals too: where both heads find the same seeds easy "
            "or hard, pairing takes that away and its interval is the shorter one. With so few "
            "seeds it need not be.",
        )

    return Prediction(
        "VC differs from softmax in its encoder, q(z|x), and in its law. At how many of these "
        "numbers of labels is it ahead of softmax with the same encoder (95 % paired interval "
        "above zero)?",
        ["at all", "at some", "at none"],
        reveal,
    )


_DIFFERENCES = (0.03, 0.11, 0.10, 0.13, 0.05)


def key_interval() -> Key:
    """Return half of the paired 95 % interval of five differences."""
    d = np.array(_DIFFERENCES)
    truth = Estimate.of(d).reach
    root, quantile = np.sqrt(len(d)), t.ppf(0.975, len(d) - 1)
    return Key(
        truth,
        "the mean is 0.084, so the interval is 0.031 to 0.137 and lies above zero",
        {
            "divide by R − 1 in the variance": float(quantile * d.std() / root),
            "the standard error is the standard deviation over √R": float(quantile * d.std(ddof=1)),
            "with five runs the quantile is that of t with 4 degrees of freedom, 2.776": float(
                1.96 * d.std(ddof=1) / root
            ),
            "that is the standard error; multiply it with the quantile of t": float(
                d.std(ddof=1) / root
            ),
            "that is the whole width": 2 * truth,
            "that is the mean": float(d.mean()),
        },
        unit="fraction",
        tolerance=0.01,
        hint="t · standard deviation of the differences / √R, with t = 2.776",
    )


def key_chance() -> Key:
    """Return how often one of four true hypotheses of no difference is rejected."""
    return Key(
        1 - 0.95**4,
        "nearly one in five: say beforehand which n counts, or show all of them",
        {
            "that is the expected number of such n; two or more can happen at once": 0.2,
            "that is for one n": 0.05,
            "that is the chance that none is": 0.95**4,
            "asked is at least one, not all four": 0.05**4,
        },
        unit="fraction",
        tolerance=0.01,
        hint="one minus the chance that all four intervals cover zero",
    )


def key_encoder(found: FewLabels) -> Key:
    """Return how much of accuracy the encoder of VC alone gains with the fewest labels, points."""
    encoder, whole = (100 * found.gains(name, SOFTMAX)[0].mean() for name in (CONTROL, VC))
    return Key(
        float(encoder),
        "this part of the gain needs no law and no critic",
        {
            "that is the gain of VC over plain softmax, encoder and law together": float(whole),
            "that is what VC gains over softmax with its encoder": float(whole - encoder),
            "these two gains share VC: subtract them": float(2 * whole - encoder),
        },
        tolerance=max(0.03, 0.11 / max(abs(float(encoder)), 1e-9)),
        hint="(control − softmax) = (VC − softmax) − (VC − control); both stand above the panels",
    )


def key_one_seed() -> Key:
    """Return how often a single seed has the sign wrong."""
    truth = float(norm.cdf(-2 / 3))
    return Key(
        truth,
        "one seed in four says the opposite of the truth",
        {
            "that is how often the sign is right": 1 - truth,
            "the spread of one difference is 3 points: there is no √R for one seed": float(
                norm.cdf(-2 / 3 * np.sqrt(5))
            ),
            "one side only: a gain above the mean is no error": 2 * truth,
            "standardise: zero lies 2/3 of a standard deviation below the mean": float(
                norm.cdf(-3 / 2)
            ),
        },
        unit="fraction",
        tolerance=0.015,
        hint="P(d < 0) for d with mean 2 and standard deviation 3",
    )


CHECKS = {
    "9.1": Check(
        key_interval,
        "2.776 * np.std([0.03, 0.11, 0.10, 0.13, 0.05], ddof=1) / math.sqrt(5)",
        r"$\bar d = 0.084$, standard deviation 0.0422, standard error $0.0422/\sqrt 5 = 0.0189$, "
        r"times 2.776: 0.052.",
    ),
    "9.2": Check(
        key_encoder,
        "100 * found.gains('softmax with q(z|x)', 'softmax')[0].mean()",
        "Means subtract: (control − softmax) = (VC − softmax) − (VC − control).",
    ),
    "9.3": Check(
        key_chance,
        "1 - 0.95**4",
        r"$1 - 0.95^4 = 0.185$ for independent comparisons. Those on shared seeds are not "
        r"independent, which makes it less, but at least 0.05.",
    ),
    "9.4": Check(
        key_one_seed,
        "0.5 * (1 + math.erf(-2 / 3 / math.sqrt(2)))",
        r"$P(d < 0) = \Phi(-2/3) = 0.252$. With $R$ seeds it is $\Phi(-\tfrac23 \sqrt R)$: 0.07 "
        r"for five.",
        points=2,
    ),
}
PREDICTIONS = {"9a": predict_best, "9b": predict_control}
