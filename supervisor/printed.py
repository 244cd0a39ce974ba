"""What is shown of a log: all of it, or beginning and end and between them how much is missing. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Read = Callable[[int, int], bytes]
"""The bytes of the file from the first position up to before the second."""

_NEAR = 4096
"""Bytes given up at most, so that whole lines stand before and after the line between."""
_LONGEST_CHARACTER = 4


@dataclass(frozen=True, slots=True)
class View:
    """The text that readers see, as parts of a file with a line between them."""

    head: int
    """The beginning goes up to before this position in the file."""
    between: bytes
    tail: int
    """Where in the file the rest begins."""
    stop: int
    """Where in the file it ends."""

    @property
    def size(self) -> int:
        """Bytes of the whole text."""
        return self._seam + self.stop - self.tail

    def pieces(self, start: int, stop: int) -> Iterator[bytes | range]:
        """A part of the text: bytes as they are, and ranges of the file."""
        if start < self.head:
            yield range(start, min(stop, self.head))
        if text := self.between[max(0, start - self.head) : max(0, stop - self.head)]:
            yield text
        if stop > self._seam:
            shift = self.tail - self._seam
            yield range(max(start, self._seam) + shift, stop + shift)

    @property
    def _seam(self) -> int:
        return self.head + len(self.between)


def view_of(size: int, gone: range, read: Read) -> View:
    """How a file of this size looks of which these bytes are not kept.

    Neither half a character nor, where lines are short, half a line stands at the seam; what is given up for
    that counts as missing.
    """
    if not gone:
        return View(size, b"", size, size)
    near = min(_NEAR, gone.start // 4)
    head = gone.start - _unfit_end(
        read(gone.start - max(near, min(gone.start, _LONGEST_CHARACTER)), gone.start)
    )
    tail = first_shown(size, gone.stop, read)
    return View(head, line_between(tail - head, after=read(max(0, head - 1), head)), tail, size)


def first_shown(size: int, start: int, read: Read) -> int:
    """Where to begin when all before `start` is gone: with a line where one begins near, else a character."""
    near = min(_NEAR, (size - start) // 4)
    before, text = read(start - 1, start), read(start, min(size, start + max(near, _LONGEST_CHARACTER)))
    if before == b"\n":
        return start
    newline = text.find(b"\n", 0, near)
    if newline >= 0:
        return start + newline + 1
    rest = text[: _LONGEST_CHARACTER - 1].lstrip(_CONTINUATION)
    return start + min(len(text), _LONGEST_CHARACTER - 1) - len(rest)


def line_between(missing: int, after: bytes) -> bytes:
    """The line, on a line of its own; `after` is what was shown before it."""
    newline = b"" if not after or after.endswith(b"\n") else b"\n"
    return newline + f"[... {missing:,} bytes left out ...]\n".encode()


_CONTINUATION = bytes(range(0x80, 0xC0))


def _unfit_end(text: bytes) -> int:
    """How many bytes at the end of the beginning are given up."""
    newline = text.rfind(b"\n")
    if newline >= 0:
        return len(text) - newline - 1
    rest = text.rstrip(_CONTINUATION)
    lead, present = rest[-1:], 1 + len(text) - len(rest)
    return present if lead and present < _length(lead[0]) else 0


def _length(lead: int) -> int:
    """Bytes of the character that begins with this one (RFC 3629); 0 where none does."""
    return 4 if 0xF0 <= lead < 0xF5 else 3 if 0xE0 <= lead < 0xF0 else 2 if 0xC2 <= lead < 0xE0 else 0
