"""asyncworker version."""

from cli.options import verb
from cli.output import say
from supervisor.settings import Locations


@verb("version")
def version(at: Locations) -> None:  # noqa: ARG001  (every verb takes the places)
    """Print the version."""
    from importlib import metadata  # noqa: PLC0415  (30 ms that other verbs need not pay)

    say(f"asyncworker {metadata.version('asyncworker')}")
