"""Datasets of the Hub: downloaded, cached, absent, and out of reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vcviz.base.errors import InputError
from vcviz.data import load_data


@pytest.fixture(scope="module")
def attempts(tmp_path_factory):
    """Return what a process of its own said about a Hub that goes away; see `fake_hub`."""
    hidden = ("HF_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
    env = {k: v for k, v in os.environ.items() if not k.upper().startswith(hidden)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.fake_hub"],
        env={**env, "HF_HOME": str(tmp_path_factory.mktemp("hub"))},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr.strip()
    names = ("online", "absent", "cached", "unreachable", "revision")
    return dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))


def test_a_dataset_is_downloaded_and_read(attempts):
    assert attempts["online"]["rows"] == [12, 6]
    assert attempts["online"]["name"] == "tiny train"


def test_a_dataset_that_does_not_exist_is_missing(attempts):
    assert attempts["absent"]["error"] == "MissingError"
    assert attempts["absent"]["message"].startswith("hub:owner/absent: ")


def test_the_cache_serves_when_the_hub_is_gone(attempts):
    assert attempts["cached"]["rows"] == [12, 6]


def test_out_of_reach_and_not_cached_is_said_at_once(attempts):
    for name, message in (
        ("unreachable", "hub:owner/absent is not in the cache and the Hub cannot be reached"),
        ("revision", "hub:owner/tiny at revision 'v2' cannot be checked"),
    ):
        assert attempts[name]["error"] == "MissingError"
        assert attempts[name]["message"].startswith(message)
        assert attempts[name]["seconds"] < 5


def test_a_folder_of_the_same_name_is_not_mistaken_for_the_hub(tmp_path, monkeypatch):
    (tmp_path / "owner" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="the folder 'owner/tiny' here hides the Hub dataset"):
        load_data("hub:owner/tiny")
