"""What the http server runs with: environment variables, as the supervisor's own settings come."""

import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from supervisor.errors import InvalidConfiguration
from supervisor.settings import Locations, LogFormat, Settings

_LONGEST_TOKEN_FILE = 4096


@dataclass(frozen=True, slots=True)
class Address:
    """Where TCP is listened on, as the user wrote it."""

    host: str
    """A name, or an address without brackets."""
    port: int
    """0: any that is free."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """HOST:PORT; a host with colons stands in brackets."""
        host, colon, port = text.rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            colon = ""
        good = colon and host and port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536
        if not good or not host.isascii() or any(character in host for character in " /@[]"):
            raise InvalidConfiguration(
                f"the address {text!r} is not HOST:PORT, such as 127.0.0.1:5000 or [::1]:5000"
            )
        return cls(host.lower(), int(port))


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


def read_token(path: Path, exposed: Callable[[Path], None]) -> str:
    """One line of visible ASCII. Raises InvalidConfiguration."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(_LONGEST_TOKEN_FILE)
    except OSError as error:
        raise InvalidConfiguration(f"the token file {path} cannot be read: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        exposed(path)
    token = content.strip()
    if not token or not all(0x21 <= byte <= 0x7E for byte in token):
        raise InvalidConfiguration(f"the token file {path} must hold one word of visible ASCII characters")
    return token.decode("ascii")
