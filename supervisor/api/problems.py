"""What went wrong, as a client gets to see it: application/problem+json (RFC 9457), no more than it needs."""

import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 2
"""Seconds."""

MOST_NAMED = 20
"""Unknown names: an answer does not grow with what was asked."""
_LONGEST_NAME = 100

FieldErrors = Sequence[tuple[str, str]]
"""Fields and what is wrong with each."""


class Problem(Exception):
    """An answer that is no success; raised anywhere below the gate."""

    def __init__(
        self, status: int, detail: str, errors: FieldErrors = (), headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})


def invalid(errors: FieldErrors) -> Problem:
    """400, with each field named."""
    return Problem(400, "; ".join(f"{field}: {message}" for field, message in errors), errors)


def shown(name: str) -> str:
    """Of what a client has sent, as much as an answer repeats."""
    return name if len(name) <= _LONGEST_NAME else name[:_LONGEST_NAME] + "..."


def unavailable(detail: str = "The database cannot be reached at the moment; nothing was done.") -> Problem:
    return Problem(503, detail, headers={"Retry-After": str(RETRY_AFTER)})


def failure() -> Problem:
    """A mistake of ours."""
    return Problem(500, "Something went wrong in the server; its log says what.")


def no_such_job() -> Problem:
    return Problem(404, "There is no job with this id.")


def body_of(problem: Problem) -> bytes:
    document: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
    }
    if problem.errors:
        document["errors"] = [{"field": field, "message": message} for field, message in problem.errors]
    # Escaped: what a client sent, half a surrogate pair too, can be part of a message.
    return json.dumps(document).encode()


def response_to(problem: Problem) -> Response:
    return Response(body_of(problem), problem.status, problem.headers, MEDIA_TYPE)
