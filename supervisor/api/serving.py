"""What the http server is told, what it listens on, and how it ends: the exit code."""

import argparse
import os
import sys
from collections.abc import Sequence

from supervisor.api.sockets import listen_tcp, listen_unix
from supervisor.api.telling import Teller
from supervisor.errors import AsyncWorkerError, reason
from supervisor.http_settings import HttpSettings
from supervisor.journal import Event, Journal
from supervisor.settings import Settings
from workers.guard import guard_the_service


def serve(arguments: Sequence[str]) -> int:
    """Run until stopped. Mistakes are one sentence on standard error, and so is what the host refuses."""
    guard_the_service()
    given = _parse(arguments)
    try:
        return _serve(given)
    except AsyncWorkerError as error:
        sys.stderr.write(f"Error: {error}\n")
        return error.exit_code
    except (OSError, MemoryError, ImportError) as error:
        sys.stderr.write(f"Error: the http server cannot go on: {reason(error)}; it is started again\n")
        sys.stderr.flush()
        os._exit(1)  # what is half done would complain, each with a traceback, when it is cleared away


def _serve(given: argparse.Namespace) -> int:
    teller = Teller(Journal(log_format=Settings.from_environment().log_format))
    settings = HttpSettings.from_environment(lambda path: teller.say(Event.HTTP_TOKEN_EXPOSED, path=path))
    tcp = [] if settings.address is None else listen_tcp(settings.address, with_token=bool(settings.token))
    settings.locations.make_state_dir()
    listeners = [*tcp, listen_unix(settings.locations.state_dir)]
    # A mistake is told in a tenth of the time that these imports take.
    from supervisor.api.running import run  # noqa: PLC0415

    is_busy = run(settings, listeners, teller, given.parent_fd, given.ready_fd)
    teller.say(Event.HTTP_STOPPED)
    if is_busy:  # in a thread that waits for the database's lock; what it has not committed is not done
        sys.stderr.flush()
        os._exit(0)
    return 0


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -P -m supervisor.api",
        description="The http server. The supervisor starts it; settings come as ASYNCWORKER_* variables.",
    )
    parser.add_argument("--parent-fd", type=int, help="a descriptor whose end means that nobody needs us")
    parser.add_argument("--ready-fd", type=int, help="gets one line, the TCP addresses, once we listen")
    given = parser.parse_args(arguments)
    for name in ("parent_fd", "ready_fd"):
        number = getattr(given, name)
        try:
            if number is not None:
                os.set_inheritable(number, False)
        except (OSError, OverflowError):
            parser.error(f"--{name.replace('_', '-')}: {number} is not an open descriptor")
    return given
