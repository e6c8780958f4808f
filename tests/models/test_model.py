"""The classifier: types and scales of its inputs, its output, what it refuses."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vcviz.base.errors import InputError
from vcviz.models.classifier import Classifier
from vcviz.models.encoders import build_encoder
from vcviz.models.heads import HEADS, build_head

N, C, D = 7, 3, 2


def classifier(head="softmax", **options):
    torch.manual_seed(0)
    encoder = build_encoder("mlp", kind="image", input_shape=(1, 8, 8), latent_dim=D)
    return Classifier(encoder, build_head(head, latent_dim=D, n_classes=C, **options))


def noise():
    return torch.Generator().manual_seed(0)


def images():
    draw = torch.Generator().manual_seed(0)
    return torch.randint(256, (N, 1, 8, 8), dtype=torch.uint8, generator=draw)


@pytest.mark.parametrize("head", HEADS)
def test_output_is_the_heads_log_probs_of_the_latents(head):
    model = classifier(head)
    x = images()
    z = model.encode(x)
    assert z.shape == (N, D)
    found, alone = model(x, generator=noise()), model.head.log_probs(z, generator=noise())
    torch.testing.assert_close(found, alone, rtol=0, atol=0)
    torch.testing.assert_close(found.logsumexp(1), torch.zeros(N))


def test_bytes_are_scaled_to_the_unit_interval_and_floats_pass():
    model = classifier()
    x = images()
    torch.testing.assert_close(model.encode(x), model.encode(x.float() / 255), rtol=0, atol=0)
    torch.testing.assert_close(model.encode(x), model.encoder(x / 255))
    double = model.double()
    assert double.encode(x).dtype == torch.float64


def test_log_probs_serve_as_logits():
    log_probs = classifier()(images())
    torch.testing.assert_close(log_probs.log_softmax(1), log_probs)
    y = torch.arange(N) % C
    torch.testing.assert_close(F.cross_entropy(log_probs, y), F.nll_loss(log_probs, y))


def test_gradient_reaches_the_input():
    model = classifier("variational")
    x = (images().float() / 255).requires_grad_()
    model(x)[:, 0].sum().backward()
    assert x.grad.isfinite().all()
    assert x.grad.any()


def test_half_precision_latents_come_back_in_float32():
    model = classifier("gaussian_mixture")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert model.encode(images()).dtype == torch.float32
        assert model(images()).dtype == torch.float32


def test_any_module_of_the_users_is_an_encoder():
    model = Classifier(
        nn.Sequential(nn.Flatten(), nn.LazyLinear(D)),
        build_head("softmax", latent_dim=D, n_classes=C),
    )
    assert model(torch.rand(N, 5, 2)).shape == (N, C)
    flat = Classifier(nn.Flatten(), build_head("softmax", latent_dim=64, n_classes=C))
    assert flat(images()).shape == (N, C)


def test_saved_weights_give_the_same_model():
    model, other = classifier("variational"), classifier("variational")
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn_like(p))
    model.head.set_class_counts([1, 2, 3])
    assert not torch.equal(model(images()), other(images()))
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(images()), other(images()))


def test_what_does_not_fit_is_refused():
    head = build_head("softmax", latent_dim=D, n_classes=C)
    with pytest.raises(InputError, match="encoder must be a torch module, got str"):
        Classifier("mlp", head)
    with pytest.raises(InputError, match=r"head must come from vcviz.build_head, got Linear"):
        Classifier(nn.Flatten(), nn.Linear(2, 2))
    with pytest.raises(InputError, match=r"z must have shape \(B, 2\).*, got \(7, 64\)"):
        Classifier(nn.Flatten(), head)(images())
