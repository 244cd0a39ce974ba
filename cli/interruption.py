"""SIGTERM and SIGHUP are what Ctrl-C is, for a verb that must undo what is half done."""

import signal
from types import FrameType, TracebackType
from typing import Any, Self

_LIKE_CTRL_C = (signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Within it, they raise KeyboardInterrupt, the first of them; `code` is what to end with then.

    What somebody has set before, as nohup does, stays.
    """

    def __init__(self) -> None:
        self._number = signal.SIGINT
        self._before: dict[signal.Signals, Any] = {}

    @property
    def code(self) -> int:
        """As a shell says it of a program that the signal has ended."""
        return 128 + self._number

    def __enter__(self) -> Self:
        for number in _LIKE_CTRL_C:
            if signal.getsignal(number) is signal.SIG_DFL:
                self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _interrupt(self, number: int, _frame: FrameType | None) -> None:
        if self._number is signal.SIGINT:  # a second one would interrupt the undoing
            self._number = signal.Signals(number)
            raise KeyboardInterrupt
