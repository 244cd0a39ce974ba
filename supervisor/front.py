"""The http server's process: started, watched, and started again with a growing pause.

It is a client of the database like the command line. Whatever becomes of it delays no job.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress

from supervisor.asking import ANEW, ANSWER, LET_GO
from supervisor.journal import Event
from supervisor.pings import PATIENCE, Pings
from supervisor.supervision import Supervision
from workers.pipes import pipe

_SETTLED = 60.0
"""Seconds after which a death is not taken for one of a row."""
_LONGEST_PAUSE = 30.0
_STOP_SECONDS = 5.0
_LOOK_EVERY = 1.0
"""Seconds between two looks for its socket."""
_READY_WITHIN = 90.0


class FrontProcess:
    """One http server. It ends when we do: it watches a pipe whose other end only we hold."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start it. Raises OSError where that cannot be done now."""
        with ExitStack() as undo:
            theirs, self._lifeline = pipe(undo)
            self._ready, told = pipe(undo)
            arguments = ["--parent-fd", str(theirs), "--ready-fd", str(told)]
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "supervisor.api", *arguments],
                pass_fds=[theirs, told],
                stdin=subprocess.DEVNULL,
                env=dict(environment),
                start_new_session=True,  # a Ctrl-C in our terminal is ours to act on
            )
            undo.callback(self._process.kill)
            self._pidfd = os.pidfd_open(self._process.pid)
            undo.pop_all()
        os.close(theirs)
        os.close(told)
        os.set_blocking(self._ready, False)
        os.set_blocking(self._lifeline, False)

    @property
    def pid(self) -> int:
        return self._process.pid

    def fileno(self) -> int:
        """Readable once it has ended."""
        return self._pidfd

    def heard(self) -> bool:
        """Whether it has said something since we listened last: that it listens, or that it is alive."""
        try:
            return bool(os.read(self._ready, 64))
        except BlockingIOError:
            return False

    def renew_socket(self) -> None:
        """Ask it to listen at `api.sock` anew."""
        self._ask(ANEW)

    def ping(self) -> None:
        """Ask it for an answer."""
        self._ask(ANSWER)

    def let_go(self) -> None:
        """Ask it to close the connections to the database that it keeps."""
        self._ask(LET_GO)

    def _ask(self, what: bytes) -> None:
        with suppress(OSError):  # where that cannot be said now, it is said again
            os.write(self._lifeline, what)

    def exit_code(self) -> int | None:
        return self._process.poll()

    def stop(self) -> None:
        """SIGTERM, and SIGKILL where that is not enough."""
        self._process.terminate()
        self._process.send_signal(signal.SIGCONT)  # one that somebody has stopped would not hear it
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        self._process.kill()

    def close(self) -> None:
        for fd in (self._lifeline, self._ready, self._pidfd):
            os.close(fd)


class Front:
    """Keeps one http server running."""

    def __init__(self, start: Callable[[], FrontProcess]) -> None:
        self._start_process = start
        self._process: FrontProcess | None = None
        self.ready = False
        """Whether it listens."""
        self._began = 0.0
        self._start_at = 0.0
        self._pause = 0.0
        self._look_at = 0.0
        self._pings = Pings()

    @property
    def process(self) -> FrontProcess | None:
        return self._process

    def due(self) -> float:
        """When it is to be started again, in monotonic seconds."""
        return self._start_at if self._process is None else float("inf")

    def tend(self, s: Supervision) -> None:
        """Start it where it is not; hear that it listens; notice its end."""
        now = s.clock.monotonic()
        if self._process is None:
            if now >= self._start_at:
                self._start(s, now)
            return
        if self._process.heard():
            self.ready = True
            self._pings.answered()
        code = self._process.exit_code()
        if code is not None:
            self._process.close()
            self._process = None
            self._plan(s, now, f"its process ended with {code}")
            self.ready = False
        elif self.ready:
            self._look_after(s, self._process, now)
        elif now - self._began > _READY_WITHIN:
            self._replace(s, self._process, _READY_WITHIN)

    def _look_after(self, s: Supervision, process: FrontProcess, now: float) -> None:
        if now >= self._look_at:
            self._look_at = now + _LOOK_EVERY
            if not os.path.lexists(s.settings.locations.api_socket):
                process.renew_socket()
        if self._pings.in_vain(now, process.ping):
            self._replace(s, process, PATIENCE)

    def _replace(self, s: Supervision, process: FrontProcess, seconds: float) -> None:
        """It hangs, or somebody has stopped it. Its end is noticed as any other."""
        s.journal.say(Event.HTTP_SLOW, seconds=seconds)
        process.kill()

    def let_go(self) -> None:
        """It keeps connections, and of a lock that one of them could not give back SQLite does not know."""
        if self.ready and self._process is not None:
            self._process.let_go()

    def stop(self) -> None:
        if self._process is not None:
            self._process.stop()
            self._process.close()
            self._process = None

    def _start(self, s: Supervision, now: float) -> None:
        self._began, self.ready = now, False
        self._pings.answered()  # what the one before was asked is not held against this one
        try:
            self._process = self._start_process()
        except OSError as error:
            self._plan(s, now, str(error.strerror))

    def _plan(self, s: Supervision, now: float, why: str) -> None:
        settled = self.ready and now - self._began > _SETTLED
        self._pause = 0.2 if settled else min(_LONGEST_PAUSE, max(0.2, self._pause * 2))
        self._start_at = now + self._pause
        s.journal.say(Event.HTTP_ENDED, why=why, pause=self._pause)
