"""Encoders: shapes, the published sizes of the ResNets, padding of texts, messages."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vcviz.base.errors import InputError
from vcviz.models.encoders import ENCODERS, build_encoder
from vcviz.models.encoders.resnet import RESNET_DEPTHS


def image_encoder(name, shape=(3, 12, 9), latent_dim=5, **options):
    torch.manual_seed(0)
    return build_encoder(name, kind="image", input_shape=shape, latent_dim=latent_dim, **options)


def text_encoder(latent_dim=5, n_tokens=11, **options):
    torch.manual_seed(0)
    return build_encoder(
        "text",
        kind="text",
        input_shape=(6,),
        latent_dim=latent_dim,
        n_tokens=n_tokens,
        **options,
    )


@pytest.mark.parametrize("latent_dim", [1, 2, 64])
@pytest.mark.parametrize("name", ["mlp", "cnn", "gap", "resnet20"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 12, 9), (1, 28, 28)])
def test_images_become_latents_of_any_dimension(name, shape, latent_dim):
    encoder = image_encoder(name, shape, latent_dim)
    z = encoder(torch.rand(4, *shape))
    assert z.shape == (4, latent_dim)
    assert isinstance([*encoder.modules()][-1], nn.Linear)
    z.sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


@pytest.mark.parametrize("latent_dim", [1, 64])
def test_tables_and_texts_become_latents(latent_dim):
    table = build_encoder("mlp", kind="table", input_shape=(7,), latent_dim=latent_dim)
    assert table(torch.randn(3, 7)).shape == (3, latent_dim)
    assert text_encoder(latent_dim)(torch.ones(3, 6, dtype=torch.int32)).shape == (3, latent_dim)


@pytest.mark.parametrize(
    ("kind", "shape", "expected"),
    [
        ("image", (1, 8, 8), "MLPEncoder"),
        ("image", (3, 16, 16), "MLPEncoder"),
        ("image", (1, 28, 28), "CNNEncoder"),
        ("table", (5,), "MLPEncoder"),
        ("text", (6,), "TextEncoder"),
    ],
)
def test_auto_chooses_by_kind_and_size(kind, shape, expected):
    encoder = build_encoder("auto", kind=kind, input_shape=shape, latent_dim=2, n_tokens=11)
    assert type(encoder).__name__ == expected


def test_default_mlp_has_the_layers_of_the_digits_net():
    sizes = [m.weight.shape for m in image_encoder("mlp", (1, 8, 8), 2).modules() if _linear(m)]
    assert sizes == [(128, 64), (64, 128), (2, 64)]
    encoder = image_encoder("mlp", (1, 8, 8), 2, hidden=[9], dropout=0.5)
    assert [m.weight.shape for m in encoder.modules() if _linear(m)] == [(9, 64), (2, 9)]
    assert [m.p for m in encoder.modules() if isinstance(m, nn.Dropout)] == [0.5]
    linear = image_encoder("mlp", (1, 8, 8), 2, hidden=[])
    assert [m.weight.shape for m in linear.modules() if _linear(m)] == [(2, 64)]


def _linear(module):
    return isinstance(module, nn.Linear)


@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_resnets_have_the_published_depth_and_size(depth, millions):
    """He et al. 2016, table 6: parameters of the nets with a 10-way last layer."""
    encoder = image_encoder(f"resnet{depth}", (3, 32, 32), 10)
    assert sum(p.numel() for p in encoder.parameters()) / 1e6 == pytest.approx(millions, rel=0.02)
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in encoder.modules()) == depth


def test_resnet_shortcuts_pass_every_second_pixel_and_zero_channels():
    encoder = image_encoder("resnet20", (3, 8, 8))
    first_of_stage_two = encoder.blocks[3]
    for module in first_of_stage_two.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)  # leaves the shortcut alone
    x = torch.rand(2, 16, 8, 8)
    out = first_of_stage_two(x)
    assert out.shape == (2, 32, 4, 4)
    torch.testing.assert_close(out[:, :16], x[:, :, ::2, ::2])
    assert not out[:, 16:].any()


def test_resnet_pools_down_to_one_pixel_at_a_quarter_of_the_size():
    encoder = image_encoder("resnet20", (3, 32, 32))
    assert encoder.blocks(encoder.stem(torch.rand(1, 3, 32, 32))).shape == (1, 64, 8, 8)


def test_padding_does_not_change_a_text():
    encoder = text_encoder().eval()
    text = torch.tensor([[3, 5, 5, 10]], dtype=torch.int32)
    padded = torch.tensor([[3, 5, 5, 10, 0, 0, 0]], dtype=torch.int32)
    torch.testing.assert_close(encoder(text), encoder(padded))
    mean = encoder.embedding.weight[[3, 5, 5, 10]].mean(0)
    torch.testing.assert_close(encoder.embedding(padded)[0], mean)


def test_an_empty_text_has_the_zero_embedding_and_finite_gradients():
    encoder = text_encoder(token_dropout=0.0)
    texts = torch.tensor([[0, 0, 0], [4, 0, 0]])
    assert not encoder.embedding(texts)[0].any()
    encoder(texts).square().sum().backward()
    grad = encoder.embedding.weight.grad
    assert not grad.is_sparse
    assert grad.isfinite().all()
    assert not grad[0].any()
    assert grad[4].any()


def test_tokens_are_left_out_in_training_only():
    encoder = text_encoder(token_dropout=0.25)
    nn.init.ones_(encoder.embedding.weight)
    seen = []
    encoder.embedding.register_forward_hook(lambda _, ids, __: seen.append(ids[0]))
    x = torch.ones(1000, 6, dtype=torch.int32)
    encoder(x)
    encoder.eval()(x)
    assert seen[0].float().mean().item() == pytest.approx(0.75, abs=0.03)
    assert seen[0].dtype == torch.int32
    assert torch.equal(seen[1], x)


@pytest.mark.parametrize(
    ("name", "kind", "shape", "options", "message"),
    [
        ("resnet18", "image", (3, 32, 32), {}, "unknown encoder 'resnet18'; did you mean"),
        ("mpl", "table", (4,), {}, "did you mean 'mlp'.*auto, cnn, gap, mlp"),
        ("mlp", "image", (1, 8, 8), {"hiden": [8]}, "did you mean 'hidden'"),
        ("resnet20", "image", (3, 32, 32), {"depth": 32}, "unknown option"),
        ("cnn", "table", (4,), {}, "'cnn' does not take table data; use mlp"),
        ("mlp", "text", (4,), {}, "'mlp' does not take text data; use text"),
        ("text", "text", (4,), {}, "n_tokens must be a whole number of at least 2, got None"),
        ("cnn", "image", (1, 7, 20), {}, "8 x 8 or more"),
        ("cnn", "image", (1, 8), {}, r"\(channels, height, width\), got \(1, 8\)"),
        ("mlp", "image", (1, 8, 8), {"hidden": 64}, "hidden must be a list of layer widths"),
        ("mlp", "image", (1, 8, 8), {"hidden": [0]}, "hidden must be a whole number of at least 1"),
        ("cnn", "image", (1, 8, 8), {"width": 0}, "width must be"),
        ("gap", "image", (1, 8, 8), {"widths": 8}, "widths must be a list of channels, got 8"),
        ("gap", "image", (1, 8, 8), {"widths": [8, 0]}, "widths must be a whole number"),
        ("cnn", "image", (1, 8, 8), {"dropout": 1.0}, r"dropout must lie in \[0, 1\), got 1"),
        ("text", "text", (4,), {"token_dropout": 1}, r"token_dropout must lie in \[0, 1\), got 1"),
        ("mlp", "sound", (4,), {}, "unknown kind of data 'sound'"),
    ],
)
def test_bad_requests_are_refused(name, kind, shape, options, message):
    tokens = 11 if options else None
    with pytest.raises(InputError, match=message):
        build_encoder(name, kind=kind, input_shape=shape, latent_dim=2, n_tokens=tokens, **options)


def test_latent_dim_is_checked():
    with pytest.raises(InputError, match="latent_dim must be a whole number of at least 1, got 0"):
        image_encoder("mlp", latent_dim=0)


def test_every_resnet_depth_is_listed():
    assert [name for name in ENCODERS if name.startswith("resnet")] == [
        f"resnet{depth}" for depth in RESNET_DEPTHS
    ]
