"""A request's body: read within limits of size and time, and understood strictly or not at all."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NoReturn

from starlette.requests import Request

from supervisor.api.gate import LARGEST_BODY, too_large
from supervisor.api.problems import MOST_NAMED, Problem, invalid, shown, unavailable
from supervisor.client import PRIORITIES
from supervisor.errors import InvalidPayload, PayloadTooLarge
from supervisor.payload import DEEPEST, is_deeper, to_text, twin
from supervisor.store.submitting import Wanted

SECONDS = 10.0
DEEPEST_BODY = DEEPEST + 1
"""Levels of nesting: the payload's, and the object around it."""
ALL_BODIES = 64 * 2**20
"""Bytes that the bodies of all requests may have in memory at a time."""

FIELDS = ("type", "payload", "priority")

_JSON = re.compile(r'application/json\s*(?:;\s*charset\s*=\s*"?utf-?8"?\s*)?\Z', re.IGNORECASE)


class Bodies:
    """What is in memory, of all requests together."""

    def __init__(self) -> None:
        self._held = 0

    @asynccontextmanager
    async def of(self, request: Request) -> AsyncIterator[bytes]:
        """The body, which counts until nobody needs it any more.

        Raises a Problem for what is too large, too slow or too much at once.
        """
        _check_type(request)
        parts: list[bytes] = []
        try:
            await self._receive(request, parts)
            parts[:] = [b"".join(parts)]
            yield parts[0]
        finally:
            self._held -= sum(map(len, parts))

    async def _receive(self, request: Request, parts: list[bytes]) -> None:
        size = 0
        try:
            async with asyncio.timeout(SECONDS):
                async for part in request.stream():
                    parts.append(part)
                    size += len(part)
                    self._held += len(part)
                    if size > LARGEST_BODY:
                        raise too_large()
                    if self._held > ALL_BODIES:
                        raise unavailable("The server is busy; nothing was done.")
        except TimeoutError:
            detail = f"The body did not come within {SECONDS:g} seconds."
            raise Problem(408, detail, headers={"Connection": "close"}) from None


def submission(body: bytes, key: str | None) -> Wanted:
    """What is asked for. Raises the Problem that says what is wrong with it, 400 or 413."""
    document = _parsed(body)
    if not isinstance(document, dict):
        raise invalid([("body", "must be a JSON object")])
    unknown = sorted(document.keys() - FIELDS)[:MOST_NAMED]
    errors = [(shown(name), f"is not a field; there are: {', '.join(FIELDS)}") for name in unknown]
    kind, priority = document.get("type"), document.get("priority")
    if "type" not in document:
        errors.append(("type", "is missing"))
    elif not isinstance(kind, str):
        errors.append(("type", "must be a string"))
    if isinstance(priority, float) and priority.is_integer():
        priority = int(priority)  # 1.0 is a whole number, says JSON Schema
    if priority is not None and (type(priority) is not int or priority not in PRIORITIES):
        errors.append(("priority", "must be a whole number of 32 bits"))
    if errors:
        raise invalid(errors)
    try:
        return Wanted(str(kind), to_text(document.get("payload")), priority, key)
    except PayloadTooLarge as error:
        raise too_large() from error
    except InvalidPayload as error:
        raise invalid([("payload", str(error).removeprefix("the payload "))]) from error


def _check_type(request: Request) -> None:
    if not _JSON.match(request.headers.get("content-type", "")):
        raise Problem(415, "The body must be JSON: Content-Type: application/json.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Problem(415, "The body must not be compressed.")


def _parsed(body: bytes) -> Any:
    try:
        text = body.decode("utf-8")
        if is_deeper(body, DEEPEST_BODY):  # parsing needs a stack
            raise invalid([("body", f"is nested more than {DEEPEST_BODY} levels deep")])
        return json.loads(
            text, parse_constant=_refuse_constant, parse_float=_finite, object_pairs_hook=_without_twins
        )
    except UnicodeDecodeError:
        raise invalid([("body", "is not UTF-8")]) from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise invalid([("body", f"is not JSON: {error.msg} at {place}")]) from None
    except (ValueError, RecursionError):  # ValueError: a number of more digits than Python converts
        raise invalid([("body", "has a number with too many digits")]) from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise invalid([(shown(twin(pairs)), "is given more than once")])
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise invalid([("body", "has a number that is too large")])
    return number


def _refuse_constant(word: str) -> NoReturn:
    raise invalid([("body", f"is not JSON: {word} is not a JSON value")])
