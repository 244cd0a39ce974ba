"""What keepers say: it goes into the table of children, and to whoever asked."""

from collections.abc import Callable
from typing import Any

from supervisor.confining import needs_pids_controller
from supervisor.journal import Event
from supervisor.keeper import Keeper
from supervisor.lifecycle import Isolation
from supervisor.outcome import End, nothing_done
from supervisor.supervision import Supervision
from workers.frames import Frame
from workers.identity import Identity


def hear(s: Supervision, keeper: Keeper, frame: Frame) -> None:
    """One frame of one keeper."""
    _HEAR[frame["op"]](s, keeper, frame)


def _hear_ready(s: Supervision, keeper: Keeper, frame: Frame) -> None:
    s.keeping.isolation = isolation = Isolation(frame["isolation"])
    preloaded = len(frame["preloaded"])
    s.journal.say(Event.KEEPER_READY, number=keeper.number, preloaded=preloaded, isolation=isolation)
    _say_what_is_not_held(s, keeper, frame["limits"])
    for handler, why in frame["refused"].items():
        s.journal.say(Event.HANDLER_NOT_PRELOADED, handler=handler, why=why)
    s.keeping.take_over(s, keeper)


def _say_what_is_not_held(s: Supervision, keeper: Keeper, held: list[str]) -> None:
    types = keeper.job_types.types.values()
    memory = [each.name for each in types if each.limits.memory is not None]
    processes = [each.name for each in types if needs_pids_controller(each)]
    if memory and "memory" not in held:
        s.journal.say(Event.MEMORY_HELD_BY_PROCESS, types=", ".join(memory))
    if processes and "pids" not in held:
        s.journal.say(Event.PROCESSES_NOT_HELD, types=", ".join(processes))


def _hear_pong(_s: Supervision, keeper: Keeper, _frame: Frame) -> None:
    keeper.answered()


def _hear_started(s: Supervision, _keeper: Keeper, frame: Frame) -> None:
    s.keeping.can_start()
    child = s.children.get(frame["child"])
    if child is not None:
        child.identity = Identity(frame["pid"], frame["ticks"], frame["inode"])


def _hear_start_failed(s: Supervision, _keeper: Keeper, frame: Frame) -> None:
    child = s.children.get(frame["child"])
    if child is not None:
        s.children.remove(child)
    pause = s.keeping.cannot_start(s)
    s.journal.say(Event.CHILD_NOT_STARTED, why=frame["message"], pause=pause)


def _hear_progress(s: Supervision, _keeper: Keeper, frame: Frame) -> None:
    child = s.children.get(frame["child"])
    if child is not None:
        child.progress = _progress(frame)


def _hear_ended(s: Supervision, _keeper: Keeper, frame: Frame) -> None:
    child = s.children.get(frame["child"])
    if child is None:
        return
    timeout = None if child.job_type is None else child.job_type.timeout
    child.end = End.from_frame(frame, timeout=timeout)
    if child.job is None:
        s.children.remove(child)


def _hear_unkillable(s: Supervision, _keeper: Keeper, frame: Frame) -> None:
    child = s.children.get(frame["child"])
    if child is not None and child.job is not None:
        child.unkillable = (frame["termination"] or nothing_done()) | {"unkillable": frame["pids"]}
        child.lasting = tuple(frame["pids"])
        s.journal.say(Event.JOB_UNKILLABLE, type=child.job.type, job=child.job.id, pids=frame["pids"])


def _hear_untrimmed(s: Supervision, _keeper: Keeper, frame: Frame) -> None:
    s.journal.say(Event.LOGS_NOT_LIMITED, why=frame["why"])


def _hear_swept(s: Supervision, _keeper: Keeper, frame: Frame) -> None:
    if not s.keeping.swept(s, frame["owner"]):
        s.recovery.swept(frame["owner"], frame["killed"])


def _hear_unswept(s: Supervision, _keeper: Keeper, frame: Frame) -> None:
    s.journal.say(Event.ORPHANS_UNKILLABLE, owner=frame["owner"], pids=frame["pids"])
    s.recovery.unswept(frame["owner"])


_HEAR: dict[str, Callable[[Supervision, Keeper, Frame], None]] = {
    "ready": _hear_ready,
    "pong": _hear_pong,
    "started": _hear_started,
    "start_failed": _hear_start_failed,
    "progress": _hear_progress,
    "ended": _hear_ended,
    "unkillable": _hear_unkillable,
    "untrimmed": _hear_untrimmed,
    "swept": _hear_swept,
    "unswept": _hear_unswept,
}


def _progress(frame: Frame) -> dict[str, Any] | None:
    """Written by a process that runs the job's code: anything may stand in it."""
    fraction, message = frame.get("fraction"), frame.get("message")
    if not isinstance(fraction, int | float) or not 0 <= fraction <= 1:
        return None
    text = message.encode("utf-8", "replace").decode() if isinstance(message, str) else None
    return {"fraction": float(fraction), "message": text}
