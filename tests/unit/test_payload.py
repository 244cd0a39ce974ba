from typing import Any

import pytest

from supervisor.errors import InvalidPayload
from supervisor.payload import DEEPEST, LIMIT, from_text, to_text


@pytest.mark.parametrize(
    "payload", [None, True, 0, -1.5, "", "a  text", "null", [], {}, [{"a": [None]}], "ü\u0000\n\x7f", "😀"]
)
def test_a_payload_comes_back_as_it_was_sent(payload: Any) -> None:
    assert from_text(to_text(payload)) == payload


def test_the_text_is_compact() -> None:
    assert to_text({"a": [1, 2], "ü": None}) == '{"a":[1,2],"ü":null}'


@pytest.mark.parametrize("payload", ["\ud83d", ["a\udc00"], {"\ud83d": 1}])
def test_half_a_surrogate_pair_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidPayload, match="half of a surrogate pair"):
        to_text(payload)


def test_two_halves_that_are_a_pair_are_the_character_that_they_stand_for() -> None:
    assert to_text("\ud83d\ude00") == '"😀"'


def test_an_escape_that_is_meant_as_text_is_text() -> None:
    assert from_text(to_text("\\ud83d")) == "\\ud83d"


def nested(levels: int) -> Any:
    payload: Any = "[{" * 500  # brackets in a string are none
    for level in range(levels):
        payload = [payload, 0] if level % 2 else {"a": payload}
    return payload


def test_two_hundred_levels_are_taken_and_one_more_is_not() -> None:
    assert from_text(to_text(nested(DEEPEST))) == nested(DEEPEST)
    assert to_text([[]] * 1000)
    for levels in (DEEPEST + 1, 900, 100_000):
        with pytest.raises(InvalidPayload, match="nested more than 200 levels deep"):
            to_text(nested(levels))


def test_text_that_gives_a_name_twice_is_refused() -> None:
    with pytest.raises(InvalidPayload, match="'b' more than once"):
        from_text('{"a": {"b": 1, "c": 2, "b": 1}}')


@pytest.mark.parametrize("payload", [float("nan"), float("inf"), -float("inf"), {1, 2}, b"bytes", object()])
def test_what_json_cannot_say_is_refused(payload: Any) -> None:
    with pytest.raises(InvalidPayload, match="not JSON"):
        to_text(payload)


def test_a_payload_that_contains_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(InvalidPayload):
        to_text(loop)


def test_exactly_one_mebibyte_is_taken_and_a_byte_more_is_not() -> None:
    assert len(to_text("x" * (LIMIT - 2))) == LIMIT
    with pytest.raises(InvalidPayload, match="larger than 1 MiB"):
        to_text("x" * (LIMIT - 1))


def test_the_limit_counts_bytes_not_characters() -> None:
    with pytest.raises(InvalidPayload, match="larger than 1 MiB"):
        to_text("ü" * (LIMIT // 2))


@pytest.mark.parametrize("text", ["", "hello", "{a: 1}", "[1,]", "'a'", "1 2", "\ufeff1"])
def test_text_that_is_not_json_is_refused_with_the_place(text: str) -> None:
    with pytest.raises(InvalidPayload, match=r"line \d+ column \d+"):
        from_text(text)


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_words_that_only_python_takes_for_json_are_refused_by_name(word: str) -> None:
    with pytest.raises(InvalidPayload, match=f"{word} is not a JSON value"):
        from_text(f'{{"a": [{word}]}}')


@pytest.mark.parametrize("text", ["[" * 100_000, "9" * 10_000], ids=["depth", "digits"])
def test_text_that_python_cannot_read_is_refused_and_nothing_worse(text: str) -> None:
    with pytest.raises(InvalidPayload):
        from_text(text)
