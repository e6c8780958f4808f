"""A config -> a run, in one visible loop."""

from .grids import train_grid as train_grid
from .segmentation import segment as segment
from .segmentation import train_segmenter as train_segmenter
from .train_runs import train as train
from .train_runs import train_heads as train_heads
