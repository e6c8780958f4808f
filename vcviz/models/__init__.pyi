"""Encoders, heads, laws and the classifier that they make, in torch."""

from . import encoders as encoders
from . import heads as heads
from . import laws as laws
from .classifier import Classifier as Classifier
from .encoders import build_encoder as build_encoder
from .heads import HEADS as HEADS
from .heads import build_head as build_head
from .heads.noisy_softmax import noisy_log_softmax as noisy_log_softmax
from .laws import LAWS as LAWS
from .laws import build_law as build_law
from .laws.base import Law as Law
