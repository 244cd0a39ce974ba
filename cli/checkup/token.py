"""The token file, as `serve` reads it."""

from collections.abc import Iterator
from pathlib import Path

from cli.checkup.finding import CONFIGURATION, Finding, failure, ok
from supervisor.errors import InvalidConfiguration
from supervisor.http_settings import read_token


def problem_of(path: Path) -> str | None:
    try:
        read_token(path, lambda _: None)
    except InvalidConfiguration as error:
        return str(error)
    return None


def judge(path: Path, problem: str | None) -> Iterator[Finding]:
    """Who else may read it, is a matter of permissions."""
    if problem:
        yield failure("token file", problem, "Put one word into it, for the service's user.", CONFIGURATION)
    else:
        yield ok("token file", f"{path} holds a token")
