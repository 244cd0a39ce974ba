"""Why a process of the service ends that nobody has ended: what it says last, into the log of the service."""

import contextlib
import os
import traceback
from typing import Self

_STANDARD_ERROR = 2


class LastWords:
    """A block that any exception ends in good order, once it is told.

    It is told once: what goes wrong while a process ends with what is left follows from what it ends for.
    """

    def __init__(self, who: str) -> None:
        self._who = who
        self.said = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, Exception):
            return False
        if not self.said:
            self.said = True
            with contextlib.suppress(OSError):  # a full disk takes our last words, and nothing else
                os.write(_STANDARD_ERROR, self._words(error))  # no stream: it would want memory of its own
        return True

    def _words(self, error: Exception) -> bytes:
        """One sentence where the host is to blame; a traceback where it is a defect of ours."""
        if isinstance(error, MemoryError):
            return b"Error: the %s has no memory left, and ends with all that it has\n" % self._who.encode()
        if isinstance(error, OSError):
            return f"Error: the {self._who} cannot go on, and ends with all that it has: {error}\n".encode()
        return "".join(traceback.format_exception(error)).encode()
