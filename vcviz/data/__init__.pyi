"""A name -> a `Split`: what is embedded, what lies in files, what is on the Hub."""

from .corruptions import CORRUPTIONS as CORRUPTIONS
from .corruptions import corrupt as corrupt
from .fingerprint import fingerprint as fingerprint
from .labels import labelled_by as labelled_by
from .labels import noisy_labels as noisy_labels
from .loading import DATASETS as DATASETS
from .loading import imbalance_option as imbalance_option
from .loading import load_data as load_data
from .loading import load_strangers as load_strangers
from .mixture import true_prior as true_prior
from .preprocessing import apply_preprocessing as apply_preprocessing
from .shapes import load_shapes as load_shapes
from .strangers import STRANGERS as STRANGERS
from .strangers import HeldOut as HeldOut
from .strangers import hold_out_classes as hold_out_classes
from .strangers import make_strangers as make_strangers
from .subsets import imbalanced as imbalanced
from .subsets import subset as subset
from .text import encode_texts as encode_texts
from .utilities import true_utilities as true_utilities
