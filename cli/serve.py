"""asyncworker serve: this process becomes the service."""

import os
import sys

import click

from cli.options import duration, keep_options, option, verb
from supervisor.settings import Locations
from supervisor.units import spoken


@verb("serve")
@option(
    "--drain-timeout",
    type=duration,
    metavar="DURATION",
    help="How long running jobs may go on after SIGTERM; default 30s.",
)
@option("--log-format", type=click.Choice(["text", "json"]), help="Of the service's own log; default text.")
@option(
    "--http",
    metavar="HOST:PORT",
    default="127.0.0.1:5000",
    show_default=True,
    help="Where REST is served, beside api.sock in the state folder.",
)
@option("--no-http", is_flag=True, help="REST on api.sock only.")
@option(
    "--token-file",
    metavar="FILE",
    type=click.Path(),
    help="What callers of REST must send as a bearer token.",
)
@keep_options
def serve(
    at: Locations,
    drain_timeout: float | None,
    log_format: str | None,
    http: str,
    token_file: str | None,
    *,
    no_http: bool,
    **keep: float,
) -> None:
    """Run the service in the foreground."""
    given = {
        "STATE_DIR": str(at.state_dir),
        "CONFIG": str(at.config),
        "DATABASE": at.database,
        "DRAIN_TIMEOUT": None if drain_timeout is None else spoken(drain_timeout),
        "LOG_FORMAT": log_format,
        "HTTP": "" if no_http else http,
        "TOKEN_FILE": token_file and os.path.abspath(token_file),
        **{name.upper(): spoken(time) for name, time in keep.items()},
    }
    os.environ.update({f"ASYNCWORKER_{name}": value for name, value in given.items() if value is not None})
    sys.stdout.flush()
    sys.stderr.flush()
    # This interpreter, not the console script's name: it would be imported again in every child.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "supervisor"])  # noqa: S606  no shell is the point
