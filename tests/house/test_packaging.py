"""The ways to install vcviz say the same thing."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def constraints() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(pin.name): pin for pin in pins}


def requirements(extra: str | None = None) -> list[Requirement]:
    lists = PROJECT["optional-dependencies"]
    return [Requirement(r) for r in (lists[extra] if extra else PROJECT["dependencies"])]


@pytest.mark.parametrize("extra", [None, "test", "docs", "export", "voila"])
def test_every_requirement_is_pinned_within_its_range(extra: str | None) -> None:
    pins = constraints()
    for requirement in requirements(extra):
        name = canonicalize_name(requirement.name)
        assert name in pins, f"constraints.txt lacks {name}"
        version = str(pins[name].specifier).removeprefix("==")
        assert requirement.specifier.contains(version), f"{pins[name]} is outside {requirement}"


def test_constraints_are_exact_and_without_local_builds() -> None:
    for pin in constraints().values():
        assert re.fullmatch(r"==[0-9][0-9A-Za-z.]*", str(pin.specifier)), pin


def test_environment_yml_installs_the_same_thing() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    python, pip = environment["dependencies"][0], environment["dependencies"][-1]["pip"]
    assert python == f"python{PROJECT['requires-python']}"
    assert pip == ["-c constraints.txt", "-e .[test,export,voila]"]


@pytest.mark.parametrize(("what", "runs"), [("test", "pytest"), ("docs", "sphinx -W docs")])
def test_ci_runs_the_commands_of_the_readme(what: str, runs: str) -> None:
    readme = (ROOT / "README.md").read_text()
    (command,) = re.findall(
        rf"<!-- {what} command -->\s*```\w*\n(.+?)\n```\s*<!-- end -->", readme, re.S
    )
    assert runs in command
    assert "-c constraints.txt" in command
    script = (ROOT / ".ci" / "run").read_text()
    assert "<!-- $what command -->" in script
    assert what in re.search(r"for what in (.+);", script)[1].split()


def test_readme_begins_with_the_tour() -> None:
    first = re.search(r"```sh\n(.+?)\n```", (ROOT / "README.md").read_text(), re.S)
    assert first[1].startswith("python3 -m venv .venv")
    assert first[1].endswith(".venv/bin/vcviz tour")
