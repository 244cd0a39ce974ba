"""asyncworker serve: this process becomes the service."""

import os
import sys

import click

from cli.options import duration, option, verb
from supervisor.settings import Locations


@verb("serve")
@option(
    "--drain-timeout",
    type=duration,
    metavar="DURATION",
    help="How long running jobs may go on after SIGTERM; default 30s.",
)
@option("--log-format", type=click.Choice(["text", "json"]), help="Of the service's own log; default text.")
@option("--no-http", is_flag=True, help="Without REST and pages.")
def serve(at: Locations, drain_timeout: float | None, log_format: str | None, *, no_http: bool) -> None:
    """Run the service in the foreground."""
    given = {
        "STATE_DIR": str(at.state_dir),
        "CONFIG": str(at.config),
        "DATABASE": at.database,
        "DRAIN_TIMEOUT": None if drain_timeout is None else repr(drain_timeout),
        "LOG_FORMAT": log_format,
        "NO_HTTP": "1" if no_http else None,
    }
    os.environ.update({f"ASYNCWORKER_{name}": value for name, value in given.items() if value is not None})
    sys.stdout.flush()
    sys.stderr.flush()
    # This interpreter, not the console script's name: it would be imported again in every child.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "supervisor"])  # noqa: S606  no shell is the point
