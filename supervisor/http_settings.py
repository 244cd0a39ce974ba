"""What the http server runs with: environment variables, as the supervisor's own settings come.

Its supervisor reads them first, so that a mistake is told before anything is started. Nothing here knows a
web framework: that is a second of imports, which the supervisor has no use for.
"""

import os
import stat
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from supervisor.addresses import Address, UnknownHost
from supervisor.errors import InvalidConfiguration
from supervisor.settings import Locations, LogFormat, Settings

_LONGEST_TOKEN_FILE = 4096


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Frozen at the start; a new token wants a new process."""

    locations: Locations
    address: Address | None
    """None: only the socket in the state folder."""
    token: str | None = field(repr=False)
    log_format: LogFormat

    @classmethod
    def from_environment(
        cls, exposed: Callable[[Path], None], environ: Mapping[str, str] = os.environ
    ) -> Self:
        """`exposed` hears of a token file that others may read. Raises InvalidConfiguration."""
        common = Settings.from_environment(environ)
        address, file = environ.get("ASYNCWORKER_HTTP"), environ.get("ASYNCWORKER_TOKEN_FILE")
        return cls(
            locations=common.locations,
            address=Address.parse(address) if address else None,
            token=read_token(Path(file), exposed) if file else None,
            log_format=common.log_format,
        )


def check(environ: Mapping[str, str] = os.environ) -> None:
    """Raises InvalidConfiguration for what no later attempt of the http server can put right.

    A port in use and a name that nobody knows are left to it: the one may be free soon, the other known.
    """
    settings = HttpSettings.from_environment(lambda _: None, environ)
    if settings.address is not None and settings.token is None:
        with suppress(UnknownHost):
            settings.address.places(with_token=False)


def read_token(path: Path, exposed: Callable[[Path], None]) -> str:
    """One word of visible ASCII. Raises InvalidConfiguration."""
    try:
        with open(path, "rb", opener=_at_once) as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_TOKEN_FILE) or b""
    except OSError as error:
        raise InvalidConfiguration(f"the token file {path} cannot be read: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        exposed(path)
    token = content.strip()
    if not token or not all(0x21 <= byte <= 0x7E for byte in token):
        raise InvalidConfiguration(f"the token file {path} must hold one word of visible ASCII characters")
    return token.decode("ascii")


def _at_once(path: str, flags: int) -> int:
    """Opening a named pipe waits, otherwise, until somebody writes there."""
    return os.open(path, flags | os.O_NONBLOCK)
