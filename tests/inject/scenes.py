"""What is done while a fault strikes, and to whom; and what must be true of it afterwards."""

import contextlib
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from supervisor.errors import AsyncWorkerError
from tests.inject.faults import KILL, Fault
from tests.inject.ground import DEADLINE, Forked, Ground, without_traceback
from tests.inject.tracer import tracing
from tests.inject.zygote import Started
from tests.support.eventually import eventually
from tests.support.observer import is_spare
from tests.support.processes import http_servers
from workers.identity import state_of

SURVIVED = "went on"


@dataclass
class Struck:
    """What became of one strike."""

    calls: Counter[str]
    """Those that the process made while it was watched."""
    how: str
    """Of whom was struck: went on, was killed, or the sentence with which it ended."""


Scene = Callable[[Ground, Fault | None], Struck]


# Commands


def command(*arguments: str, service: bool = False, anew: bool = False) -> Scene:
    """One command of the command line; the service, where there is one, is left alone."""

    def scene(ground: Ground, fault: Fault | None) -> Struck:
        if anew:
            ground.forget()
        if service and not ground.supervisors:
            ground.serving(http=True)
        words = [_pending(ground) if word == "JOB" else word for word in arguments]
        before = ground.jobs()
        process, out = ground.command(*words)
        with tracing(process.pid, fault, ground.folder / "calls") as tracer:
            os.kill(process.pid, signal.SIGCONT)
            how = _command_ended(process, out, fault)
        if how == SURVIVED and arguments[0] == "submit":
            ground.acknowledged.append(out.read_text().strip())
        elif _is_certain(how, fault):
            assert ground.jobs() == before, f"it is on record, in spite of: {how}"
        ground.submit("Echo", "whatever became of that, the next one is taken")
        return Struck(tracer.calls(), how)

    return scene


def _is_certain(how: str, fault: Fault | None) -> bool:
    """Whether it said that nothing was done, and knew it: of a commit that failed nobody can be certain."""
    return how.startswith("Error") and ".db" not in how and fault is not None and fault.call != "write"


def _pending(ground: Ground) -> str:
    return ground.submit("Echo", "to be cancelled").id


def _command_ended(process: Started, out: Path, fault: Fault | None) -> str:
    code = process.wait(DEADLINE)
    if code == 0:
        return SURVIVED
    if code == -signal.SIGKILL and fault and fault.answer == KILL:
        return "killed"
    said = Path(f"{out}.err").read_text()
    if not said and fault and fault.call == "write":
        return "could not say why"
    assert code in (1, 2, 3, 4), f"it ended with {code}: {said}"
    return _sentence(said)


def _sentence(said: str) -> str:
    lines = without_traceback(said).splitlines()
    assert len(lines) == 1, f"not one sentence: {said!r}"
    assert lines[0].startswith("Error: "), f"not one sentence: {said!r}"
    return lines[0]


# Supervisors


def start(ground: Ground, fault: Fault | None) -> Struck:
    """The first of all starts: state folder, database and schema are made."""
    ground.forget()
    return _life(ground, fault, lambda: None)


def recovery(ground: Ground, fault: Fault | None) -> Struck:
    """A start with orphans, one of them to be cancelled, one to be tried again; a run; a cancel; a stop."""
    _lay_down_orphans(ground)

    def work() -> None:
        ground.submit("Stumble", 2)
        _cancelled(ground, ground.submit("Stubborn", 60).id)

    return _life(ground, fault, work)


def _life(ground: Ground, fault: Fault | None, work: Callable[[], None]) -> Struck:
    """From its first step to its last, and then another one that is left alone."""
    serving = ground.stopped()
    with tracing(serving.pid, fault, ground.folder / "calls") as tracer:
        os.kill(serving.pid, signal.SIGCONT)
        # Whoever was struck may end, or hold a lock that nobody else gets meanwhile.
        with contextlib.suppress(AssertionError, AsyncWorkerError):
            serving.said("supervisor_ready", DEADLINE)
            work()
            ground.ended(serving)
        if serving.process.poll() is None:
            serving.signal(signal.SIGTERM)
        how = _supervisor_ended(serving, fault)
    following = ground.serving()
    ground.submit("Echo", 1)
    ground.lawful(following)
    assert following.stop() == 0
    return Struck(tracer.calls(), how)


def _supervisor_ended(serving: Forked, fault: Fault | None) -> str:
    code = serving.ended(DEADLINE)
    said = without_traceback(serving.log.read_text())
    if code == 0:
        return SURVIVED
    if code == -signal.SIGKILL and fault and fault.answer == KILL:
        return "killed"
    last = said.splitlines()[-1] if said else ""
    assert last.startswith("Error: "), f"it ended with {code}: {said}"
    return last


def _lay_down_orphans(ground: Ground) -> None:
    """As a supervisor leaves them that is killed together with its keeper; made once, laid down again."""
    snapshot = ground.folder / "orphans"
    if not snapshot.exists():
        serving = ground.serving()
        orphans = [ground.submit("Nap", 60), ground.submit("Linger", 0.01), ground.submit("Nap", 60)]
        for job in orphans:
            ground.began(job.id)
        ground.freeze(serving)
        serving.kill_keeper()
        ground.client.cancel(orphans[0].id)
        serving.kill()
        ground.submit("Echo", "it waited")
        shutil.copytree(ground.state_dir, snapshot, ignore=shutil.ignore_patterns("*.sock"))
        shutil.copy(ground.runs, ground.folder / "orphans.runs")
        (ground.folder / "orphans.ids").write_text("\n".join(ground.acknowledged))
    ground.forget()
    shutil.copytree(snapshot, ground.state_dir)
    shutil.copy(ground.folder / "orphans.runs", ground.runs)
    ground.acknowledged += (ground.folder / "orphans.ids").read_text().split()


# Those that run already


def attached(whom: str) -> Scene:
    """Some jobs and a cancel, while one process of a service that goes on is struck."""

    def scene(ground: Ground, fault: Fault | None) -> Struck:
        serving = _going_on(ground, http=whom == "http server")
        with contextlib.ExitStack() as watched:
            tracers = [
                watched.enter_context(
                    tracing(pid, fault, ground.folder / f"calls-{number}", threads=whom == "http server")
                )
                for number, pid in enumerate(_WHOM[whom](serving))
            ]
            _work(ground)
            survived = ground.ended(serving)
        how = SURVIVED if survived else _supervisor_ended(serving, fault)
        ground.lawful(serving if survived else ground.serving(http=whom == "http server"))
        _forget_the_ended(ground)
        if serving.events("keeper_died") or serving.events(
            "http_ended"
        ):  # the next death would be one of a row, with a pause after it
            ground.forget()
        return Struck(max((tracer.calls() for tracer in tracers), key=Counter.total), how)

    return scene


def _going_on(ground: Ground, *, http: bool) -> Forked:
    """The one that serves, or a new one. A keeper and spares are there."""
    living = [each for each in ground.supervisors if each.process.poll() is None]
    serving = living[-1] if living else ground.serving(http=http)
    assert isinstance(serving, Forked)
    eventually(lambda: len(_spares(serving)) == 2, DEADLINE)
    if http:
        eventually(lambda: _answers(ground), DEADLINE)
    return serving


def _answers(ground: Ground) -> bool:
    ground.client.close()  # so that it chooses its way anew
    with contextlib.suppress(AsyncWorkerError):
        ground.client.overview()
    return type(ground.client._chosen).__name__ == "SocketWay"


def _work(ground: Ground) -> None:
    ground.tried("Daemon", 0.01)
    ground.tried("Stumble", 2)
    stubborn = ground.tried("Stubborn", 60)
    if stubborn is not None:
        _cancelled(ground, stubborn.id)


def _cancelled(ground: Ground, job: str) -> None:
    """Once it runs, or where it never does, at once; and again until it has been heard."""
    with contextlib.suppress(AssertionError):
        ground.began(job, within=3.0)

    def heard() -> bool:
        with contextlib.suppress(AsyncWorkerError):
            ground.client.cancel(job)
            return True
        return False

    eventually(heard, DEADLINE)


def _forget_the_ended(ground: Ground) -> None:
    """They have been checked: a history that grows would be checked again and again."""
    if len(ground.acknowledged) > 60:
        ground.forget()


def _spares(serving: Forked) -> list[int]:
    keepers = {event["pid"] for event in serving.events("keeper_started")}
    alive = [pid for pid in keepers if state_of(pid) not in (None, "Z", "X")]
    children = [child.pid for pid in alive for child in _children(pid)]
    return [pid for pid in children if is_spare(pid, keepers)]


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children()
    except psutil.NoSuchProcess:
        return []


_WHOM: dict[str, Callable[[Forked], list[int]]] = {
    "supervisor": lambda serving: [serving.pid],
    "keeper": lambda serving: [serving.keeper],
    "child": _spares,
    "http server": lambda serving: http_servers(serving.pid),
}

SCENES: dict[str, Scene] = {
    "submit": command("submit", "Echo", "1", "-q"),
    "submit to a new place": command("submit", "Echo", "1", "-q", anew=True),
    "submit to a service": command("submit", "Echo", "1", "-q", service=True),
    "cancel": command("cancel", "JOB", "--no-wait"),
    "status": command("status"),
    "start": start,
    "recovery": recovery,
    **{f"jobs, {whom}": attached(whom) for whom in _WHOM},
}


def settled(ground: Ground) -> None:
    """After a series: a service that is left alone brings everything to its end."""
    if ground.acknowledged:
        serving = _going_on(ground, http=False)
        ground.lawful(serving)
        assert serving.stop() == 0
        ground.forget()
