"""Explorers: controls tied to figure functions, alive in a notebook or static in a page."""

from vcviz.widgets.adversarial import AdversarialExplorer as AdversarialExplorer
from vcviz.widgets.bind import Bound as Bound
from vcviz.widgets.bind import bind as bind
from vcviz.widgets.calibration import CalibrationExplorer as CalibrationExplorer
from vcviz.widgets.directions import DirectionExplorer as DirectionExplorer
from vcviz.widgets.dropmax import DropMaxExplorer as DropMaxExplorer
from vcviz.widgets.heteroscedastic import HeteroscedasticExplorer as HeteroscedasticExplorer
from vcviz.widgets.information import InformationExplorer as InformationExplorer
from vcviz.widgets.latent import LatentExplorer as LatentExplorer
from vcviz.widgets.plot import Plot as Plot
from vcviz.widgets.posthoc import PosthocExplorer as PosthocExplorer
from vcviz.widgets.scoreboard import ScoreboardExplorer as ScoreboardExplorer
from vcviz.widgets.selection import Selection as Selection
from vcviz.widgets.selection import link as link

__all__ = [
    "AdversarialExplorer",
    "Bound",
    "CalibrationExplorer",
    "DirectionExplorer",
    "DropMaxExplorer",
    "HeteroscedasticExplorer",
    "InformationExplorer",
    "LatentExplorer",
    "Plot",
    "PosthocExplorer",
    "ScoreboardExplorer",
    "Selection",
    "bind",
    "link",
]
