"""From places to a client, who finds the way."""

from typing import TYPE_CHECKING

from cli.failures import debugging
from supervisor.settings import Locations

if TYPE_CHECKING:
    from supervisor.client import Client


def connect(at: Locations) -> "Client":
    """A client for these places; nothing is opened before it is used."""
    from supervisor.client import Client  # noqa: PLC0415  (for the verbs that need one)

    if debugging():
        _listen()
    return Client(at.state_dir, at.config, at.database)


def _listen() -> None:
    """Which way the client goes, and why, onto standard error."""
    import logging  # noqa: PLC0415  (for whoever looks for mistakes)

    logger = logging.getLogger("asyncworker")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler())
    logger.setLevel(logging.DEBUG)
