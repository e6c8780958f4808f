"""What an attack's record says: gates, intervals, and where paths leave their class."""

from vcviz.intervals import wilson as wilson
from vcviz.robustness.gates import attack_gates as attack_gates
from vcviz.robustness.support import Crossing as Crossing
from vcviz.robustness.support import crossings as crossings
