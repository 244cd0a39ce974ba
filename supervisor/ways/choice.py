"""Which way to go: through the socket where a service of ours answers there at once."""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from supervisor.settings import API_SOCKET, Locations
from supervisor.ways.way import WayLost

if TYPE_CHECKING:
    from supervisor.ways.through import SocketWay

AT_ONCE = 1.0
"""Seconds that a server has for saying that it is there: opening the database takes half of it."""


def through_the_socket(locations: Locations, environ: Mapping[str, str] = os.environ) -> "SocketWay | None":
    """None where nobody answers, or somebody who serves another database. Raises nothing."""
    if not _is_there(locations.api_socket):
        return None
    # Together as much as all else that a submit imports, so only where somebody may answer.
    from supervisor.ways.exchange import Exchange  # noqa: PLC0415
    from supervisor.ways.sameness import is_served  # noqa: PLC0415
    from supervisor.ways.through import SocketWay  # noqa: PLC0415

    exchange = Exchange(locations.api_socket, _token(environ.get("ASYNCWORKER_TOKEN_FILE")))
    try:
        answer = exchange.ask("GET", "/healthz", within=AT_ONCE)
    except WayLost as lost:
        aside(f"{API_SOCKET} does not answer: {lost}")
        return None
    if answer.status == 200 and is_served(locations, answer.headers):
        return SocketWay(exchange)
    exchange.close()
    aside(f"{API_SOCKET} serves another database or other job types (status {answer.status})")
    return None


def aside(sentence: str) -> None:
    """For whoever looks for mistakes; everybody else gets the same answer either way."""
    import logging  # noqa: PLC0415  (seldom)

    logging.getLogger("asyncworker").debug(sentence)


def _is_there(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def _token(file: str | None) -> str | None:
    """As the server reads it. Without one that can be read, a server that wants one is left alone."""
    try:
        return Path(file).read_bytes()[:4096].strip().decode("ascii") or None if file else None
    except (OSError, ValueError):
        return None
