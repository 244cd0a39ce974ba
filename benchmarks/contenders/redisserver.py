"""A Redis of our own: on a free port of the loopback, without persistence, gone afterwards."""

import shutil
import socket

from benchmarks.contenders.driving import Started, until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(started: Started) -> tuple[int, str]:
    """Its pid and URL."""
    program = shutil.which("redis-server")
    if program is None:
        raise FileNotFoundError("redis-server is not installed")
    port = free_port()
    settings = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    pid = started.run("redis", [program, *settings, "--dir", str(started.folder)])
    until(lambda: _listens(port), "Redis")
    return pid, f"redis://127.0.0.1:{port}/0"


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
