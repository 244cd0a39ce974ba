"""Running an `async def` handler so that a cancel reaches it as JobCancelled.

Imported only for such a handler: asyncio costs more than everything else in a child.
"""

import asyncio
import signal
import sys
import types
from collections.abc import Awaitable, Coroutine, Generator, Iterator
from functools import partial
from types import FrameType, TracebackType
from typing import Any, cast

from workers import stacks
from workers.context import JobCancelled
from workers.interrupt import Interrupt


class AsyncJobCancelled(JobCancelled, asyncio.CancelledError):
    """Both, so that `except JobCancelled`, `except asyncio.CancelledError` and task groups all know it."""


def run(handler: Coroutine[Any, Any, Any], interrupt: Interrupt) -> Any:
    """Run to the end and return its value; `interrupt.raised` says whether a SIGTERM entered it.

    asyncio's event loop swallows an exception that a signal handler raises inside a callback, so a
    SIGTERM cancels the main task instead, and the cancellation is turned into JobCancelled where it
    enters the coroutine.
    """

    async def main() -> Any:
        task = asyncio.current_task()

        def arrive() -> None:
            # False where the handler is over already.
            if task is not None and not interrupt.raised and task.cancel():
                interrupt.enter()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, arrive)
        # The stacks of threads end in the event loop: what waits in it is told by its tasks.
        tell = partial(_tell_tasks, task, handler)
        stacks.register(partial(loop.add_signal_handler, signal.SIGQUIT, tell), chain=True)
        return await cast("Awaitable[Any]", _translated(handler, interrupt))

    _teach_task_groups()
    try:
        return asyncio.run(main())
    finally:
        # asyncio restores the default, which would kill us between the handler's end and the report.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        stacks.register()


@types.coroutine
def _translated(handler: Coroutine[Any, Any, Any], interrupt: Interrupt) -> Generator[Any, Any, Any]:
    """`await handler`, with the CancelledError that our SIGTERM throws into it replaced by ours.

    Only that one: asyncio's own cancellations (timeout, TaskGroup) must come back to it unchanged.
    """
    value: Any = None
    thrown: BaseException | None = None
    told = False
    while True:
        try:
            waited_for = handler.send(value) if thrown is None else handler.throw(thrown)
        except StopIteration as stop:
            return stop.value
        value, thrown = None, None
        try:
            value = yield waited_for
        except asyncio.CancelledError as error:
            thrown = error
            if interrupt.raised and not told:
                told = True
                thrown = AsyncJobCancelled("the job was cancelled or is over its timeout")
        except BaseException as error:  # noqa: BLE001  (thrown in by whoever drives us; it belongs to the coroutine)
            thrown = error


def _tell_tasks(main: asyncio.Task[Any] | None, handler: Coroutine[Any, Any, Any]) -> None:
    """As faulthandler does for threads. The task that we made for the handler is told by the handler."""
    lines = []
    for task in asyncio.all_tasks():
        lines.append(f"Task {task.get_name()} (most recent call first):")
        for frame in reversed(list(_frames(handler if task is main else task.get_coro()))):
            code = frame.f_code
            lines.append(f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_name}')
    sys.stderr.write("\n" + "\n".join(lines) + "\n")
    sys.stderr.flush()


def _frames(waits: Any) -> Iterator[FrameType]:
    """Of a coroutine that is suspended, and of those that it waits for: the outermost first."""
    while waits is not None:
        frame = getattr(waits, "cr_frame", None) or getattr(waits, "gi_frame", None)
        if frame is not None:
            yield frame
        waits = getattr(waits, "cr_await", None) or getattr(waits, "gi_yieldfrom", None)


def _teach_task_groups() -> None:
    """Let a TaskGroup take our exception for a cancellation, as from Python 3.13 on.

    Before, it compares the type with `is`, and would raise a group of it instead of it.
    """
    leave = asyncio.TaskGroup.__aexit__

    async def aexit(
        self: asyncio.TaskGroup,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await leave(self, asyncio.CancelledError if kind is AsyncJobCancelled else kind, error, trace)

    asyncio.TaskGroup.__aexit__ = aexit  # type: ignore[assignment,method-assign]
