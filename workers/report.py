"""What a child says about itself, as capped JSON through its report pipe.

First begun; in a sandbox, alone or together; watched, where its stacks will be written when it is too late;
progress any number of times; interrupted or uninterrupted, when a SIGTERM came; then at most one last word:
returned, raised, left, not_started, bad_result; or executing, before a command takes over. Afterwards
leftovers, from whoever stood in for the job.
"""

import contextlib
import json
import os
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from workers.confinement import CannotConfine
from workers.frames import Frame, encode
from workers.pipes import HeldBeside
from workers.target import TargetError
from workers.wishes import heard_wish, wish_of

LARGEST_RESULT = 1024 * 1024
"""Bytes of JSON that a handler may return."""
_LONGEST_MESSAGE = 8 * 1024
_LONGEST_TRACEBACK = 64 * 1024
_LONGEST_NEWS = 250
"""Characters of a progress message: its frame must be under PIPE_BUF, so that neither a JobCancelled
nor another thread can leave half of it in the pipe (pipe(7))."""
_PROGRESS_PAUSE = 0.1
"""Seconds between two progress frames with one message: a handler may report in its innermost loop."""
_MESSAGES = 50
"""New messages that may come at once, and in a second."""
_HERE = str(Path(__file__).parent)


class Reporter:
    """The child's end of the report pipe."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._pipe = HeldBeside(fd)
        self.pid = os.getpid()
        """Of the process that speaks; what a forked copy has to say is not asked for."""
        # Reentrant: a JobCancelled between its acquisition and the `with` would lock us out for ever.
        self._lock = threading.RLock()
        self._over = False
        self._last_progress = float("-inf")
        self._last_message: str | None = None
        self._messages_left = float(_MESSAGES)
        self._held_back: tuple[float, str | None] | None = None

    def speak_for_me(self) -> None:
        """In a forked process, which is the job from now on."""
        self.pid = os.getpid()

    def progress(self, fraction: float, message: str | None) -> None:
        message = message if message is None else capped(message, _LONGEST_NEWS)
        if not self._is_news(fraction, message, time.monotonic()):
            self._held_back = fraction, message
            return
        self._held_back = None
        # A job that closed its descriptors runs on without progress; its end will say what happened.
        with contextlib.suppress(OSError), self._lock:
            if not self._over:
                self._write(_news(fraction, message))

    def say(self, frame: Frame) -> bool:
        """Send a last word; False when nobody can hear it, because the job closed the pipe.

        Before it comes how far the job was at last, if that was too soon after the news before to be told.
        Progress from a thread that runs on is silent from then on: it must not get into the middle.
        """
        try:
            with self._lock:
                if self._held_back and not self._over:
                    self._write(_news(*self._held_back))
                self._over = frame["kind"] != "executing"
                self._write(frame)
        except OSError:
            return False
        return True

    def tell(self, kind: str, code: int | None = None) -> None:
        """A word with no more to it than a number. Forked copies of the job are not asked."""
        if os.getpid() == self.pid:
            with contextlib.suppress(OSError), self._lock:
                self._write({"kind": kind} if code is None else {"kind": kind, "code": code})

    def _is_news(self, fraction: float, message: str | None, now: float) -> bool:
        """A new message is passed on at once, so that a long silence begins with the right one."""
        pause, self._messages_left = (
            now - self._last_progress,
            min(_MESSAGES, self._messages_left + (now - self._last_progress) * _MESSAGES),
        )
        if message == self._last_message and pause < _PROGRESS_PAUSE and fraction < 1.0:
            return False
        if self._messages_left < 1:
            return False
        self._messages_left -= 1
        self._last_progress, self._last_message = now, message
        return True

    def _write(self, frame: Frame) -> None:
        self._pipe.write(encode(frame))


def _news(fraction: float, message: str | None) -> Frame:
    return {"kind": "progress", "fraction": fraction, "message": message}


def returned(value: Any) -> Frame:
    """The report for a value: it must be JSON and fit in LARGEST_RESULT."""
    try:
        text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        if not _is_text(text):  # half of a surrogate pair is legal in JSON, escaped, and nowhere else
            text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except Exception as error:  # noqa: BLE001  (keys and values are the job's own classes, and may do anything)
        message = f"what it returned is not JSON: {_text_of(error)}"
        return {"kind": "bad_result", "message": capped(message, _LONGEST_MESSAGE)}
    size = len(text.encode())
    if size > LARGEST_RESULT:
        message = f"what it returned is {size} bytes of JSON, over the limit of {LARGEST_RESULT}"
        return {"kind": "bad_result", "message": message}
    return {"kind": "returned", "result": text}


def raised(error: BaseException) -> Frame:
    """What the handler raised, and what it wishes by that: workers/wishes.py."""
    frame = {"kind": "raised", "message": described(error), "traceback": trace(error)} | wish_of(error)
    return frame | {"message": capped(frame["message"], _LONGEST_MESSAGE)}


def not_started(error: BaseException) -> Frame:
    message = str(error) if isinstance(error, TargetError | CannotConfine) else described(error)
    return {"kind": "not_started", "message": capped(message, _LONGEST_MESSAGE), "traceback": trace(error)}


def left(request: SystemExit) -> Frame:
    """The exit code that was asked for, before the kernel cuts it to eight bits: sys.exit(256) is not 0."""
    code = request.code
    if code is None or isinstance(code, int):
        return {"kind": "left", "code": int(code or 0), "message": None}
    return {"kind": "left", "code": 1, "message": capped(_text_of(code), _LONGEST_MESSAGE)}


def described(error: BaseException) -> str:
    name = type(error).__qualname__
    text = _text_of(error)
    return capped(f"{name}: {text}" if text else name, _LONGEST_MESSAGE)


def trace(error: BaseException) -> str:
    """The traceback from the job's own frames on; ours above it say nothing to its author."""
    try:
        lines = traceback.format_exception(type(error), error, _skip_ours(error))
    except Exception as failure:  # noqa: BLE001  (user classes are formatted here, and may do anything)
        return f"(its traceback could not be formatted: {type(failure).__qualname__})"
    return capped("".join(lines), _LONGEST_TRACEBACK)


def capped(text: str, limit: int) -> str:
    """First and last half of a text that is too long, with a note of what is missing."""
    if len(text) <= limit:
        return text
    half = limit // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def heard(frame: Frame) -> Frame:
    """What counts of a frame from a child: known fields, of their types, not too long.

    The process that wrote it had run the job's code.
    """
    known: Frame = {"kind": str(frame.get("kind"))[:20]}
    for field, limit in _TEXTS.items():
        if isinstance(frame.get(field), str):
            known[field] = capped(frame[field], limit)
    for field, types in _NUMBERS.items():
        if isinstance(frame.get(field), types):
            known[field] = frame[field]
    return known | heard_wish(frame) if known["kind"] == "raised" else known


_TEXTS = {"message": _LONGEST_MESSAGE, "traceback": _LONGEST_TRACEBACK, "result": 2 * LARGEST_RESULT}
_NUMBERS: dict[str, type | tuple[type, ...]] = {"code": int, "interrupted": bool, "fraction": (int, float)}


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text_of(value: object) -> str:
    try:
        return str(value)
    except Exception as failure:  # noqa: BLE001  (a user's __str__ may raise anything)
        return f"(its text could not be had: {type(failure).__qualname__})"


def _skip_ours(error: BaseException) -> Any:
    step = error.__traceback__
    # By place, not by name: there may be a package of the user's with ours.
    while step is not None and os.path.dirname(step.tb_frame.f_code.co_filename) == _HERE:
        step = step.tb_next
    return step or error.__traceback__
