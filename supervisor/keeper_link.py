"""Start the keeper, speak with it, notice its death."""

import signal
import socket
import subprocess
import sys
from collections.abc import Mapping

from workers.channel import Channel
from workers.frames import BrokenStream, Frame
from workers.trees import COOKIE


class KeeperLink:
    """One keeper process and the inherited socketpair to it. There is no named socket a job could talk to."""

    def __init__(self, number: int, owner: str, environment: Mapping[str, str], lifeline: int) -> None:
        """Start it; it shares the lifeline. Raises OSError where that cannot be done now."""
        self.number = number
        self.cookie = f"{owner}:{number}"
        """Marks everything that this keeper starts, so that what it leaves can be found."""
        mark = f"{COOKIE}={self.cookie}"
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                # Its own session: a Ctrl-C in our terminal is ours to act on.
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "workers.keeper", str(theirs.fileno()), str(lifeline), mark],
                    pass_fds=[theirs.fileno(), lifeline],
                    stdin=subprocess.DEVNULL,
                    env={**environment, COOKIE: self.cookie},
                    cwd="/",
                    start_new_session=True,
                )
            except OSError:
                ours.close()
                raise
        self._channel = Channel(ours.detach())

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lost(self) -> bool:
        """True once it is dead, or deaf."""
        return self._channel.closed

    @property
    def has_unsent(self) -> bool:
        return self._channel.has_unsent

    def fileno(self) -> int:
        return self._channel.fileno()

    def receive(self) -> list[Frame]:
        """What it says, a bounded portion of it."""
        if self._channel.closed:
            return []
        try:
            return self._channel.receive()
        except BrokenStream:  # only a defect of ours: treated like its death
            self._channel.closed = True
            return []

    def flush(self) -> None:
        self._channel.flush()

    def preload(self, targets: list[str], import_paths: list[str]) -> None:
        self._channel.send({"op": "preload", "targets": targets, "import_paths": import_paths})

    def ping(self) -> None:
        """Ask for a pong."""
        self._channel.send({"op": "ping"})

    def start(self, child: int) -> None:
        self._channel.send({"op": "start", "child": child})

    def assign(self, child: int, job: Frame, grace: float, directory: str | None) -> None:
        self._channel.send(
            {"op": "assign", "child": child, "job": job, "grace": grace, "directory": directory}
        )

    def dismiss(self, child: int) -> None:
        self._channel.send({"op": "dismiss", "child": child})

    def terminate(self, child: int, reason: str, grace: float) -> None:
        self._channel.send({"op": "terminate", "child": child, "reason": reason, "grace": grace})

    def sweep(
        self,
        owner: str,
        children: list[list[int | None]],
        strays: list[list[int | None]],
        patience: float,
        silent: float | None = None,
    ) -> None:
        whom = {"owner": owner, "children": children, "strays": strays}
        self._channel.send({"op": "sweep", **whom, "patience": patience, "silent": silent})

    def discard(self, directory: str) -> None:
        self._channel.send({"op": "discard", "directory": directory})

    def close(self) -> None:
        """Hang up: the keeper then ends everything it has, and itself."""
        self._channel.close()

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)

    def reaped(self) -> bool:
        """True once the process is gone and collected."""
        return self._process.poll() is not None

    def wait(self, seconds: float) -> bool:
        """Wait for its end after `close`; False where it takes longer."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True
