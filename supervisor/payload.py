"""A payload between what a caller holds and what is stored: compact JSON text, at most 1 MiB. Pure.

What is refused here is refused whichever way a job is submitted: over HTTP, by the command line, from Python.
"""

import json
import re
from collections import Counter
from itertools import accumulate
from typing import Any, NoReturn

from supervisor.errors import InvalidPayload, PayloadTooLarge

LIMIT = 1 << 20
"""Bytes of compact JSON in UTF-8."""
DEEPEST = 200
"""Levels of nesting: every reader of JSON has a limit of its own, and a payload is read by several."""

# Possessive, and content with a string that never ends: whatever is sent, it is read once.
_STRINGS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+\\?(?:"|\Z)', re.DOTALL)
_STEPS = dict(zip(b"[{]}", (1, 1, -1, -1), strict=True))
_NO_BRACKETS = bytes(set(range(256)) - _STEPS.keys())


def to_text(payload: Any) -> str:
    """Compact JSON, as it is stored.

    Raises PayloadTooLarge; InvalidPayload where the value is not JSON (NaN, a set, a loop ...), is nested too
    deeply, or has half of a surrogate pair.
    """
    try:
        text = _whole(json.dumps(payload, allow_nan=False, ensure_ascii=False, separators=(",", ":")))
        encoded = text.encode()
    except RecursionError as error:
        raise InvalidPayload(
            f"the payload is nested more than {DEEPEST} levels deep, or contains itself"
        ) from error
    except UnicodeError as error:
        raise InvalidPayload("the payload has half of a surrogate pair, which no text can hold") from error
    except (TypeError, ValueError) as error:
        raise InvalidPayload(f"the payload is not JSON: {error}") from error
    if len(encoded) > LIMIT:
        raise PayloadTooLarge("the payload is larger than 1 MiB of compact JSON")
    if is_deeper(encoded, DEEPEST):
        raise InvalidPayload(f"the payload is nested more than {DEEPEST} levels deep")
    return text


def _whole(text: str) -> str:
    """With each surrogate pair as the character that it stands for. Raises UnicodeError for half of one."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    return text


def is_deeper(text: bytes, levels: int) -> bool:
    """Whether it opens more brackets inside each other: without a stack. That they match, a parser says."""
    if text.count(b"[") + text.count(b"{") <= levels:
        return False
    brackets = _STRINGS.sub(b"", text).translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0) > levels


def compact(value: Any) -> str:
    """The one JSON text for a value. Raises as json.dumps does where it is not JSON."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair: a result can have one, and so can a payload of an earlier version.
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def from_text(text: str) -> Any:
    """What JSON text says, strictly: NaN and Infinity are not JSON, whatever Python's own reader thinks.

    Raises InvalidPayload; its message has the line and the column.
    """
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_without_twins)
    except InvalidPayload:  # a ValueError too
        raise
    except RecursionError as error:
        raise InvalidPayload("the payload is nested too deeply") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InvalidPayload(f"the payload is not JSON: {error.msg} at {place}") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise InvalidPayload(f"the payload is not JSON that can be read: {error}") from error


def twin(pairs: list[tuple[str, Any]]) -> str:
    """A name that is given more than once: readers differ in which of the two they take."""
    return next(name for name, times in Counter(name for name, _ in pairs).items() if times > 1)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise InvalidPayload(f"the payload gives the name {twin(pairs)[:100]!r} more than once")
    return found


def _refuse(word: str) -> NoReturn:
    raise InvalidPayload(f"the payload is not JSON: {word} is not a JSON value")
