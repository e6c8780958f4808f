"""What nobody asked for is kept with a run: its model does not change when a default does."""

import json
import shutil
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch

import vcviz
from vcviz.models.encoders import ENCODERS
from vcviz.models.heads import HEADS
from vcviz.models.heads.heteroscedastic import HeteroscedasticHead
from vcviz.models.laws import LAWS
from vcviz.models.options import options_of
from vcviz.runs.settings import build_model, stated, unstated

DATA = {"input_shape": [1, 16, 16], "class_names": ["a", "b", "c"], "n_tokens": 20}
LAW = [{"head": "variational", "head_options": {"law": name}} for name in LAWS]


@pytest.mark.parametrize(
    "settings",
    [
        *({"head": name} for name in HEADS),
        *LAW,
        *({"encoder": name} for name in ENCODERS),
        {"head": "gaussian_mixture", "head_options": {"law_options": {"initial_means": "he"}}},
        {"head": "variational", "preset": "paper"},
    ],
    ids=str,
)
def test_what_a_config_leaves_out_stated_is_the_same_model(settings):
    config = vcviz.RunConfig(**settings)
    data = DATA | {"kind": "text" if config.encoder == "text" else "image"}
    whole = stated(config, data, unstated(config, data))
    weights = []
    for each in (config, whole):
        torch.manual_seed(0)
        weights.append(build_model(each, data).state_dict())
    assert weights[0].keys() == weights[1].keys()
    for name, value in weights[0].items():
        assert torch.equal(value, weights[1][name]), name
    assert set(options_of(HEADS[config.head])) - {"law_options"} <= set(whole.head_options)
    assert unstated(whole, data) == {"encoder_options": {}, "head_options": {}, "law_options": {}}


class OtherDefaults(HeteroscedasticHead):
    """The head as another version of vcviz may have it."""

    def __init__(self, *, temperature: float = 5.0, fresh: int = 1, **options: Any) -> None:
        super().__init__(temperature=temperature, **options)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> vcviz.Run:
    return vcviz.train(
        "mixture",
        head="heteroscedastic",
        head_options={"noise": "gumbel"},
        epochs=2,
        out=tmp_path_factory.mktemp("runs"),
        progress=False,
    )


def test_a_run_predicts_as_it_did_though_a_default_has_changed(trained, monkeypatch):
    before = trained.latents().log_probs
    monkeypatch.setitem(HEADS, "heteroscedastic", OtherDefaults)
    run = vcviz.load_run(trained.path)
    assert run.model().head.temperature == 1.0
    again = vcviz.extract_latents(run.model(), run.splits()[1], progress=False).log_probs
    np.testing.assert_allclose(again, before, atol=1e-5)


def test_an_option_that_is_no_more_is_left_out(trained, monkeypatch):
    monkeypatch.setitem(HEADS, "heteroscedastic", OtherDefaults)
    options = {"epochs": 1, "progress": False, "out": trained.path.parent}
    of_then = vcviz.train("mixture", head="heteroscedastic", seed=1, **options)
    monkeypatch.undo()
    assert of_then.record["defaults"]["head_options"]["fresh"] == 1
    assert vcviz.load_run(of_then.path).model().head.temperature == 5.0


def test_training_again_with_another_default_is_refused(trained, monkeypatch):
    monkeypatch.setitem(HEADS, "heteroscedastic", OtherDefaults)
    with pytest.raises(vcviz.InputError, match=r"other defaults.*temperature 1.0 → 5.0"):
        vcviz.train(
            "mixture",
            head="heteroscedastic",
            head_options={"noise": "gumbel"},
            epochs=2,
            out=trained.path.parent,
            progress=False,
        )


def test_a_record_without_defaults_has_those_of_now(trained, tmp_path):
    path = shutil.copytree(trained.path, tmp_path / trained.name)
    record = json.loads((path / "config.json").read_text())
    del record["defaults"]
    (path / "config.json").write_text(json.dumps(record))
    assert vcviz.load_run(path).model().head.temperature == 1.0
    record["defaults"] = {"head_options": ["temperature"]}
    (path / "config.json").write_text(json.dumps(record))
    with pytest.raises(vcviz.InputError, match=r"config.json: defaults.head_options should be"):
        vcviz.load_run(path)


def test_a_head_and_an_encoder_of_ones_own_may_be_missing(trained):
    config = trained.config.model_copy(update={"head": "mine", "encoder": "mine"})
    assert not any(unstated(config, trained.data).values())


def test_the_law_of_a_stored_run_is_read_without_torch(tmp_path):
    options = {"epochs": 1, "progress": False, "out": tmp_path}
    run = vcviz.train("mixture", head="gaussian_mixture", **options)
    read = f"vcviz.load_run({str(run.path)!r}).prior()"
    code = f"import sys, vcviz; {read}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
