"""A payload between what a caller holds and what is stored: compact JSON text, at most 1 MiB. Pure."""

import json
from typing import Any, NoReturn

from supervisor.errors import InvalidPayload

LIMIT = 1 << 20
"""Bytes of compact JSON in UTF-8."""


def to_text(payload: Any) -> str:
    """Compact JSON, as it is stored.

    Raises InvalidPayload where the value is not JSON (NaN, a set, a loop ...) or is too large.
    """
    try:
        text = compact(payload)
    except RecursionError as error:
        raise InvalidPayload("the payload is nested too deeply, or contains itself") from error
    except (TypeError, ValueError) as error:
        raise InvalidPayload(f"the payload is not JSON: {error}") from error
    if len(text) > LIMIT or len(text.encode()) > LIMIT:
        raise InvalidPayload("the payload is larger than 1 MiB of compact JSON")
    return text


def compact(value: Any) -> str:
    """The one JSON text for a value. Raises as json.dumps does where it is not JSON."""
    text = json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        # Half of a surrogate pair is legal in JSON, escaped, and in nothing else that text goes through.
        return json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text


def from_text(text: str) -> Any:
    """What JSON text says, strictly: NaN and Infinity are not JSON, whatever Python's own reader thinks.

    Raises InvalidPayload; its message has the line and the column.
    """
    try:
        return json.loads(text, parse_constant=_refuse)
    except InvalidPayload:  # a ValueError too
        raise
    except RecursionError as error:
        raise InvalidPayload("the payload is nested too deeply") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise InvalidPayload(f"the payload is not JSON: {error.msg} at {place}") from error
    except ValueError as error:  # a number of more digits than Python converts
        raise InvalidPayload(f"the payload is not JSON that can be read: {error}") from error


def _refuse(word: str) -> NoReturn:
    raise InvalidPayload(f"the payload is not JSON: {word} is not a JSON value")
