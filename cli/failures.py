"""What went wrong, as one sentence on standard error and an exit code: never a traceback unless asked for."""

import os
import traceback

import click

from cli.harmless import harmless, one_line
from supervisor.errors import AsyncWorkerError

INTERRUPTED = 130


def report(error: BaseException) -> int:
    """Say what happened, and give the exit code for it."""
    if debugging() and not isinstance(error, click.ClickException | click.Abort):
        traceback.print_exception(error)
    if isinstance(error, click.ClickException):
        _say(_usage(error))
        return error.exit_code
    if isinstance(error, click.Abort | KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, AsyncWorkerError):
        _say(str(error))
        return error.exit_code
    message = one_line(str(error))
    _say(
        f"{type(error).__name__}{': ' if message else ''}{message}; "
        "run with ASYNCWORKER_DEBUG=1 to see the traceback"
    )
    return 1


def _say(sentence: str) -> None:
    click.echo(f"Error: {harmless(sentence)}", err=True)


def _usage(error: click.ClickException) -> str:
    message = error.format_message()
    context = getattr(error, "ctx", None)
    return message if context is None else f"{message} Try: {context.command_path} --help"


def debugging() -> bool:
    return os.environ.get("ASYNCWORKER_DEBUG", "") not in ("", "0")
