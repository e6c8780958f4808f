"""What is known of one latent, and of a selection of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vcviz.records.checks import as_known, as_labels, as_log_probs, freeze


@dataclass(frozen=True, eq=False)
class Inspection:
    """One sample: its prediction, the density of its latent, and its nearest neighbours.

    Attributes
    ----------
    row : its row in the split
    label : its class
    log_probs : (C,) log p(y|x)
    log_density : (C,) log p(z|y) in nats; None without a law
    log_marginal : log p(z) in nats; None without a law
    score, method : an out-of-distribution score, higher for stranger, and its name; None without
    neighbours : (k,) rows in the split of the nearest other latents, the nearest first
    distances : (k,) how far they are, Euclidean, in latent units
    neighbour_labels : (k,) their classes
    class_names, name
    label_note : for which label frequencies `log_probs` are, "" if for those of all samples

    Examples
    --------
    >>> log_probs = np.log([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]])
    >>> lat = vcviz.LatentSet([[0.0], [2.0], [1.5]], log_probs, y=[0, 1, 0])
    >>> row = vcviz.metrics.inspect_row(lat, None, 2, neighbours=1)
    >>> row.label, row.predicted, round(row.confidence, 2)
    (0, 1, 0.7)
    >>> row.neighbours, row.neighbour_labels, row.distances
    (array([1]), array([1]), array([0.5]))
    """

    row: int
    label: int
    log_probs: NDArray[np.float64]
    log_density: NDArray[np.float64] | None
    log_marginal: float | None
    score: float | None
    method: str | None
    neighbours: NDArray[np.int64]
    distances: NDArray[np.float64]
    neighbour_labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    name: str = "latents"
    label_note: str = ""

    def __post_init__(self) -> None:
        c, density = len(self.class_names), self.log_density
        neighbours = as_labels("neighbours", self.neighbours)
        freeze(
            self,
            log_probs=as_log_probs(as_known("log_probs", self.log_probs, (c,))[None])[0],
            log_density=None if density is None else as_known("log_density", density, (c,)),
            neighbours=neighbours,
            distances=as_known("distances", self.distances, (len(neighbours),)),
            neighbour_labels=as_labels("neighbour_labels", self.neighbour_labels, len(neighbours)),
        )

    @property
    def predicted(self) -> int:
        """The most probable class."""
        return int(self.log_probs.argmax())

    @property
    def confidence(self) -> float:
        """Its probability."""
        return float(np.exp(self.log_probs.max()))


@dataclass(frozen=True, eq=False)
class SelectionSummary:
    """Accuracy, calibration and log-densities of selected samples; NaN where there are none.

    Attributes
    ----------
    n, of : samples selected, and of how many
    counts : (C,) selected samples by label
    accuracy, accuracy_interval : fraction, and its Wilson interval at 95 %
    confidence : mean confidence, fraction
    ece, ece_if_calibrated : top-label expected calibration error of the selection, and what a
        calibrated model would show for so few samples, fractions
    ece_debiased, ece_debiased_interval : the error behind it, see `ReliabilityCurve`
    n_bins : bins of equal width that they are of
    log_density, log_density_error : mean of log p(z|y) of the labels in nats, and the standard
        error of that mean
    log_density_all : the mean over all samples, selected or not
    log_marginal : mean of log p(z) in nats
    class_names, name
    label_note : for which label frequencies the probabilities are, "" if for those of all samples

    Examples
    --------
    >>> run = vcviz.train("mixture", head="gaussian_mixture", epochs=3, progress=False)
    >>> lat = run.latents()
    >>> unsure = lat.log_probs.max(axis=1) < np.log(0.7)
    >>> some = vcviz.metrics.selection_summary(lat, run.prior(), lat.index[unsure])
    >>> some.n < some.of, some.accuracy < lat.accuracy
    (True, True)
    >>> some.log_density < some.log_density_all  # further out than the others
    True
    """

    n: int
    of: int
    counts: NDArray[np.int64]
    accuracy: float
    accuracy_interval: tuple[float, float]
    confidence: float
    ece: float
    ece_if_calibrated: float
    ece_debiased: float
    ece_debiased_interval: tuple[float, float]
    log_density: float
    log_density_error: float
    log_density_all: float
    log_marginal: float
    class_names: tuple[str, ...]
    name: str = "latents"
    label_note: str = ""
    n_bins: int = 15

    def __post_init__(self) -> None:
        freeze(self, counts=as_known("counts", self.counts, (len(self.class_names),)))
