"""Controls and a figure function, live in a notebook and in an exported page."""

from .adversarial_explorer import AdversarialExplorer as AdversarialExplorer
from .bind import bind as bind
from .calibration_explorer import CalibrationExplorer as CalibrationExplorer
from .direction_explorer import DirectionExplorer as DirectionExplorer
from .display import link as link
from .dropmax_explorer import DropMaxExplorer as DropMaxExplorer
from .exploration import Exploration as Exploration
from .exploration import explore as explore
from .heteroscedastic_explorer import HeteroscedasticExplorer as HeteroscedasticExplorer
from .information_explorer import InformationExplorer as InformationExplorer
from .latent_explorer import LatentExplorer as LatentExplorer
from .posthoc_explorer import PosthocExplorer as PosthocExplorer
from .scoreboard_explorer import ScoreboardExplorer as ScoreboardExplorer
from .selection import Selection as Selection
