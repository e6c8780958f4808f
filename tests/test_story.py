"""What notebooks, README and guides promise, computed at their own parameters."""

from __future__ import annotations

import pytest
from story import Claim, Story, parametrised

import vcviz


def spokes(story: Story, seed: int) -> None:
    softmax, mixture, variational = story.tour(2, seed)
    kl = [fit.mean("kl") for fit in vcviz.latent_fits([softmax, mixture, variational])]
    assert kl[0] > 4 * max(kl[1:])


CLAIMS = (Claim("tour", "the Gaussians that it implies", spokes),)


@parametrised(CLAIMS)
def test_what_is_said_is_so(claim: Claim, story: Story) -> None:
    claim.check_text()
    claim.holds(story, 0)


@pytest.mark.slow
@parametrised([c for c in CLAIMS if c.least])
def test_of_heads_in_general(claim: Claim, story: Story) -> None:
    claim.check_seeds(story)
