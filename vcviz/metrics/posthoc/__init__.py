"""What can still be done once a classifier is trained: other probabilities, another law.

*Recalibration* (`recalibrate`) maps log-probabilities to better calibrated ones and leaves the
latents alone. *Refitting* (`refit_prior`, `reclassify`) replaces the last layer by Bayes' rule
under a law that the latents really follow. `revised` does either by name.
"""

from vcviz.metrics.posthoc.mixture import mixture_prior as mixture_prior
from vcviz.metrics.posthoc.recalibration import Recalibration as Recalibration
from vcviz.metrics.posthoc.recalibration import cross_recalibrate as cross_recalibrate
from vcviz.metrics.posthoc.recalibration import recalibrate as recalibrate
from vcviz.metrics.posthoc.refit import reclassify as reclassify
from vcviz.metrics.posthoc.refit import refit_prior as refit_prior
from vcviz.metrics.posthoc.revision import REVISIONS as REVISIONS
from vcviz.metrics.posthoc.revision import PosthocScores as PosthocScores
from vcviz.metrics.posthoc.revision import posthoc_scores as posthoc_scores
from vcviz.metrics.posthoc.revision import revised as revised
