"""Every log event: its name, its level, its wording. Code elsewhere only says what happened."""

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from enum import Enum
from typing import Any, TextIO

from supervisor.settings import LogFormat


class Event(Enum):
    """(level, wording). The name in lower case is the event's name in the log."""

    SUPERVISOR_STARTED = ("info", "supervisor {uuid} started, pid {pid}, state folder {state_dir}")
    SUPERVISOR_READY = ("info", "ready for jobs of {types} types")
    SUPERVISOR_DRAINING = ("info", "stopping: no new jobs; running ones have {seconds:g} s to end")
    SUPERVISOR_TERMINATING = ("info", "stopping: {running} running jobs are terminated")
    RELOAD_BEGAN = ("info", "{file} has been read again; a new keeper imports the handlers")
    RELOAD_REFUSED = ("error", "{file} cannot be used ({mistakes} mistakes): the job types stay as they were")
    RELOAD_IGNORED = ("info", "SIGHUP changes nothing while the service stops")
    RELOADED = ("info", "job types in force: {types}, with {changes} changes")
    JOB_TYPES_MISTAKE = ("error", "{mistake}")
    TYPE_ADDED = ("info", "{type} is new: {slots} at a time")
    TYPE_REMOVED = ("warning", "{type} is gone: its running jobs go on, those that wait stay Pending")
    TYPE_CHANGED = ("info", "{type}: {key} was {old}, is {new}")
    NOTIFY_FAILED = ("warning", "the service manager cannot be told how it goes ({why}); trying again")
    SUPERVISOR_STOPPED = ("info", "stopped")
    WAKE_SOCKET_UNAVAILABLE = ("warning", "no wake-up socket ({why}); jobs are found at the next tick")
    KEEPER_STARTED = ("info", "keeper {number} started, pid {pid}")
    KEEPER_READY = (
        "info",
        "keeper {number} ready, {preloaded} handlers preloaded; it holds jobs by {isolation}",
    )
    MEMORY_HELD_BY_PROCESS = (
        "warning",
        "limits.memory ({types}) holds for each process, not for a job as a whole: no memory control group",
    )
    PROCESSES_NOT_HELD = (
        "warning",
        "limits.processes ({types}) cannot be held here, so their jobs do not start: no pids control group",
    )
    KEEPER_DIED = (
        "error",
        "keeper {number} died with {running} jobs running; {follow}",
    )
    KEEPER_SLOW = ("error", "keeper {number} has not answered for {seconds:g} s; it is replaced")
    KEEPER_RETIRES = ("info", "keeper {number} starts nothing more; it stays for {running} running jobs")
    KEEPER_LEFT = ("info", "keeper {number} has left")
    HANDLER_NOT_PRELOADED = ("warning", "{handler} is not preloaded: {why}")
    CHILD_NOT_STARTED = ("error", "no child could be started ({why}); trying again in {pause:g} s")
    JOB_STARTED = ("info", "{type} {job} started, attempt {attempt}, pid {pid}")
    JOB_ENDED = ("info", "{type} {job} is {status}{because}")
    JOB_TRIED_AGAIN = (
        "warning",
        "{type} {job} is tried again in {pause:.3g} s: attempt {attempt} failed{because}",
    )
    JOB_GIVEN_BACK = ("warning", "{type} {job} is {status} again: its child ended before it could begin")
    JOB_LOST_RACE = ("warning", "{type} {job} had been ended by somebody else; this outcome is dropped")
    JOB_TERMINATED = ("info", "{type} {job} gets SIGTERM: {reason}; SIGKILL follows in {grace:g} s")
    JOB_UNKILLABLE = (
        "error",
        "{type} {job}: processes {pids} do not end in spite of SIGKILL; its slot stays taken",
    )
    LOGS_NOT_LIMITED = (
        "warning",
        "the file system of the logs cannot give blocks back ({why}); only what is shown is cut",
    )
    ORPHANS_FOUND = ("warning", "{who} is gone and left {jobs} running jobs")
    ORPHANS_RECOVERED = (
        "info",
        "nothing of supervisor {owner} is running any more; processes killed: {killed}",
    )
    ORPHANS_UNKILLABLE = (
        "error",
        "processes {pids} of {owner} do not end in spite of SIGKILL; its jobs keep their slots until they do",
    )
    OWNER_NOT_JUDGED = (
        "warning",
        "whether supervisor {owner} on {host} lives cannot be seen from here; left alone",
    )
    HTTP_ENDED = ("error", "the http server does not run ({why}); next in {pause:g} s, jobs are not affected")
    HTTP_SLOW = ("error", "the http server has not answered for {seconds:g} s; it is replaced")
    HTTP_LISTENING = ("info", "http answers on {places}")
    HTTP_SOCKET_RENEWED = ("warning", "{name} had been removed; http answers on a new one")
    HTTP_STOPPED = ("info", "http stopped")
    HTTP_FAILED = ("error", "{method} {route} failed: {error}")
    HTTP_DATABASE_UNAVAILABLE = ("error", "http answers 503: {why}")
    HTTP_DATABASE_BACK = ("info", "http: the database answers again")
    HTTP_JOB_TYPES_UNREADABLE = ("warning", "http goes on with the job types it had: {why}")
    HTTP_TOKEN_EXPOSED = ("warning", "others on this machine may read the token file {path}; chmod it to 600")
    JOBS_PRUNED = ("info", "removed after their time: {jobs}; {megabytes:.1f} MB of logs")
    CLOCK_SET_FORWARD = (
        "warning",
        "the clock was set forward by {seconds:.0f} s; for a day nothing is removed by the new time",
    )
    CLOCK_BEHIND = (
        "warning",
        "the clock is {seconds:.0f} s behind the last time on record: it is wrong now, or was wrong then",
    )
    LOGS_NOT_REMOVED = ("error", "{why}; pruning goes on with everything else")
    DATABASE_UNAVAILABLE = (
        "error",
        "{why}; trying again in {pause:g} s, {waiting} outcomes wait to be recorded",
    )
    DATABASE_BACK = ("info", "the database answers again")
    TURN_FAILED = (
        "error",
        "the host refuses what is needed ({why}); trying again in {pause:g} s, {waiting} outcomes wait",
    )


class Journal:
    """Writes events, one a line, as text for people or JSON for machines."""

    def __init__(
        self,
        stream: TextIO | None = None,
        log_format: LogFormat = "text",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._stream = stream or sys.stderr
        self._as_json = log_format == "json"
        self._now = now

    def say(self, event: Event, **facts: Any) -> None:
        level, wording = event.value
        name, at = event.name.lower(), self._now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        message = wording.format(**facts)
        if self._as_json:
            line = json.dumps(
                {"at": at, "level": level, "event": name, "message": message, **facts}, default=str
            )
        else:
            line = f"{at} {level:<7} {name}: {_one_line(message)}"
        try:
            self._stream.write(line + "\n")  # at once: in two pieces, others' lines could come between
            self._stream.flush()
        except OSError:
            # A full disk or a closed terminal takes our log; it must not take the jobs.
            return


def _one_line(text: str) -> str:
    """Text of a job's must not forge lines or drive a terminal."""
    return "".join(
        c if c.isprintable() else " " if c.isspace() else "\N{REPLACEMENT CHARACTER}" for c in text
    )
