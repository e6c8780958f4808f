"""What JupyterLab or an app is asked to open beyond this machine and its token."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

_OFF = ("", "''", '""', "none", "false")
_ON = ("", "true", "1", "yes")


def is_local(host: str) -> bool:
    """Return whether a host's name or address is this machine's own loopback."""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def is_local_address(address: str) -> bool:
    """Return whether an address such as ``tcp://127.0.0.1:8786`` is on this machine."""
    try:
        return is_local(
            urlsplit(address if "://" in address else f"tcp://{address}").hostname or ""
        )
    except ValueError:
        return False


def open_doors(arguments: Sequence[str]) -> list[str]:
    """Return one line for each argument to a server that lets others in."""
    said = []
    for name, value in _pairs(arguments):
        # --ServerApp.token, --IdentityProvider.token and --LabApp.token mean one thing.
        option = name.lstrip("-").rsplit(".", 1)[-1].replace("-", "_")
        off = value.lower() in _OFF
        if option == "ip" and not is_local(value):
            said.append(
                f"it listens at {value or 'every address'}, not only on this machine: whoever has "
                "its token can run code as you; leave out --ip, or reach it through ssh -L"
            )
        elif option in ("token", "password") and off:
            said.append(
                f"it asks for no {option}: every program and every user of this machine may then "
                f"run code as you; leave out {name}"
            )
        elif (option == "allow_origin" and value == "*") or (
            option in ("allow_remote_access", "disable_check_xsrf", "allow_unauthenticated_access")
            and value.lower() in _ON
        ):
            said.append(f"{name} lets pages of others talk to it; leave it out")
    return said


def _pairs(arguments: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Yield names and values of ``--name=value`` and ``--name value``."""
    for place, argument in enumerate(arguments):
        if argument.startswith("--"):
            name, equals, value = argument.partition("=")
            following = arguments[place + 1 : place + 2]
            if not equals and following and not following[0].startswith("--"):
                value = following[0]
            yield name, value.strip()
