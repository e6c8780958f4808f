from __future__ import annotations

import json
import re
import sys
import urllib.request
from pathlib import Path

import pytest
from browser import open_page
from lab_browser import served
from tiny_notebooks import save, text

from vcviz.base.errors import InputError
from vcviz.cli import main
from vcviz.headless import lab
from vcviz.headless.kernels import SameInterpreter
from vcviz.headless.lab import app_command, copy_notebooks, lab_command
from vcviz.headless.lab.origins import is_local_address, open_doors
from vcviz.studies.sweeps import sweep


@pytest.fixture
def ours(tmp_path, monkeypatch) -> Path:
    """Two notebooks in place of the project's own."""
    folder = tmp_path / "ours"
    folder.mkdir()
    for name in ("one", "tour"):
        save(folder / f"{name}.ipynb", text(f"# {name}, first version"))
    monkeypatch.setattr(
        lab, "list_notebooks", lambda: {p.stem: p for p in sorted(folder.glob("*.ipynb"))}
    )
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in sorted(folder.glob("*.ipynb"))}


def test_notebooks_are_copied_and_a_second_time_nothing_changes(ours, tmp_path):
    mine = tmp_path / "new" / "mine"
    assert copy_notebooks(mine) == []
    assert contents(mine) == contents(ours)
    stamp = (mine / "one.ipynb").stat().st_mtime_ns
    assert copy_notebooks(mine) == []
    assert contents(mine) == contents(ours)
    assert (mine / "one.ipynb").stat().st_mtime_ns == stamp


def test_a_newer_version_replaces_only_what_nobody_changed(ours, tmp_path):
    mine = tmp_path / "mine"
    copy_notebooks(mine)
    save(mine / "one.ipynb", text("# one, with my notes"))
    changed = (mine / "one.ipynb").read_bytes()
    assert copy_notebooks(mine) == []  # ours did not change: there is nothing to say
    assert contents(mine)["one.ipynb"] == changed

    for path in ours.glob("*.ipynb"):
        save(path, text(f"# {path.stem}, second version"))
    (said,) = copy_notebooks(mine)
    assert re.search(r"one.ipynb was changed and is kept; the newer one is one.new.ipynb", said)
    after = contents(mine)
    assert after["one.ipynb"] == changed
    assert after["one.new.ipynb"] == contents(ours)["one.ipynb"]
    assert after["tour.ipynb"] == contents(ours)["tour.ipynb"]
    assert copy_notebooks(mine) == []


def test_a_file_that_was_there_before_is_kept(ours, tmp_path):
    mine = tmp_path / "mine"
    mine.mkdir()
    save(mine / "one.ipynb", text("# something else"))
    before = contents(mine)["one.ipynb"]
    assert len(copy_notebooks(mine)) == 1
    assert contents(mine)["one.ipynb"] == before


def test_a_deleted_copy_comes_back(ours, tmp_path):
    copy_notebooks(tmp_path / "mine")
    (tmp_path / "mine" / "one.ipynb").unlink()
    copy_notebooks(tmp_path / "mine")
    assert contents(tmp_path / "mine") == contents(ours)


def test_notebooks_in_a_folder_stay_in_it(tmp_path, monkeypatch):
    source = save(tmp_path / "first.ipynb", text("# first version"))
    monkeypatch.setattr(lab, "list_notebooks", lambda: {"course/01_a": source})
    mine = tmp_path / "mine"
    assert copy_notebooks(mine) == []
    copy = mine / "course" / "01_a.ipynb"
    assert copy.read_bytes() == source.read_bytes()
    save(copy, text("# with my answers"))
    save(source, text("# second version"))
    (said,) = copy_notebooks(mine)
    assert "01_a.new.ipynb" in said
    assert (mine / "course" / "01_a.new.ipynb").read_bytes() == source.read_bytes()
    command = lab_command(mine, first="course/01_a")
    assert "--LabApp.default_url=/lab/tree/course/01_a.ipynb" in command


def test_a_folder_that_cannot_be_written_to_is_one_line(ours, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot copy the notebooks to .*: Not a directory"):
        copy_notebooks(tmp_path / "file" / "mine")


def test_the_command_serves_the_current_folder_with_this_interpreter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = lab_command("mine", port=1234, browser=False, extra=["--debug"])
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab/tree/mine/tour.ipynb" in command
    assert {"--ip=127.0.0.1", "--port=1234", "--no-browser", "--debug"} <= set(command)
    assert not any("token" in part for part in command)  # Jupyter's own protection stays
    elsewhere = lab_command(tmp_path.parent / "elsewhere")
    assert f"--ServerApp.root_dir={tmp_path.parent / 'elsewhere'}" in elsewhere
    assert "--LabApp.default_url=/lab/tree/tour.ipynb" in elsewhere


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--ip=0.0.0.0"], "it listens at 0.0.0.0, not only on this machine"),
        (["--ip", "*"], r"it listens at \*, not only"),
        (["--ServerApp.ip="], "it listens at every address"),
        (["--ServerApp.ip=192.168.1.7"], "it listens at 192.168.1.7"),
        (["--IdentityProvider.token="], "it asks for no token"),
        (["--ServerApp.token", "''"], "it asks for no token"),
        (["--ServerApp.password="], "it asks for no password"),
        (["--ServerApp.allow_origin=*"], "lets pages of others talk to it"),
        (["--ServerApp.disable_check_xsrf=True"], "lets pages of others talk to it"),
        (["--ServerApp.allow_remote_access=1"], "lets pages of others talk to it"),
    ],
)
def test_what_lets_others_in_is_said_before_it_starts(
    tmp_path, monkeypatch, capsys, arguments, said
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lab, "list_notebooks", dict)
    monkeypatch.setattr(lab, "start", lambda command, environment=None: 0)
    with pytest.raises(SystemExit, match="0"):
        main(["lab", "--no-browser", "--", *arguments])
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"vcviz: warning: .*{said}", line)


def test_what_stays_on_this_machine_needs_no_word():
    quiet = ["--ip=127.0.0.1", "--ServerApp.ip", "localhost", "--ip=::1", "--debug"]
    assert (
        open_doors([*quiet, "--ServerApp.token=abc", "--ServerApp.allow_origin=https://a.b"]) == []
    )
    assert open_doors([]) == []
    here = ["tcp://127.0.0.1:8786", "localhost:8786", "tcp://[::1]:8786", "tls://127.0.0.2:1"]
    assert all(map(is_local_address, here))
    there = ["tcp://10.0.0.3:8786", "head-node:8786", "tcp://127.0.0.1.evil.org:1", "", "tcp://["]
    assert not any(map(is_local_address, there))


@pytest.mark.parametrize(
    ("address", "said"), [("tcp://10.0.0.3:8786", 1), ("tls://10.0.0.3:1", 0), ("127.0.0.1:1", 0)]
)
def test_a_scheduler_elsewhere_is_said(tmp_path, monkeypatch, capsys, address, said):
    def silent(*_, **__):
        raise TimeoutError("no answer")

    monkeypatch.setattr("distributed.Client", silent)
    with pytest.raises(InputError, match="no Dask scheduler answers"):
        sweep({"seed": [0]}, out=tmp_path, scheduler=address, progress=False)
    assert capsys.readouterr().err.count("is not on this machine") == said


def test_an_app_stays_on_this_machine_too(ours, tmp_path):
    pytest.importorskip("voila")
    copy_notebooks(tmp_path / "mine")
    assert "--Voila.ip=127.0.0.1" in app_command("one", tmp_path / "mine")


def test_python3_is_this_interpreter_whatever_is_registered(tmp_path, monkeypatch):
    for name in ("python3", "other"):
        folder = tmp_path / "kernels" / name
        folder.mkdir(parents=True)
        spec = {"argv": ["/bin/false"], "display_name": name, "language": "python"}
        (folder / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    specs = SameInterpreter()
    assert specs.get_kernel_spec("python3").argv[0] == sys.executable
    assert specs.get_kernel_spec("other").argv == ["/bin/false"]
    assert {"python3", "other"} <= specs.get_all_specs().keys()


@pytest.mark.browser
def test_jupyterlab_opens_and_runs_a_notebook_where_it_was_started(tmp_path, chromium):
    copies = tmp_path / "vcviz-notebooks"
    copies.mkdir()
    cell = "import os, sys, vcviz\nprint('python', sys.executable)\nprint('folder', os.getcwd())"
    save(copies / "tour.ipynb", text("# Mine, kept"), cell)
    with served(tmp_path) as address, open_page(chromium, address) as (page, watch):
        page.get_by_text("(ipykernel) | Idle").wait_for(timeout=180_000)
        page.locator('.lm-MenuBar-itemLabel:text-is("Run")').click()
        page.locator('.lm-Menu-itemLabel:text-is("Run All Cells")').click()
        output = page.locator(".jp-OutputArea-output", has_text="folder")
        output.wait_for(timeout=180_000)
        assert output.inner_text().split() == ["python", sys.executable, "folder", str(tmp_path)]
        assert watch.requests == []
        assert page.get_by_text("Would you like to").count() == 0
        token = re.search(r"token=\w+", address).group()
        base = address.split("/lab")[0]
        specs = json.load(urllib.request.urlopen(f"{base}/api/kernelspecs?{token}"))
        assert specs["kernelspecs"]["python3"]["spec"]["argv"][0] == sys.executable
    assert (copies / "calibration.ipynb").exists()
    assert (copies / "tour.new.ipynb").exists()
