"""What is put off comes when it is called, and is then what it would have been."""

import sys

import jsonschema
import pytest

from vcviz.base.late import put_off


@pytest.fixture
def dear(tmp_path, monkeypatch):
    """A package that says when it is imported."""
    (tmp_path / "dear").mkdir()
    (tmp_path / "dear" / "__init__.py").write_text(
        "import sys\nsys.imported = True\nBOUGHT = 3\n"
        "def price(n, *, each=2):\n    return n * each\n"
    )
    (tmp_path / "dear" / "more.py").write_text("LEFT = 4\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "imported", False, raising=False)
    yield
    for name in [name for name in sys.modules if name.split(".")[0] == "dear"]:
        del sys.modules[name]


def test_a_function_is_imported_when_it_is_called(dear):
    put_off("dear", "price")
    from dear import price

    assert not sys.imported
    assert price(3, each=5) == 15
    assert sys.imported
    from dear import price as real

    assert real is not price
    assert price(1) == real(1) == 2


def test_whatever_else_is_asked_for_is_there(dear):
    put_off("dear", "price")
    import dear as late

    assert late.BOUGHT == 3
    with pytest.raises(AttributeError, match="nothing"):
        late.nothing  # noqa: B018
    from dear.more import LEFT

    assert LEFT == 4


def test_what_is_there_or_nowhere_is_left_alone(dear):
    import dear as real

    put_off("dear", "price")
    put_off("no_such_module", "price")
    assert sys.modules["dear"] is real
    assert "no_such_module" not in sys.modules


def test_addresses_are_checked_as_before():
    checker = jsonschema.FormatChecker(["iri"])
    address = jsonschema.Draft202012Validator({"format": "iri"}, format_checker=checker)
    assert address.is_valid("https://example.org/été")
    assert not address.is_valid("no address")
