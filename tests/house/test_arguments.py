"""A wrong record is refused in one line by every public function that takes one."""

from __future__ import annotations

import inspect

import pytest
from front_doors import public

import vcviz
from vcviz.base.arguments import SOURCES, _kinds, takes_records
from vcviz.base.errors import InputError


def records_of(function) -> list[str]:
    """Return the parameters of a function that take nothing but records."""
    function = inspect.unwrap(function)
    return [
        name
        for name, kind in function.__annotations__.items()
        if name != "return" and _kinds(kind, function)
    ]


FUNCTIONS = {
    name: value
    for name, value in public().items()
    if inspect.isfunction(value) and records_of(value)
}


@pytest.mark.parametrize("wrong", [3, ["x"], object()], ids=["number", "list", "object"])
@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_what_is_no_record_is_refused_in_a_line(name: str, wrong: object) -> None:
    function = FUNCTIONS[name]
    for record in records_of(function):
        required = {
            p.name: wrong
            for p in inspect.signature(function).parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        }
        with pytest.raises(InputError, match=r", got \w+") as refused:
            function(**required | {record: wrong})
        assert "\n" not in str(refused.value)


def test_most_functions_are_tried() -> None:
    assert len(FUNCTIONS) > 60
    assert {"vcviz.plot_latents", "vcviz.empirical_prior", "vcviz.summarise"} <= FUNCTIONS.keys()


def test_what_comes_from_where_is_said_and_the_rest_passes_through() -> None:
    lat = vcviz.LatentSet([[0.0], [1.0]], [[-0.69, -0.7]] * 2, [0, 1])
    curve = vcviz.reliability_curve(lat, resamples=0)
    assert vcviz.plot_reliability([curve]).data
    assert takes_records(vcviz.metrics.class_accuracy)(lat=lat).accuracy.shape == (2,)
    with pytest.raises(InputError, match=r"^curves must be a ReliabilityCurve or a list of Rel.+, "
                       r"got LatentSet; see vcviz.reliability_curve$"):  # fmt: skip
        vcviz.plot_reliability([curve, lat])
    with pytest.raises(InputError, match=r"^prior must be a LatentPrior, got LatentSet; of a run"):
        vcviz.plot_latents(lat, lat)
    with pytest.raises(TypeError, match="missing 1 required"):
        vcviz.plot_latents()


def test_every_source_names_what_is_there() -> None:
    for record, source in SOURCES.items():
        assert hasattr(vcviz.records, record) or record == "Run"
        for word in source.replace("(", " ").replace(",", " ").split():
            if word.startswith("vcviz."):
                place = vcviz
                for part in word.split(".")[1:]:
                    place = getattr(place, part)
