"""Answers as JSON text.

The text of a payload or a result is passed on as it is stored: what was sent comes back digit by digit, and
however deeply it is nested, nobody has to read it here.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from supervisor import representation
from supervisor.store.records import Job

_ENCODE = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Answer(Response):
    """JSON."""

    media_type = "application/json"

    def __init__(
        self, document: Any, status_code: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(as_bytes(as_text(document)), status_code, headers)


class JobAnswer(Response):
    """One job."""

    media_type = "application/json"

    def __init__(self, job: Job, status_code: int = 200, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(as_bytes(job_text(job)), status_code, headers)


def as_text(document: Any) -> str:
    return _ENCODE(document)


def as_bytes(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which it cannot hold, as the escape that JSON has for it."""
    return text.encode("utf-8", "backslashreplace")


def job_text(job: Job) -> str:
    text = as_text(representation.job_without_data(job))
    # A quote in a string is escaped: only the names themselves match. The last first, because the payload may
    # have such a name as well.
    text = text.replace('"result":null', f'"result":{job.result or "null"}', 1)
    return text.replace('"payload":null', f'"payload":{job.payload}', 1)


def change_text(job: Job) -> str:
    """A job without what it was given and what it gave."""
    document = representation.job_without_data(job)
    del document["payload"], document["result"]
    return as_text(document)
