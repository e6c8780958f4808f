"""Class activation maps: exact where they can be, honest where not, and the model left alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from vcviz.base.errors import InputError
from vcviz.latents.class_activation import info_cam
from vcviz.models.classifier import Classifier
from vcviz.models.encoders import build_encoder
from vcviz.models.heads import HEADS, build_head
from vcviz.records import ActivationMaps, Split

N, C = 7, 3
SHAPE = (2, 12, 9)


def images(n=N, shape=SHAPE, seed=0, c=C) -> Split:
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (n, *shape), dtype=np.uint8)
    return Split(x, np.arange(n) % c, name="noise")


class Pooled(nn.Module):
    """Somebody else's network: convolutions, global average pooling, linear."""

    def __init__(self, c: int = C) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(2, 5, 3), nn.ReLU(inplace=True), nn.AvgPool2d(2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.last = nn.Linear(5, c)

    def forward(self, x):
        return self.last(self.pool(self.body(x)).flatten(1))


def ours(head="softmax", encoder="gap", latent_dim=4, **options) -> Classifier:
    torch.manual_seed(0)
    built = build_encoder(encoder, kind="image", input_shape=SHAPE, latent_dim=latent_dim)
    model = Classifier(built, build_head(head, latent_dim=latent_dim, n_classes=C, **options))
    return model.eval()


def scores_of(model, split) -> np.ndarray:
    x = torch.tensor(split.x.astype(np.float32) / 255)
    with torch.no_grad():
        model.eval()
        scores = model.head.logits(model.encode(x)) if isinstance(model, Classifier) else model(x)
    return scores.double().numpy()


def by_hand(scores, label, against) -> np.ndarray:
    rows = np.arange(len(scores))
    own = scores[rows, label]
    if against == "rest":
        return own - (scores.sum(1) - own) / (C - 1)
    other = scores.argmin(1) if against == "last" else np.full(len(scores), against)
    return own - scores[rows, other]


# ---------------------------------------------------------------- exact for linear ends


@pytest.mark.parametrize("against", ["rest", "last", 0, 2])
@pytest.mark.parametrize(
    "model", [Pooled, ours, lambda: ours("pc_softmax")], ids=["pooled", "softmax", "pc_softmax"]
)
def test_maps_and_biases_add_up_to_the_score_difference(model, against):
    torch.manual_seed(1)
    model, split = model(), images()
    maps = info_cam(model, split, against=against, batch_size=3)
    scores = scores_of(model, split)
    label = scores.argmax(1)
    np.testing.assert_array_equal(maps.label, label)
    expected = by_hand(scores, label, against)
    np.testing.assert_allclose(maps.difference, expected, atol=1e-5)
    np.testing.assert_allclose(maps.info.mean((1, 2)) + maps.remainder, expected, atol=1e-5)
    # What is left is a difference of biases: the same for all images of one pair of classes.
    if isinstance(model, Pooled):
        bias = np.repeat(model.last.bias.detach().numpy()[None], N, axis=0)
    else:
        layer = model.head.linear
        bias = (layer(model.encoder.linear.bias)).detach().numpy()[None].repeat(N, axis=0)
    rows = np.arange(N)
    if against == "rest":
        expected = by_hand(bias, label, "rest")
    else:
        other = scores.argmin(1) if against == "last" else np.full(N, against)
        expected = bias[rows, label] - bias[rows, other]
    np.testing.assert_allclose(maps.remainder, expected, atol=1e-4)


def test_it_is_the_class_activation_map_written_out():
    torch.manual_seed(1)
    model, split = Pooled(), images()
    with torch.no_grad():
        features = model.body(torch.tensor(split.x / 255.0, dtype=torch.float32)).numpy()
    weight = model.last.weight.detach().numpy()
    maps = info_cam(model, split, label=1, against="rest")
    cam = np.einsum("kc,nchw->nkhw", weight, features)
    np.testing.assert_allclose(maps.cam, cam[:, 1], atol=1e-5)
    # The authors' "sub_oth_cams": minus the mean of the others, C / (C - 1) (w_y - mean of w).
    np.testing.assert_allclose(maps.info, cam[:, 1] - cam[:, [0, 2]].mean(1), atol=1e-5)
    np.testing.assert_allclose(maps.info, C / (C - 1) * (cam[:, 1] - cam.mean(1)), atol=1e-5)
    assert maps.layer == "body"
    assert (maps.against == -1).all()


def test_permuting_the_classes_permutes_the_explanation():
    torch.manual_seed(1)
    model, split = Pooled(), images()
    before = info_cam(model, split, label=2, against=0)
    order = torch.tensor([1, 2, 0])
    with torch.no_grad():
        model.last.weight.copy_(model.last.weight[order])
        model.last.bias.copy_(model.last.bias[order])
    after = info_cam(model, split, label=1, against=2)
    np.testing.assert_allclose(after.info, before.info, atol=1e-6)
    swapped = info_cam(model, split, label=2, against=1)
    np.testing.assert_allclose(swapped.info, -after.info, atol=1e-6)


def test_what_no_prediction_depends_on_moves_the_plain_map_and_not_the_informative_one():
    """Adding one vector to the weights of all classes leaves every posterior as it is."""
    torch.manual_seed(1)
    model, split = Pooled(), images()
    before = info_cam(model, split)
    with torch.no_grad():
        model.last.weight.add_(torch.randn(5))
    after = info_cam(model, split)
    np.testing.assert_allclose(after.info, before.info, atol=1e-5)
    assert np.abs(after.cam - before.cam).max() > 0.1


# ---------------------------------------------------------------- any head, any end


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("encoder", ["gap", "cnn", "resnet20"])
def test_every_head_and_encoder_gets_maps_that_add_up(head, encoder):
    model, split = ours(head, encoder), images(4)
    maps = info_cam(model, split)
    assert np.isfinite(maps.info).all()
    assert maps.info[0].size > 1
    total = maps.info.astype(float).mean((1, 2)) + maps.remainder
    np.testing.assert_allclose(total, maps.difference, rtol=1e-4, atol=1e-4)
    scores = scores_of(model, split)
    np.testing.assert_allclose(maps.difference, by_hand(scores, maps.label, "rest"), rtol=1e-4)


def test_elsewhere_it_is_the_slope_along_the_maps():
    """The mean of the map is the derivative of the score as its layer is scaled up."""
    model, split = ours("gaussian_mixture", "cnn"), images(3)
    layer = "encoder.features.7"
    maps = info_cam(model, split, label=1, against=0, layer=layer)
    x = torch.tensor(split.x / 255.0, dtype=torch.float32)
    found = []
    for scale in (1 - 1e-3, 1 + 1e-3):
        hook = model.get_submodule(layer).register_forward_hook(lambda *a, s=scale: a[2] * s)
        with torch.no_grad():
            scores = model.head.logits(model.encode(x))
        hook.remove()
        found.append((scores[:, 1] - scores[:, 0]).double().numpy())
    slope = (found[1] - found[0]) / 2e-3
    np.testing.assert_allclose(maps.info.mean((1, 2)), slope, rtol=0.02, atol=0.02)


def test_images_alone_will_do_and_a_layer_can_be_named():
    torch.manual_seed(1)
    model, split = Pooled(), images()
    bare = info_cam(model, split.x.astype(np.float32) / 255)
    np.testing.assert_allclose(bare.info, info_cam(model, split).info, atol=1e-6)
    assert bare.class_names == ("0", "1", "2")
    assert info_cam(model, split, layer="body.0").info.shape[1:] == (10, 7)
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    np.testing.assert_allclose(info_cam(model, split).info, bare.info, atol=1e-6)


def test_the_model_is_left_as_it_was():
    model, split = ours(), images()
    model.train()
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        info_cam(model, split)
    assert model.training
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"against": "others"}, "unknown against 'others'; choose from: last, rest"),
        ({"against": 3}, r"against must lie in \[0, 3\)"),
        ({"label": 3}, r"label must lie in \[0, 3\)"),
        ({"label": [0, 1]}, r"label must have shape \(7,\)"),
        ({"layer": "bodi"}, "unknown layer 'bodi'; did you mean 'body'"),
        ({"layer": "last"}, "no module gave maps"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
    ],
)
def test_refuses(options, message):
    with pytest.raises(InputError, match=message):
        info_cam(Pooled(), images(), **options)


def test_refuses_models_without_maps_and_data_without_images(table_split):
    with pytest.raises(InputError, match="no module gave maps"):
        info_cam(ours(encoder="mlp"), images())
    with pytest.raises(InputError, match="need images"):
        info_cam(Pooled(), table_split)


def test_refuses_scores_that_do_not_depend_on_the_maps():
    class Detached(Pooled):
        def forward(self, x):
            return self.last(self.pool(self.body(x)).flatten(1).detach())

    with pytest.raises(InputError, match=r"do not depend on the output of 'body'.*another layer"):
        info_cam(Detached(), images())


def test_a_record_checks_its_shapes():
    maps = info_cam(Pooled(), images())
    fields = {k: getattr(maps, k) for k in maps.__dataclass_fields__}
    for change, message in (
        ({"info": maps.info[:, :2]}, r"cam and info must be \(7, h, w\)"),
        ({"difference": maps.difference[:3]}, "difference must have 7 values"),
        ({"against": maps.against + 4}, "against must lie in"),
    ):
        with pytest.raises(InputError, match=message):
            ActivationMaps(**fields | change)
