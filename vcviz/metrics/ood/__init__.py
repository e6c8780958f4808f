"""Out-of-distribution scores, and how well they tell strangers from samples of the training law.

A score is higher for stranger inputs. `scores_in` are those of samples of the training law,
`scores_out` those of strangers.
"""

from vcviz.metrics.ood.ranks import aupr as aupr
from vcviz.metrics.ood.ranks import aupr_interval as aupr_interval
from vcviz.metrics.ood.ranks import auroc as auroc
from vcviz.metrics.ood.ranks import auroc_interval as auroc_interval
from vcviz.metrics.ood.ranks import fpr_at_tpr as fpr_at_tpr
from vcviz.metrics.ood.ranks import fpr_interval as fpr_interval
from vcviz.metrics.ood.ranks import hanley_mcneil_interval as hanley_mcneil_interval
from vcviz.metrics.ood.ranks import roc_curve as roc_curve
from vcviz.metrics.ood.ranks import threshold_at_tpr as threshold_at_tpr
from vcviz.metrics.ood.scores import METHODS as METHODS
from vcviz.metrics.ood.scores import OF_OUTPUT as OF_OUTPUT
from vcviz.metrics.ood.scores import UNITS as UNITS
from vcviz.metrics.ood.scores import available as available
from vcviz.metrics.ood.scores import score as score
from vcviz.metrics.ood.separation import separation as separation
from vcviz.metrics.ood.separation import separations as separations
