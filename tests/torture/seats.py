"""Supervisors: started, killed, stopped, frozen, reloaded, struck at named points; and what is below them."""

import signal
import time
from contextlib import suppress
from pathlib import Path

import psutil

from tests.support.eventually import eventually
from tests.support.processes import http_server
from tests.support.service import Service, Serving
from tests.torture.book import Book
from tests.torture.ground import Ground, types
from tests.torture.history import Life
from tests.torture.load import GUEST
from tests.torture.plan import Step, Strike
from workers.identity import Identity

_DRAIN = {"ASYNCWORKER_DRAIN_TIMEOUT": "0.5"}
_TO_STRIKE = 3.0
"""Seconds that a point is waited for; it may come later all the same."""
DURING_A_STOP = ("last_outcome_recorded", "deregistered")
"""Points that are on no other way."""
_TO_BE_READY = 20.0


class Seats:
    """Used by one lane alone."""

    def __init__(self, ground: Ground, book: Book) -> None:
        self._ground = ground
        self._book = book
        self._asked: set[int] = set()
        self._markers: dict[int, Path] = {}
        """By pid, of those that are to strike themselves."""
        self._killed: set[int] = set()

    def do(self, step: Step) -> None:
        act = step.act
        assert isinstance(act, Strike)
        service = self._ground.services[act.seat]
        running = living(service)
        if act.verb == "start":
            done = not running
            if done:
                self.start(service, be_ready=step.number % 2 == 0)
        elif act.verb == "strike at":
            self._strike_at(service, act, step.number)
            done = True
        else:
            done = bool(running) and self._strike(service, running[-1], act)
        self._book.count(act.verb if done else f"{act.verb}: nothing")

    def start(self, service: Service, *, be_ready: bool) -> Serving:
        serving = service.serve(**_DRAIN)
        if be_ready:
            with suppress(AssertionError):
                eventually(lambda: serving.events("supervisor_ready") or serving.process.poll(), _TO_BE_READY)
        return serving

    def kill(self, serving: Serving) -> None:
        if serving.process.poll() is None:
            self._asked.add(serving.pid)
            serving.kill()
            if serving.process.returncode == -signal.SIGKILL:
                self._killed.add(serving.pid)

    def stop(self, serving: Serving) -> None:
        """As a service manager does."""
        self._asked.add(serving.pid)
        serving.signal(signal.SIGTERM)

    def lives(self) -> list[Life]:
        return [self._life(serving) for service in self._ground.services for serving in service.supervisors]

    def _life(self, serving: Serving) -> Life:
        started = serving.events("supervisor_started")
        code = serving.process.poll()
        asked = code is None or serving.pid in self._asked or self._struck(serving)
        return Life(
            uuid=started[0]["uuid"] if started else f"without a name, {serving.log}",
            code=code,
            was_ready=is_ready(serving),
            asked=asked,
            last_words=_traceback_in(serving.log.read_text(errors="replace"), asked=asked),
        )

    def _struck(self, serving: Serving) -> bool:
        return serving.pid in self._markers and self._markers[serving.pid].exists()

    def kills(self) -> int:
        """Supervisors that were ended by SIGKILL: by us, or by themselves at their point."""
        return len(self._killed) + self.strikes()

    def strikes(self) -> int:
        """Those that ended themselves."""
        return sum(
            self._struck(serving)
            and serving.process.poll() == -signal.SIGKILL
            and serving.pid not in self._killed
            for service in self._ground.services
            for serving in service.supervisors
        )

    def _strike(self, service: Service, serving: Serving, act: Strike) -> bool:
        if act.verb == "kill":
            self.kill(serving)
            self._start_after(service, act)
        elif act.verb == "kill both":
            serving.signal(signal.SIGSTOP)  # so that it has not a moment without its keeper
            _send(keeper_of(serving), signal.SIGKILL)
            self.kill(serving)
            self._start_after(service, act)
        elif act.verb in ("stop", "hurry"):
            self._asked.add(serving.pid)
            for _ in range(3 if act.verb == "hurry" else 1):
                serving.signal(signal.SIGTERM)
            self._start_after(service, act)  # while the other one may be there still
        elif act.verb == "freeze":
            serving.signal(signal.SIGSTOP)
            time.sleep(max(act.seconds, 0.5))
            serving.signal(signal.SIGCONT)
        elif act.verb in ("reload", "mistake"):
            self._reload(service, serving, act)
        else:
            what, _, whom = act.verb.partition(" ")
            return _strike_below(
                keeper_of(serving) if whom == "keeper" else server_of(serving), what, act.seconds
            )
        return True

    def _start_after(self, service: Service, act: Strike) -> None:
        time.sleep(act.seconds)
        self.start(service, be_ready=act.seconds != 0.1)

    def _reload(self, service: Service, serving: Serving, act: Strike) -> None:
        whole = types(self._ground.database)
        if act.verb == "mistake":
            good = service.config.read_text()
            service.config.write_text(good[:-40])
        else:
            service.configure(types(self._ground.database, without=GUEST) if act.seconds < 0.5 else whole)
        reload(serving)
        if act.verb == "mistake":
            time.sleep(act.seconds)
            service.configure(whole)
            reload(serving)

    def _strike_at(self, service: Service, act: Strike, number: int) -> None:
        """A supervisor takes the place of the one that serves, and strikes when it comes to its point."""
        for serving in living(service):
            self.kill(serving)
        marker = self._ground.folder / f"struck-{number}"
        serving = service.crash(act.point, act.role, marker, **_DRAIN)
        self._markers[serving.pid] = marker
        self._await_the_strike(serving, marker, act.point)
        if marker.exists():
            self._book.count(f"struck {act.role}")
            if act.role in ("supervisor", "both"):
                serving.process.wait(20)
                self._start_after(service, act)

    def _await_the_strike(self, serving: Serving, marker: Path, point: str) -> None:
        """From when it is ready on not for long: what leads to its point may come later, or never."""

        def over() -> bool:
            return marker.exists() or serving.process.poll() is not None

        with suppress(AssertionError):
            eventually(lambda: over() or is_ready(serving), _TO_BE_READY)
            if point in DURING_A_STOP:
                self.stop(serving)
            eventually(over, _TO_STRIKE)


def _traceback_in(log: str, *, asked: bool) -> str:
    """The first; but what Python says where it cannot even begin, for lack of descriptors, is not ours."""
    _, *tracebacks = log.split("Traceback (most recent call last)")
    own = [text[:3000] for text in tracebacks if not (asked and "Errno 24" in text)]
    return own[0] if own else ""


def living(service: Service) -> list[Serving]:
    return [serving for serving in service.supervisors if serving.process.poll() is None]


def is_ready(serving: Serving) -> bool:
    return bool(serving.events("supervisor_ready"))


def reload(serving: Serving) -> None:
    """Not before it is ready: until it has said what it makes of SIGHUP, that ends it."""
    if is_ready(serving):
        serving.signal(signal.SIGHUP)


def keeper_of(serving: Serving) -> Identity | None:
    """Its newest."""
    started = serving.events("keeper_started")
    return _below(serving, int(started[-1]["pid"])) if started else None


def server_of(serving: Serving) -> Identity | None:
    pid = http_server(serving.pid)
    return None if pid is None else _below(serving, pid)


def _below(serving: Serving, pid: int) -> Identity | None:
    """Compared afterwards: the pid may be another's by now."""
    who = Identity.of(pid)
    with suppress(psutil.Error):
        if who is not None and psutil.Process(pid).ppid() == serving.pid and who.exists():
            return who
    return None


def _send(whom: Identity | None, number: signal.Signals) -> bool:
    return whom is not None and whom.send(number)


def _strike_below(whom: Identity | None, what: str, seconds: float) -> bool:
    if what == "kill":
        return _send(whom, signal.SIGKILL)
    if not _send(whom, signal.SIGSTOP):
        return False
    time.sleep(max(seconds, 0.3))
    _send(whom, signal.SIGCONT)
    return True
