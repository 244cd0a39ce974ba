"""How a log looks that is not there as a whole."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from supervisor.printed import View, view_of
from workers.excess import excess

LINE = re.compile(rb"(?:\A|(?<=\n))\[\.\.\. ([0-9,]+) bytes left out \.\.\.\]\n")


def view(text: bytes, limit: int) -> View:
    return view_of(len(text), excess(len(text), limit), lambda start, stop: text[start:stop])


def composed(view: View, text: bytes, start: int = 0, stop: int | None = None) -> bytes:
    pieces = view.pieces(start, view.size if stop is None else stop)
    return b"".join(piece if isinstance(piece, bytes) else text[piece.start : piece.stop] for piece in pieces)


def shown(text: bytes, limit: int) -> bytes:
    return composed(view(text, limit), text)


printed = st.one_of(
    st.binary(max_size=300),
    st.text(max_size=200).map(str.encode),
    st.lists(st.text("aä€😀", max_size=9), max_size=60).map("\n".join).map(str.encode),
)


@given(printed, st.integers(0, 300))
@example(b"", 0)
@example(b"x", 0)
def test_what_is_shown_and_what_is_said_to_be_missing_make_up_the_whole(text: bytes, limit: int) -> None:
    found = view(text, limit)
    whole = composed(found, text)
    assert found.size == len(whole)
    if len(text) <= limit:
        assert whole == text
        return
    head, rest = whole[: found.head], whole[found.head :].removeprefix(b"\n")
    line = LINE.match(rest)
    assert line
    tail = rest[line.end() :]
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(head) <= limit // 2
    assert len(head) + len(tail) <= limit
    assert len(head) + int(line[1].replace(b",", b"")) + len(tail) == len(text)


@given(st.text("aä€😀\n", max_size=200).map(str.encode), st.integers(0, 300))
def test_no_character_is_broken(text: bytes, limit: int) -> None:
    assert shown(text, limit).decode("utf-8", "strict") is not None


@given(printed, st.integers(0, 300), st.integers(0, 400), st.integers(0, 400))
def test_a_part_is_that_part_of_the_whole(text: bytes, limit: int, one: int, other: int) -> None:
    found = view(text, limit)
    start, stop = sorted((min(one, found.size), min(other, found.size)))
    assert composed(found, text, start, stop) == composed(found, text)[start:stop]


NUMBERED = b"".join(b"line %03d\n" % n for n in range(1000))


@pytest.mark.parametrize("limit", range(180, 200))
def test_short_lines_are_whole_on_both_sides(limit: int) -> None:
    lines = shown(NUMBERED, limit).splitlines()
    between = [line for line in lines if line.startswith(b"[")]
    assert len(between) == 1
    assert set(lines) - set(between) <= set(NUMBERED.splitlines())
    assert len(lines) >= 18


def test_a_line_is_kept_that_begins_exactly_where_the_end_does() -> None:
    assert shown(NUMBERED, 180) == NUMBERED[:90] + b"[... 8,820 bytes left out ...]\n" + NUMBERED[-90:]


def test_a_long_line_is_cut_through() -> None:
    whole = shown(b"x" * 100_000, 50_000)
    assert whole == b"x" * 25_000 + b"\n[... 50,000 bytes left out ...]\n" + b"x" * 25_000


def test_with_a_limit_of_nothing_the_line_is_all() -> None:
    assert shown(b"some\ntext\n", 0) == b"[... 10 bytes left out ...]\n"
    assert shown(b"", 0) == b""


def test_what_lies_in_between_is_never_read() -> None:
    """It may be gigabytes; and on disk it is not there."""
    size, limit = 10**12, 10 * 2**20

    def read(start: int, stop: int) -> bytes:
        assert stop - start <= 8192
        assert stop <= limit // 2 or start >= size - limit // 2 - 1
        return b"x" * (stop - start)

    assert view_of(size, excess(size, limit), read).size < limit + 100
