"""Densities and projections of latents, in NumPy: laws, contours, planes, directions."""

from .directions import direction as direction
from .directions import natural_directions as natural_directions
from .grand_tour import grand_tour as grand_tour
from .priors import empirical_prior as empirical_prior
from .priors import implied_prior as implied_prior
from .projections import fit_projection as fit_projection
