"""What can still be done once a classifier is trained: other probabilities, another law.

*Recalibration* (`recalibrate`) maps log-probabilities to better calibrated ones and leaves the
latents alone. *Refitting* (`refit_prior`, `reclassify`) replaces the last layer by Bayes' rule
under a law that the latents really follow.
"""

from vcviz.posthoc.laws import Covariance as Covariance
from vcviz.posthoc.laws import reclassify as reclassify
from vcviz.posthoc.laws import refit_prior as refit_prior
from vcviz.posthoc.recalibration import Method as Method
from vcviz.posthoc.recalibration import Recalibration as Recalibration
from vcviz.posthoc.recalibration import cross_recalibrate as cross_recalibrate
from vcviz.posthoc.recalibration import recalibrate as recalibrate

__all__ = [
    "Covariance",
    "Method",
    "Recalibration",
    "cross_recalibrate",
    "recalibrate",
    "reclassify",
    "refit_prior",
]
