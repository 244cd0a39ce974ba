"""Where TCP is listened on: HOST:PORT, what it stands for, and whether other machines reach it."""

import ipaddress
import socket
from dataclasses import dataclass
from typing import Self

from supervisor.errors import InvalidConfiguration


class UnknownHost(InvalidConfiguration):
    """The host of an address is not known."""


@dataclass(frozen=True, slots=True)
class Address:
    """As the user wrote it."""

    host: str
    """A name, or an address without brackets."""
    port: int
    """0: any that is free."""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """HOST:PORT; a host with colons stands in brackets. Raises InvalidConfiguration."""
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

    def places(self, *, with_token: bool) -> list[tuple[socket.AddressFamily, str]]:
        """The IP addresses that the host stands for; localhost often stands for two.

        Raises UnknownHost; InvalidConfiguration where other machines could reach one and there is no token.
        """
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:
            raise UnknownHost(f"the host of {self} is not known: {error}") from error
        wanted = (socket.AF_INET, socket.AF_INET6)
        places: list[tuple[socket.AddressFamily, str]]
        places = [*dict.fromkeys((family, str(at[0])) for family, *_, at in found if family in wanted)]
        if not with_token and not all(ipaddress.ip_address(ip).is_loopback for _, ip in places):
            raise InvalidConfiguration(
                f"{self} can be reached from other machines, so it needs a token: --token-file FILE"
            )
        return places
