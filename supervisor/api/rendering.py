"""Answers as JSON text.

The text of a payload or a result is passed on as it is stored: what was sent comes back digit by digit, and
however deeply it is nested, nobody has to read it here.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from supervisor import representation
from supervisor.store.records import Job


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
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def as_bytes(text: str) -> bytes:
    """UTF-8; half a surrogate pair, which it cannot hold, as the escape that JSON has for it."""
    return text.encode("utf-8", "backslashreplace")


def job_text(job: Job) -> str:
    stored = {"payload": job.payload, "result": job.result or "null"}
    document = representation.job(replace(job, payload="null", result=None))
    fields = (f'"{name}":{stored.get(name) or as_text(value)}' for name, value in document.items())
    return "{" + ",".join(fields) + "}"


def change_text(job: Job) -> str:
    """A job without what it was given and what it gave."""
    document = representation.job(replace(job, payload="null", result=None))
    return as_text({name: value for name, value in document.items() if name not in ("payload", "result")})
