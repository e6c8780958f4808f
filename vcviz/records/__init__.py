"""The frozen records that flow through vcviz, with their shape checks: NumPy only.

Symbols, here and everywhere
----------------------------
N samples, B batch, C classes, D latent dimensions, S Monte-Carlo draws, T attack steps, K bins.

``x`` input, ``z`` latent (the input of the last layer, pre-softmax), ``y`` label,
``log_probs`` natural-log p(y|x) with rows that sum to one after exp.
q(z|y) is the empirical law of the latents of class y, p(z|y) the law that the head
*anticipates* (its "prior"), pi_y the class prior. ``label_prior`` are the label frequencies that
``log_probs`` are for, which need not be those of the rows.
A name says its scale: ``scale`` is a standard deviation, ``log_weight`` a logarithm.
An out-of-distribution score is higher for stranger inputs.
"""

from vcviz.records.cams import ActivationMaps as ActivationMaps
from vcviz.records.checks import as_array as as_array
from vcviz.records.checks import as_float as as_float
from vcviz.records.checks import as_indices as as_indices
from vcviz.records.checks import as_known as as_known
from vcviz.records.checks import as_labels as as_labels
from vcviz.records.checks import as_log_probs as as_log_probs
from vcviz.records.checks import as_numbers as as_numbers
from vcviz.records.checks import as_places as as_places
from vcviz.records.checks import as_probs as as_probs
from vcviz.records.checks import as_rows as as_rows
from vcviz.records.checks import columns_of as columns_of
from vcviz.records.checks import is_coarse as is_coarse
from vcviz.records.directions import Direction as Direction
from vcviz.records.directions import Marginals as Marginals
from vcviz.records.inspection import Inspection as Inspection
from vcviz.records.inspection import SelectionSummary as SelectionSummary
from vcviz.records.label_law import label_note as label_note
from vcviz.records.latents import LatentSet as LatentSet
from vcviz.records.latents import Projection as Projection
from vcviz.records.logit_law import LogitLaw as LogitLaw
from vcviz.records.pixels import PixelSplit as PixelSplit
from vcviz.records.pixels import Segmentation as Segmentation
from vcviz.records.planes import LatentPlane as LatentPlane
from vcviz.records.planes import PlaneField as PlaneField
from vcviz.records.prior import LatentPrior as LatentPrior
from vcviz.records.results import LatentFit as LatentFit
from vcviz.records.results import ReliabilityCurve as ReliabilityCurve
from vcviz.records.results import Separation as Separation
from vcviz.records.retain_set import RetainSet as RetainSet
from vcviz.records.robustness import Gate as Gate
from vcviz.records.robustness import Gates as Gates
from vcviz.records.robustness import RobustnessCurve as RobustnessCurve
from vcviz.records.scoreboard import Estimate as Estimate
from vcviz.records.scoreboard import Scoreboard as Scoreboard
from vcviz.records.scoreboard import Verdict as Verdict
from vcviz.records.split import Kind as Kind
from vcviz.records.split import Split as Split
from vcviz.records.trained import Trained as Trained
from vcviz.records.trajectory import Trajectory as Trajectory

__all__ = [
    "ActivationMaps",
    "Direction",
    "Estimate",
    "Gate",
    "Gates",
    "Inspection",
    "LatentFit",
    "LatentPlane",
    "LatentPrior",
    "LatentSet",
    "LogitLaw",
    "Marginals",
    "PixelSplit",
    "PlaneField",
    "Projection",
    "ReliabilityCurve",
    "RetainSet",
    "RobustnessCurve",
    "Scoreboard",
    "Segmentation",
    "SelectionSummary",
    "Separation",
    "Split",
    "Trajectory",
    "Verdict",
]
