"""What travels between supervisor, keeper and child: length-capped JSON frames.

A frame is four bytes of length, big-endian, and that many bytes of a JSON object. Never a pickle:
unpickling what a job sent would run the job's code here. Pure; who reads and writes is elsewhere.
"""

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

Frame = dict[str, Any]

LENGTH = 4
LARGEST = 16 * 1024 * 1024
"""Bytes of one frame."""
LARGEST_REPORT = 7 * 1024 * 1024
"""Likewise, from a child: a result of 1 MiB fits, though U+007F is written with six bytes for its one. What
was read can be sent on in a frame around it."""
_GROWS = 0x7F
"""ASCII, and escaped when it is written: a job that sent it bare would have us write too large a frame."""


class BrokenStream(Exception):
    """What arrived is not a frame; nothing behind it on this stream can be trusted."""


def encode(frame: Frame) -> bytes:
    """The bytes of one frame.

    Raises ValueError where it is larger than LARGEST.
    """
    body = _ENCODER.encode(frame).encode()
    if len(body) > LARGEST:
        raise ValueError(f"a frame of {len(body)} bytes is over the limit of {LARGEST}")
    return len(body).to_bytes(LENGTH, "big") + body


class Decoder:
    """Bytes in any portions -> whole frames, in order."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that `data` completes, each before anything is said of what is behind it.

        Raises BrokenStream where the length is over `largest` or the body is no JSON object.
        """
        self._buffer += data
        while (end := self._end_of_first()) is not None:
            frame = _parse(bytes(self._buffer[LENGTH:end]))
            del self._buffer[:end]
            yield frame

    @property
    def holds_a_part(self) -> bool:
        """True where a frame has begun and not ended."""
        return bool(self._buffer)

    def _end_of_first(self) -> int | None:
        if len(self._buffer) < LENGTH:
            return None
        size = int.from_bytes(self._buffer[:LENGTH], "big")
        if size > self._largest:
            raise BrokenStream(f"a frame claims {size} bytes")
        return LENGTH + size if len(self._buffer) >= LENGTH + size else None


def _parse(body: bytes) -> Frame:
    """Strict, so that every frame that was read can be written, no larger: as ASCII, and without NaN."""
    if _GROWS in body:
        raise BrokenStream("a frame has U+007F unescaped")
    try:
        frame = _DECODER.decode(body.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise BrokenStream("a frame is not JSON") from error
    if not isinstance(frame, dict):
        raise BrokenStream("a frame is not a JSON object")
    return frame


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):  # 1e999
        raise ValueError(f"{digits} is too large")
    return number


# Made once: json.dumps and json.loads make one for each call that asks for anything special.
_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite)
