"""What the names of measured numbers mean, and which way is better."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

Better = Literal["higher", "lower"]


class Title(NamedTuple):
    """A number's heading with its unit, and which way is better, if either."""

    text: str
    better: Better | None


#: pattern of accuracy under an attack, whatever its name
ATTACKED = r"(?!balanced_|corrupted_)(?P<attack>\w+)_accuracy"

#: pattern of a name -> heading (with its groups) and which way is better
_TITLES: tuple[tuple[str, str, Better | None], ...] = (
    (r"accuracy", "accuracy", "higher"),
    (r"balanced_accuracy", "balanced accuracy", "higher"),
    (r"balanced_accuracy_shifted", "balanced accuracy, for equal classes", "higher"),
    (r"accuracy_matched", "accuracy, for the test labels' frequencies", "higher"),
    (r"ece_matched", "ECE, for the test labels' frequencies", "lower"),
    (r"nll_matched", "NLL, for the test labels' frequencies, nats", "lower"),
    (r"information", "I(X; Y) estimated, nats", "higher"),
    (r"ece", "ECE", "lower"),
    (r"smooth_ece", "smooth ECE", "lower"),
    (r"ece_scaled", "ECE after temperature scaling", "lower"),
    (r"ece_if_calibrated", "ECE if calibrated", None),
    (r"ece_debiased", "ECE, debiased", "lower"),
    (r"nll", "NLL, nats", "lower"),
    (r"nll_scaled", "NLL after temperature scaling, nats", "lower"),
    (r"brier", "Brier score", "lower"),
    (r"human_kl", "KL from human labels, nats", "lower"),
    (r"corrupted_accuracy", "accuracy, corrupted", "higher"),
    (r"corrupted_ece", "ECE, corrupted", "lower"),
    (r"corrupted_nll", "NLL, corrupted, nats", "lower"),
    (r"corrupted_accuracy_(\d)", "accuracy, severity {0}", "higher"),
    (r"corrupted_ece_(\d)", "ECE, severity {0}", "lower"),
    (r"corrupted_nll_(\d)", "NLL, severity {0}, nats", "lower"),
    (r"(\w+)_auroc", "AUROC, {0}, max p", "higher"),
    (r"(\w+)_auroc_density", "AUROC, {0}, log p(z)", "higher"),
    (r"(\w+)_auroc_mahalanobis", "AUROC, {0}, Mahalanobis", "higher"),
    (r"(\w+)_fpr95", "FPR95, {0}, max p", "lower"),
    (ATTACKED, "accuracy, {attack} in L∞, mean over ε", "higher"),
    (ATTACKED + r"_(\d[\d.e-]*)", "accuracy, {attack} in L∞, ε = {1}", "higher"),
    (r"(?P<attack>\w+)_gates_failed", "gates failed, {attack}", "lower"),
    (r"(train|test)_energy", "energy distance from p(z|y), {0}", "lower"),
    (r"(train|test)_kl", "moment KL from p(z|y), {0}, nats", "lower"),
    (r"(train|test)_variance", "whitened variance, {0} (1 = p(z|y))", None),
    (r"seconds", "time, s", "lower"),
)


def attack_title(name: str) -> str:
    """Return how the name of an attack is written."""
    return {"apgd": "Auto-PGD"}.get(name, name.upper().replace("_", "-"))


def fitting(patterns: Iterable[str], numbers: Iterable[str]) -> list[str]:
    """Return the numbers whose names fit a pattern, in the order of the patterns."""
    listed = list(numbers)
    return list(dict.fromkeys(n for p in patterns for n in listed if re.fullmatch(p, n)))


def title(name: str) -> Title:
    """Return what a number is, its unit, and which way is better; a stranger keeps its name."""
    for pattern, text, better in _TITLES:
        if found := re.fullmatch(pattern, name):
            named = {name: attack_title(g) for name, g in found.groupdict().items()}
            return Title(text.format(*found.groups(), **named), better)
    return Title(name, None)
