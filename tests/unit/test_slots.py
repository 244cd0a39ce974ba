from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as some

from supervisor import slots


@dataclass(frozen=True)
class Waiting:
    seq: int
    priority: int


def test_free_slots_are_the_limit_less_what_is_in_use() -> None:
    assert slots.free({"a": 3, "b": 2}, {"a": 1}) == {"a": 2, "b": 2}


def test_a_full_type_and_one_whose_limit_was_lowered_have_none() -> None:
    assert slots.free({"a": 1, "b": 1}, {"a": 1, "b": 5}) == {}


def test_a_type_that_is_not_configured_has_no_slots() -> None:
    assert slots.free({"a": 1}, {"gone": 4}) == {"a": 1}


def test_the_line_is_by_priority_and_then_by_submission() -> None:
    waiting = [Waiting(1, 0), Waiting(2, 5), Waiting(3, 5), Waiting(4, -1)]
    assert [job.seq for job in slots.line_up(waiting, 4)] == [2, 3, 1, 4]


@given(some.dictionaries(some.text(max_size=2), some.integers(1, 9)), some.data())
def test_what_may_start_never_exceeds_a_limit(limits: dict[str, int], data: some.DataObject) -> None:
    in_use = {name: data.draw(some.integers(0, 12)) for name in limits}
    for name, number in slots.free(limits, in_use).items():
        assert 0 < number <= limits[name] - in_use[name]
