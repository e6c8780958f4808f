"""What the words of the explorers mean, for whoever meets them for the first time."""

from __future__ import annotations

import html
from collections.abc import Sequence

#: term -> what it means, in one or two sentences
WORDS = {
    "anticipated p(z|y)": (
        "The distribution of the latents z of a class that the head assumes. A softmax layer "
        "assumes none in particular: one of those that give its predictions is drawn."
    ),
    "empirical q(z|y)": "The latents of a class as the encoder delivers them.",
    "outline": "A curve that encloses a share of a distribution, 90 % unless it says otherwise.",
    "KL": (
        "How far the latents of a class are from what is anticipated, in nats, 0 if they follow "
        "it: the divergence of a Gaussian fitted to them from p(z|y)."
    ),
    "strangers": "Inputs of another kind than the data: out-of-distribution inputs.",
    "confidence": "The largest predicted probability of an input.",
    "ECE": (
        "Expected calibration error: the distance between accuracy and mean confidence of a bin, "
        "averaged over the samples."
    ),
    "if calibrated": (
        "The ECE that a perfectly calibrated classifier would show, on average, for as many "
        "samples with these confidences. It is above 0 because bins are noisy."
    ),
    "debiased": "An estimate of the ECE with endless samples, with a 95 % interval.",
    "smECE": "Smooth ECE: as the ECE, with a kernel in place of bins.",
    "Brier": (
        "The mean squared error of the probabilities. Reliability is miscalibration, resolution "
        "is how far the outcomes of the bins differ, uncertainty is what no prediction can lower."
    ),
    "NLL": "Negative log-likelihood of the labels: the cross-entropy, in nats.",
    "temperature": "T divides the logits: above 1 it lowers confidence, and changes no decision.",
    "flip": "The first step of an attack at which the prediction is not the label.",
    "support": (
        "The region of highest density that holds a given share of a class, 90 % unless it says "
        "otherwise."
    ),
    "sanity gate": (
        "A check whether an attack works as it should, for example that a larger radius does not "
        "raise accuracy. Where one fails, the robustness it shows cannot be trusted."
    ),
}


def words_html(terms: Sequence[str]) -> str:
    """Return a list of terms and their meanings that is opened by a click."""
    entries = "".join(
        f"<dt style='font-weight:600'>{html.escape(term)}</dt><dd>{html.escape(WORDS[term])}</dd>"
        for term in terms
    )
    return (
        "<details style='font-size:.8rem;line-height:1.45'>"
        "<summary style='cursor:pointer;width:max-content'>What the words mean</summary>"
        f"<dl style='max-width:44em'>{entries}</dl></details>"
    )
