"""Class-conditional laws p(z|y) of the latents, as torch modules."""

from __future__ import annotations

from vcviz.laws.gaussian import GaussianLaw

__all__ = ["GaussianLaw"]
