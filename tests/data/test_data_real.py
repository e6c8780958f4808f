"""Real datasets, in a folder named by VCVIZ_DATA: everything there loads, and as it should."""

from __future__ import annotations

import numpy as np
import pytest

from vcviz.data import load_data

pytestmark = pytest.mark.data


@pytest.mark.parametrize(
    ("name", "kind", "shape", "n_test", "n_classes"),
    [
        ("mnist", "image", (60000, 1, 28, 28), 10000, 10),
        ("fashion_mnist", "image", (60000, 1, 28, 28), 10000, 10),
        ("cifar10", "image", (50000, 3, 32, 32), 10000, 10),
        ("usps", "image", (7291, 1, 16, 16), 2007, 10),
        ("notmnist", "image", (6667, 1, 28, 28), 3333, 10),
        ("ag_news", "text", (10000, 81), 7600, 4),
        ("trec6", "text", (5452, 20), 500, 6),
    ],
)
def test_a_dataset_loads(data_folder, name, kind, shape, n_test, n_classes):
    train, test = load_data(f"path:{data_folder / name}", progress=False)
    assert (train.kind, train.x.shape, len(test)) == (kind, shape, n_test)
    assert train.n_classes == n_classes
    assert train.class_counts.min() > 0
    if kind == "image":
        assert train.x.dtype == np.uint8
        assert train.x.min() == 0
        assert train.x.max() == 255


def test_human_labels_of_cifar10_are_joined(data_folder):
    others = [f"path:{data_folder / name}" for name in ("cifar10n", "cifar10h")]
    train, test = load_data(
        f"path:{data_folder / 'cifar10'}",
        extra_labels=others,
        label_probs="probs",
        max_rows=2000,
        progress=False,
    )
    # the share of wrong labels that the authors of CIFAR-10N report
    assert np.mean(train.labels["worse_label"] != train.y) == pytest.approx(0.402, abs=0.03)
    assert np.mean(train.labels["aggre_label"] != train.y) == pytest.approx(0.09, abs=0.02)
    assert np.mean(test.label_probs.argmax(1) == test.y) > 0.97
    assert train.label_probs is None


def test_noisy_human_labels_of_ag_news(data_folder):
    train, test = load_data(f"path:{data_folder / 'ag_news'}", progress=False)
    assert np.mean(train.labels["human_noisy_label"] != train.y) == pytest.approx(0.1975, abs=1e-4)
    assert not test.labels


def test_labels_alone_are_no_dataset(data_folder):
    from vcviz.base.errors import InputError

    with pytest.raises(InputError, match="labels alone are joined by extra_labels="):
        load_data(f"path:{data_folder / 'cifar10n'}")
