"""What an attack's record says: gates, intervals, and where paths leave their class."""

from vcviz.metrics.intervals import wilson as wilson
from vcviz.metrics.robustness.gates import attack_gates as attack_gates
from vcviz.metrics.robustness.support import Crossing as Crossing
from vcviz.metrics.robustness.support import crossings as crossings
