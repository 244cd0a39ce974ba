"""Another attempt, or none: checked where it is wished for, and again where it is heard."""

import pickle
from datetime import timedelta
from typing import Any

import pytest

from workers.report import heard, raised
from workers.wishes import LONGEST, Discard, Retry


@pytest.mark.parametrize(
    "after, seconds",
    [
        (None, None),
        (0, 0.0),
        (1.5, 1.5),
        (timedelta(minutes=2), 120.0),
        (10**400, LONGEST),
        (timedelta.max, LONGEST),
    ],
)
def test_another_attempt_after_so_many_seconds(after: Any, seconds: float | None) -> None:
    assert Retry(after=after).after == seconds
    assert raised(Retry(after=after))["after"] == seconds


@pytest.mark.parametrize(
    "after", [-1, -0.1, float("nan"), float("inf"), timedelta(seconds=-1), "1", True, [], 1j]
)
def test_what_is_no_time_from_now_on_is_refused_where_it_is_written(after: Any) -> None:
    with pytest.raises(ValueError, match="after takes seconds"):
        Retry("later", after=after)


def test_the_message_is_the_reason() -> None:
    assert raised(Retry("the server is busy"))["message"] == "the server is busy"
    assert raised(Retry())["message"] == "it asked for another attempt"
    assert raised(Discard("no such customer"))["message"] == "no such customer"
    assert raised(Discard(""))["message"] == "it asked for no further attempt"
    assert len(raised(Discard("x" * 10**6))["message"]) < 9000


def test_a_subclass_is_one_too_whatever_it_does_to_itself() -> None:
    class Busy(Retry):
        def __init__(self, after: Any) -> None:
            self.after = after
            self.reason = [after]  # type: ignore[assignment]

    assert raised(Busy(5)).items() >= {"wish": "retry", "after": 5.0}.items()
    for nonsense in (float("nan"), "x", object()):
        frame = raised(Busy(nonsense))
        assert (frame["wish"], frame["after"]) == ("retry", None)
        assert frame["message"] == "it asked for another attempt"


def test_neither_a_cause_nor_a_member_of_a_group_is_a_wish() -> None:
    error = ValueError("x")
    error.__cause__ = Retry("y")
    assert "wish" not in raised(error)
    assert "wish" not in raised(ExceptionGroup("g", [Discard("y")]))


def test_they_pass_through_a_pool_of_processes() -> None:
    copy = pickle.loads(pickle.dumps(Retry("busy", after=5)))
    assert (copy.reason, copy.after) == ("busy", 5.0)


@pytest.mark.parametrize(
    "said, known",
    [
        ({"wish": "retry", "after": 5}, {"wish": "retry", "after": 5.0}),
        ({"wish": "retry"}, {"wish": "retry", "after": None}),
        ({"wish": "retry", "after": 10**400}, {"wish": "retry", "after": LONGEST}),
        ({"wish": "retry", "after": -1}, {"wish": "retry", "after": None}),
        ({"wish": "retry", "after": "5"}, {"wish": "retry", "after": None}),
        ({"wish": "retry", "after": True}, {"wish": "retry", "after": None}),
        ({"wish": "discard", "after": 5}, {"wish": "discard"}),
        ({"wish": "complete"}, {}),
        ({"wish": ["retry"]}, {}),
        ({"after": 5}, {}),
    ],
)
def test_a_forged_wish_counts_as_far_as_it_is_one(said: dict[str, Any], known: dict[str, Any]) -> None:
    assert heard({"kind": "raised", **said}) == {"kind": "raised", **known}
    assert heard({"kind": "left", **said}) == {"kind": "left"}
