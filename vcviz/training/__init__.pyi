"""A config -> a run, in one visible loop."""

from .imbalance import train_imbalanced as train_imbalanced
from .law_grids import train_laws as train_laws
from .law_grids import train_rates as train_rates
from .segmentation import segment as segment
from .segmentation import train_segmenter as train_segmenter
from .train_runs import train as train
from .train_runs import train_heads as train_heads
