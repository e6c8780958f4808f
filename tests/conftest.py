"""Fixtures that more than one test file needs, and the marks that need something outside."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from vcviz.records import Split

if TYPE_CHECKING:
    from story import Story

# Before a test imports torch or numba: on a busy machine two threads can be far slower than one.
for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, with the reason, what this machine cannot run."""
    if item.get_closest_marker("data") and not os.environ.get("VCVIZ_DATA"):
        pytest.skip("needs real data: set VCVIZ_DATA to a folder of Parquet datasets")
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA device")
    if item.get_closest_marker("browser") and _chromium() is None:
        reason = "needs Chromium or Chrome: apt-get install chromium-headless-shell, for example"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail where `-m oracle` asks for the peers and one of them is missing."""
    report = yield
    if report.skipped and item.config.option.markexpr == "oracle":
        report.outcome = "failed"
    return report


def pytest_sessionfinish() -> None:
    """End what tests have shared."""
    if (opened := sys.modules.get("browser")) is not None:
        opened.stop_browser()
    if (forked := sys.modules.get("warm_kernels")) is not None:
        forked.stop()


def _chromium() -> str | None:
    from vcviz.headless.outputs import find_browser

    return find_browser()


@pytest.fixture(autouse=True)
def _same_draws() -> None:
    """Every test starts from the same random state, whichever ran before it."""
    import torch

    torch.manual_seed(0)


@pytest.fixture
def warm_kernels() -> Iterator[None]:
    """Run the notebooks of a test in kernels that have imported torch and the like already."""
    from warm_kernels import warm

    with warm():
        yield


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The runs of the notebooks at their own parameters; processes of one session share them."""
    from story import Story

    base = tmp_path_factory.getbasetemp()
    return Story((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "story")


@pytest.fixture
def chromium() -> str:
    """Path of the browser; for tests marked `browser`."""
    path = _chromium()
    assert path is not None, "mark the test with pytest.mark.browser"
    return path


@pytest.fixture
def data_folder() -> Path:
    """Folder of Parquet datasets; for tests marked `data`."""
    return Path(os.environ["VCVIZ_DATA"])


@pytest.fixture
def rng() -> np.random.Generator:
    """NumPy generator with a fixed seed."""
    return np.random.default_rng(0)


@pytest.fixture
def generator():
    """Torch generator on the CPU with a fixed seed."""
    import torch

    return torch.Generator().manual_seed(0)


@pytest.fixture
def image_split(rng: np.random.Generator) -> Split:
    """Twelve 8×8 grey images (uint8) of three classes."""
    x = rng.integers(0, 256, (12, 1, 8, 8), dtype=np.uint8)
    return Split(x, np.arange(12) % 3, ("ant", "bee", "cat"), name="images")


@pytest.fixture
def table_split(rng: np.random.Generator) -> Split:
    """Eleven rows of five standardised columns, three classes."""
    x = rng.standard_normal((11, 5)).astype(np.float32)
    return Split(x, np.arange(11) % 3, ("ant", "bee", "cat"), name="rows")


@pytest.fixture
def text_split(rng: np.random.Generator) -> Split:
    """Ten padded sequences of up to six token ids below 50, three classes."""
    x = rng.integers(1, 50, (10, 6), dtype=np.int32)
    x[np.arange(6) >= rng.integers(2, 7, (10, 1))] = 0
    return Split(x, np.arange(10) % 3, ("ant", "bee", "cat"), name="texts")


@pytest.fixture
def tiny_model():
    """Untrained softmax classifier of `image_split` with D=2, its weights from a fixed seed."""
    import torch

    from vcviz.models.classifier import Classifier
    from vcviz.models.encoders import build_encoder
    from vcviz.models.heads import build_head

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = build_encoder("mlp", kind="image", input_shape=(1, 8, 8), latent_dim=2)
        return Classifier(encoder, build_head("softmax", latent_dim=2, n_classes=3))
