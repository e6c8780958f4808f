"""Any torch classifier -> `LatentSet`, planes, class activation maps."""

from .class_activation import info_cam as info_cam
from .extraction import extract_latents as extract_latents
from .extraction import last_linear as last_linear
from .extraction import prior_of as prior_of
from .fields import plane_log_ratio as plane_log_ratio
from .fields import score_plane as score_plane
from .logit_laws import logit_law as logit_law
from .planes import latent_log_probs as latent_log_probs
from .planes import plane_log_probs as plane_log_probs
from .retain import retain_set as retain_set
