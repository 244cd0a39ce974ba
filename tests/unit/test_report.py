"""What a child says about itself: always capped, always storable."""

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from workers.frames import Decoder, Frame
from workers.report import LARGEST_RESULT, Reporter, capped, described, heard, left, raised, returned


@pytest.mark.parametrize("value", [None, 1, 1.5, "é", [1, [2]], {"a": {"b": None}}, True])
def test_a_json_value_is_returned(value: Any) -> None:
    frame = returned(value)
    assert frame["kind"] == "returned"
    assert json.loads(frame["result"]) == value


def test_text_is_not_escaped_but_where_it_must_be() -> None:
    assert returned("é")["result"] == '"é"'
    assert returned("é\udc80")["result"] == '"\\u00e9\\udc80"'


def test_the_limit_is_in_bytes() -> None:
    assert returned("é" * (LARGEST_RESULT // 2 - 1))["kind"] == "returned"
    assert returned("é" * (LARGEST_RESULT // 2))["kind"] == "bad_result"


def test_a_long_text_keeps_its_ends() -> None:
    text = capped("a" * 100 + "b" * 100, 20)
    assert text == "a" * 10 + "\n... 180 characters left out ...\n" + "b" * 10
    assert capped("short", 20) == "short"


@pytest.mark.parametrize(
    "asked, code, message",
    [
        (None, 0, None),
        (0, 0, None),
        (3, 3, None),
        (256, 256, None),
        (True, 1, None),
        ("why", 1, "why"),
        ([], 1, "[]"),
    ],
)
def test_leaving(asked: Any, code: int, message: str | None) -> None:
    assert left(SystemExit(asked)) == {"kind": "left", "code": code, "message": message}


def test_an_exception_without_text_is_its_name() -> None:
    assert described(ValueError()) == "ValueError"
    assert described(ValueError("x")) == "ValueError: x"


def test_a_cause_and_notes_are_in_the_traceback() -> None:
    inner, outer = KeyError("inner"), ValueError("outer")
    inner.add_note("a note")
    outer.__cause__ = inner
    text = raised(outer)["traceback"]
    assert text.index("inner") < text.index("a note") < text.index("outer")


FORGED: dict[str, tuple[Frame, Frame]] = {
    "nothing": ({}, {"kind": "None"}),
    "unknown fields": ({"kind": "left", "op": "ended", "child": 7}, {"kind": "left"}),
    "other types": (
        {"kind": ["x"], "code": "1", "message": 5, "interrupted": 1, "fraction": "x", "result": {}},
        {"kind": "['x']"},
    ),
    "all": (
        {
            "kind": "returned",
            "code": 1,
            "message": "m",
            "interrupted": True,
            "fraction": 0.5,
            "result": "1",
            "traceback": "t",
        },
        {
            "kind": "returned",
            "code": 1,
            "message": "m",
            "interrupted": True,
            "fraction": 0.5,
            "result": "1",
            "traceback": "t",
        },
    ),
}


@pytest.mark.parametrize("frame, known", FORGED.values(), ids=FORGED)
def test_of_what_a_child_wrote_only_what_is_known_counts(frame: Frame, known: Frame) -> None:
    assert heard(frame) == known


def test_what_a_child_wrote_is_capped_here_as_well() -> None:
    frame = heard(
        {"kind": "x" * 10**6, "message": "x" * 10**6, "traceback": "x" * 10**6, "result": "x" * 10**7}
    )
    assert len(json.dumps(frame)) < 3 * LARGEST_RESULT


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    read, write = os.pipe()
    os.set_blocking(read, False)
    yield read, write
    for fd in (read, write):
        try:
            os.close(fd)
        except OSError:
            continue


def _heard(read: int) -> list[Frame]:
    try:
        return list(Decoder().feed(os.read(read, 1 << 16)))
    except BlockingIOError:
        return []


def test_a_new_message_is_passed_on_at_once_and_the_same_one_seldom(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    reporter = Reporter(pipe[1])
    for step in range(10):
        reporter.progress(step / 100, "one")
    reporter.progress(0.5, "two")
    reporter.progress(1.0, "two")
    now += 0.11
    reporter.progress(0.6, "two")
    said = [(frame["fraction"], frame["message"]) for frame in _heard(pipe[0])]
    assert said == [(0.0, "one"), (0.5, "two"), (1.0, "two"), (0.6, "two")]


def test_a_flood_of_new_messages_is_cut_off_and_then_goes_on(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    reporter = Reporter(pipe[1])
    for step in range(1000):
        reporter.progress(0.5, str(step))
    assert len(_heard(pipe[0])) == 50
    now += 0.1
    reporter.progress(0.5, "later")
    assert [frame["message"] for frame in _heard(pipe[0])] == ["later"]


@pytest.mark.parametrize("message", [str, lambda _: "the same"])
def test_before_the_last_word_comes_the_last_progress_however_soon_it_came(
    pipe: tuple[int, int], message: Callable[[int], str]
) -> None:
    reporter = Reporter(pipe[1])
    for step in range(1000):
        reporter.progress(step / 1000, message(step))
    reporter.say({"kind": "returned"})
    *_, last, word = _heard(pipe[0])
    assert (last["fraction"], last["message"], word["kind"]) == (0.999, message(999), "returned")


def test_what_was_passed_on_already_is_not_said_again_at_the_end(pipe: tuple[int, int]) -> None:
    reporter = Reporter(pipe[1])
    reporter.progress(0.5, None)
    reporter.say({"kind": "returned"})
    assert [frame["kind"] for frame in _heard(pipe[0])] == ["progress", "returned"]


def test_a_progress_frame_goes_into_the_pipe_in_one_piece(pipe: tuple[int, int]) -> None:
    Reporter(pipe[1]).progress(0.5, "\U0001f600" * 10_000)
    data = os.read(pipe[0], 1 << 16)
    assert 100 < len(data) <= 4096


def test_nothing_is_said_after_the_last_word(pipe: tuple[int, int]) -> None:
    reporter = Reporter(pipe[1])
    assert reporter.say({"kind": "executing"})
    reporter.progress(0.5, None)
    assert reporter.say({"kind": "returned"})
    reporter.progress(0.6, "late")
    assert [frame["kind"] for frame in _heard(pipe[0])] == ["executing", "progress", "returned"]


def test_a_closed_pipe_is_no_exception(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    reporter = Reporter(pipe[1])
    reporter.progress(0.5, None)
    assert not reporter.say({"kind": "returned"})
