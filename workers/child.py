"""One child, from its first instruction to its last: detach, wait at the gate, run one job, report."""

import contextlib
import importlib
import inspect
import json
import os
import select
import sys
from typing import Any

import workers
from workers import command, containment, handlers, names, namespaces, output, report, sandbox, stacks
from workers.assignment import Assignment
from workers.context import JobCancelled
from workers.frames import BrokenStream, Decoder, Frame
from workers.handlers import Handler
from workers.interrupt import Interrupt
from workers.limits import limit_this_process
from workers.rehearsal import rehearse
from workers.report import Reporter
from workers.sandbox import Place

_ALONE_AFTER = 50
"""Milliseconds."""


def live(gate: int, report_fd: int, keeper: int) -> None:
    """The whole life of a child. Returning means exit code 0; any other code leaves by SystemExit."""
    containment.detach(keeper, keep=(gate, report_fd))
    assignment = _wait_at(gate)
    if assignment is None:
        os._exit(0)
    reporter = Reporter(report_fd)
    reporter.tell("begun")
    interrupt = Interrupt(reporter.tell)
    try:
        last_word = _run(assignment, keeper, reporter, interrupt)
    except JobCancelled as late:  # between two instructions of ours, after the handler or before it
        last_word = report.raised(late)
    interrupt.disarm()
    output.flush()
    # The handler has forked, and its copy came back too: only one of them is the job.
    if os.getpid() != reporter.pid:
        os._exit(last_word.get("code", int(last_word["kind"] != "returned")) & 0xFF)
    heard = reporter.say(last_word | {"interrupted": interrupt.raised})
    if not heard:
        sys.exit(1)
    if last_word["kind"] != "returned":
        sys.exit(last_word.get("code", 1))


def _wait_at(gate: int) -> Assignment | None:
    """Block until a job comes through; None at EOF, when nobody will ever send one."""
    if _is_left_alone(gate):
        rehearse()
    decoder = Decoder()
    while True:
        try:
            data = os.read(gate, 65536)
            frames = list(decoder.feed(data))
        except (OSError, BrokenStream):  # whoever sent something learns that it was not taken
            return None
        if not data:
            return None
        if frames:
            return Assignment.from_frame(frames[0])


def _is_left_alone(gate: int) -> bool:
    """Whether no job has come so far. While the service is busy, its processors have better things to do."""
    poll = select.poll()
    poll.register(gate, select.POLLIN)
    return not poll.poll(_ALONE_AFTER)


def _run(job: Assignment, keeper: int, reporter: Reporter, interrupt: Interrupt) -> Frame:
    """Set up, import, call: the last word, whatever happens.

    The one place that catches everything: the job's code is behind it.
    """
    try:
        output.redirect(job.log)
        containment.surround(job.environment, job.nice)
        containment.enter(job.directory, private=job.private_directory)
        sandboxed = job.confinement.asks_for_sandbox
        users = namespaces.of_users() if sandboxed else None  # only there can it be given others
        alone = sandbox.confine(job.confinement, Place.of(job), keeper, reporter)
        if sandboxed:
            reporter.tell("alone" if alone else "together")
        limit_this_process(job.limits, own_users=sandboxed and namespaces.of_users() != users)
        interrupt.arm()
        if job.command is not None:
            reporter.say({"kind": "executing"})
            command.become(job.command, job.payload)
        if stacks.arm(job.timeout, job.grace):
            reporter.tell("watched")
        names.hide_main()
        handler = handlers.find(job.handler or "", job.import_paths)
    except JobCancelled as request:
        return report.raised(request)
    except BaseException as error:  # noqa: BLE001
        return report.not_started(error)
    try:
        return report.returned(_call(handler, job, reporter, interrupt))
    except SystemExit as request:
        return report.left(request)
    except BaseException as error:  # noqa: BLE001
        _show(error)
        return report.raised(error)


def _call(handler: Handler, job: Assignment, reporter: Reporter, interrupt: Interrupt) -> Any:
    payload = json.loads(job.payload)
    value = handler.call(payload, job.context(payload, reporter.progress))
    if inspect.iscoroutine(value):
        value = _coroutine_runner().run(value, interrupt)
    interrupt.disarm()
    return value


def _coroutine_runner() -> Any:
    """workers.coroutine, late: asyncio would be most of a child's memory and start.

    By way of our own package object: its name may be a package of the user's by now.
    """
    loaded = vars(workers).get("coroutine")
    return loaded or importlib.import_module("workers.coroutine")


def _show(error: BaseException) -> None:
    """The traceback into the job's own log too, where its author looks first."""
    with contextlib.suppress(Exception):  # the job has closed it, or put something of its own there
        sys.stderr.write(report.trace(error))
        sys.stderr.flush()
