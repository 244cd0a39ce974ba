"""From places to a client: the one import that brings the database with it."""

from typing import TYPE_CHECKING

from supervisor.settings import Locations

if TYPE_CHECKING:
    from supervisor.client import Client


def connect(at: Locations) -> "Client":
    """A client for these places; nothing is opened before it is used."""
    from supervisor.client import Client  # noqa: PLC0415  (SQLAlchemy costs what five other commands do)

    return Client(at.state_dir, at.config, at.database)
