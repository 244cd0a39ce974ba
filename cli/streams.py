"""Standard output and error as a command has them: what cannot be written is said, and never twice."""

import errno
import io
import sys
from typing import TYPE_CHECKING, Any, TextIO

from supervisor.errors import AsyncWorkerError, reason

if TYPE_CHECKING:
    from collections.abc import Callable


class OutputLost(AsyncWorkerError):
    """Standard output could not be written."""

    def __init__(self, cause: OSError, done: str = "") -> None:
        """`done`: what has been done all the same, as the beginning of the sentence."""
        super().__init__(f"{done}standard output could not be written: {reason(cause)}")
        self.cause = cause


def watch_streams() -> None:
    """Before the first is written to. Of standard error nobody could be told that it fails."""
    sys.stdout = _watched(sys.stdout, _raise_lost)
    sys.stderr = _watched(sys.stderr, lambda _: None)


class _Descriptor(io.FileIO):
    """Swallows the rest after its first failure: Python writes once more at its end, and would complain."""

    def __init__(self, stream: TextIO, failed: "Callable[[OSError], None]") -> None:
        super().__init__(stream.fileno(), "w", closefd=False)
        self._stream = stream  # closes the descriptor when nobody has it any more
        self._failed = failed
        self._is_lost = False

    def write(self, data: Any, /) -> int:
        if not self._is_lost:
            try:
                return super().write(data)
            except OSError as error:
                if error.errno == errno.EPIPE:  # nobody reads any more, as of `| head`: click ends quietly
                    raise
                self._is_lost = True
                self._failed(error)
        return memoryview(data).nbytes


def _raise_lost(error: OSError) -> None:
    raise OutputLost(error) from error


def _watched(stream: TextIO, failed: "Callable[[OSError], None]") -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # somebody's own
        return stream
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(stream, failed)),
        stream.encoding,
        "backslashreplace",  # a name that is no UTF-8 must not turn an answer into a UnicodeEncodeError
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
