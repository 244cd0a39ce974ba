"""Frames: whatever is sent arrives, and whatever arrives is a frame or an error."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.frames import LARGEST, BrokenStream, Decoder, Frame, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)
FRAMES = st.dictionaries(st.text(), VALUES, max_size=5)


def _raw(body: bytes) -> bytes:
    return len(body).to_bytes(4, "big") + body


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(1, 40)))
def test_frames_arrive_whole_and_in_order_however_they_are_cut(frames: list[Frame], cuts: list[int]) -> None:
    data, decoder = b"".join(map(encode, frames)), Decoder()
    arrived: list[Frame] = []
    for cut in cuts:
        arrived += decoder.feed(data[:cut])
        data = data[cut:]
    arrived += decoder.feed(data)
    assert arrived == frames
    assert not decoder.holds_a_part


@given(st.binary(max_size=200))
def test_what_was_read_can_be_written_again(data: bytes) -> None:
    """The keeper sends on what a job's process wrote: it must not choke on it."""
    decoder = Decoder()
    try:
        frames = list(decoder.feed(data))
    except BrokenStream:
        return
    assert list(Decoder().feed(b"".join(map(encode, frames)))) == frames


BROKEN = {
    "too long": b"\xff\xff\xff\xff",
    "a byte too long": (LARGEST + 1).to_bytes(4, "big"),
    "empty": _raw(b""),
    "a list": _raw(b"[]"),
    "a number": _raw(b"1"),
    "not JSON": _raw(b"{"),
    "two of them": _raw(b"{}{}"),
    "NaN": _raw(b'{"a":NaN}'),
    "infinity": _raw(b'{"a":-Infinity}'),
    "too large a number": _raw(b'{"a":1e999}'),
    "too long a number": _raw(b'{"a":' + b"9" * 10_000 + b"}"),
    "not ASCII": _raw('{"a":"é"}'.encode()),
    "a character that grows when it is written again": _raw(b'{"a":"\x7f"}'),
    "not UTF-8": _raw(b'{"a":"\xff"}'),
    "too deep": _raw(b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_no_frame_breaks_the_stream(data: bytes) -> None:
    with pytest.raises(BrokenStream):
        list(Decoder().feed(data))


def test_what_came_before_the_break_is_there() -> None:
    """However the stream was cut: what a job did must not depend on it."""
    frames = Decoder().feed(encode({"a": 1}) + encode({"b": 2}) + b"\xff" * 4)
    assert [next(frames), next(frames)] == [{"a": 1}, {"b": 2}]
    with pytest.raises(BrokenStream):
        next(frames)


def test_a_part_is_kept_until_the_rest_comes() -> None:
    data, decoder = encode({"a": 1}), Decoder()
    for byte in data[:-1]:
        assert list(decoder.feed(bytes([byte]))) == []
        assert decoder.holds_a_part
    assert list(decoder.feed(data[-1:])) == [{"a": 1}]


def test_a_decoder_may_be_stricter() -> None:
    with pytest.raises(BrokenStream):
        list(Decoder(largest=10).feed(encode({"a": "12345"})))


def test_a_frame_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(ValueError, match="over the limit"):
        encode({"a": "x" * LARGEST})


def test_a_frame_without_a_json_value_is_not_sent() -> None:
    with pytest.raises(ValueError, match="JSON"):
        encode({"a": float("nan")})


def test_half_a_surrogate_pair_comes_through() -> None:
    assert list(Decoder().feed(encode({"a": "\ud800"}))) == [json.loads('{"a":"\\ud800"}')]
