"""What the reference says of each route: arguments for FastAPI's decorators, which reference.py calls."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Path

from supervisor.answers import CANCEL_HEADER
from supervisor.api import models
from supervisor.api.problems import MEDIA_TYPE
from supervisor.api.query import LARGEST_NUMBER
from supervisor.client import LARGEST_PAGE_SIZE, PAGE_SIZE, PRIORITIES
from supervisor.lifecycle import JobStatus

Route = dict[str, Any]

JobId = Annotated[
    str, Path(alias="id", description="The whole id of a job.", json_schema_extra={"format": "uuid"})
]

TYPE_FIELD: dict[str, Any] = {"type": "string", "description": "One of the job types."}
"""Its `enum` follows the configuration; pages.py puts it in."""

_WHY = {
    400: "Something in the request is malformed or invalid; `errors` names each field",
    401: "No token, or not the right one",
    403: "A browser was sent here by a page of another site",
    404: "There is no such job",
    408: "The body did not come in time",
    409: "Not in this state",
    413: "The payload or the body is too large",
    415: "The body is not JSON",
    416: "The file has no such range",
    503: "The database cannot be reached; nothing was done",
}
_TEXT = {"text/plain": {"schema": {"type": "string"}}}
_RETRY_AFTER = {"Retry-After": {"schema": {"type": "integer"}, "description": "Seconds."}}
_PROBLEM = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}


def _route(tag: str, statuses: dict[int | str, Any], *problems: int, **more: Any) -> Route:
    responses: dict[int | str, Any] = {**statuses}
    for status in sorted({400, 401, 503, *problems}):
        responses[status] = {"description": _WHY[status], "content": _PROBLEM}
    responses[503]["headers"] = _RETRY_AFTER
    first, *_ = statuses
    return {"tags": [tag], "status_code": first, "responses": responses, **more}


def _json(description: str, model: Any, **more: Any) -> dict[str, Any]:
    return {"description": description, "model": model, **more}


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


def _parameters(*parameters: dict[str, Any]) -> dict[str, Any]:
    return {"parameters": list(parameters)}


_BODY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["type"],
    "properties": {
        "type": TYPE_FIELD,
        "payload": {"description": "Anything that JSON can say, up to 1 MiB; handed to the job."},
        "priority": {
            "type": ["integer", "null"],
            "minimum": PRIORITIES.start,
            "maximum": PRIORITIES.stop - 1,
            "description": "Larger runs first; by default what the job type says.",
        },
    },
}
_STATUSES: Sequence[str] = ["", *JobStatus]
_LOCATION = {"Location": {"schema": {"type": "string"}, "description": "Where the job is from now on."}}


def _cancel(*answers: str) -> dict[str, Any]:
    return {
        CANCEL_HEADER: {
            "schema": {"type": "string", "enum": answers},
            "description": "What this request came to; of several at once one alone is the first.",
            "required": True,
        }
    }


SUBMIT = _route(
    "jobs",
    {202: _json("Submitted: the job", models.Job, headers=_LOCATION)},
    *(403, 408, 409, 413, 415),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}},
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key gives the same job.",
                "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
            }
        ],
    },
)
LIST = _route(
    "jobs",
    {200: _json("A page", models.Page)},
    openapi_extra=_parameters(
        _parameter("status", "Only of this status; empty: of any.", type="string", enum=_STATUSES),
        _parameter("type", "Only of this type; empty: of any.", type="string"),
        _parameter("id", "Only ids that begin like this.", type="string", pattern="^[0-9A-Fa-f-]{4,36}$"),
        _parameter("page", "Counted from 1.", type="integer", minimum=1, maximum=LARGEST_NUMBER, default=1),
        _parameter(
            "pageSize", "Jobs on it.", type="integer", minimum=1, maximum=LARGEST_PAGE_SIZE, default=PAGE_SIZE
        ),
    ),
)
GET = _route("jobs", {200: _json("The job", models.Job)}, 404)
CANCEL = _route(
    "jobs",
    {
        200: _json("It was Pending and now is Cancelled", models.Job, headers=_cancel("cancelled")),
        202: _json(
            "It is InProgress and will be ended",
            models.Job,
            headers=_cancel("requested", "already_requested"),
        ),
    },
    *(403, 404, 409),
)
CANCEL["responses"][409]["headers"] = _cancel("already_ended")
RETRY = _route("jobs", {202: _json("It is Pending again", models.Job)}, 403, 404, 409)
ATTEMPTS = _route("jobs", {200: _json("Oldest first", list[models.Attempt])}, 404)
LOG = _route(
    "jobs",
    {
        200: {"description": "All of it", "content": _TEXT},
        206: {"description": "The range asked for", "content": _TEXT},
    },
    *(404, 416),
    openapi_extra=_parameters(
        _parameter(
            "attempt",
            "Number of the attempt; by default the last.",
            type="integer",
            minimum=1,
            maximum=LARGEST_NUMBER,
        )
    ),
)
OVERVIEW = _route("status", {200: _json("All of one moment", models.Overview)})
PROCESS = _route("status", {200: _json("The live supervisor", models.ProcessStatus)})
CONCURRENCY = _route("status", {200: _json("One entry a type", list[models.Slots])})
SUMMARY = _route("status", {200: _json("Jobs by status", models.Summary)})
TYPES = _route("status", {200: _json("The job types as configured", list[dict[str, Any]])})
READY = _route("status", {200: _json("A live supervisor and a reachable database", models.Condition)})
METRICS = _route("status", {200: {"description": "Prometheus text", "content": _TEXT}})
ALIVE: Route = {
    "tags": ["status"],
    "responses": {
        200: _json("This server is alive", models.Condition),
        400: {"description": _WHY[400], "content": _PROBLEM},
    },
}

OF: dict[tuple[str, str], Route] = {
    ("POST", "/api/jobs"): SUBMIT,
    ("GET", "/api/jobs"): LIST,
    ("GET", "/api/jobs/{id}"): GET,
    ("DELETE", "/api/jobs/{id}/cancel"): CANCEL,
    ("POST", "/api/jobs/{id}/retry"): RETRY,
    ("GET", "/api/jobs/{id}/attempts"): ATTEMPTS,
    ("GET", "/api/jobs/{id}/log"): LOG,
    ("GET", "/api/status"): OVERVIEW,
    ("GET", "/api/status/process"): PROCESS,
    ("GET", "/api/status/concurrency"): CONCURRENCY,
    ("GET", "/api/status/summary"): SUMMARY,
    ("GET", "/api/types"): TYPES,
    ("GET", "/healthz"): ALIVE,
    ("GET", "/readyz"): READY,
    ("GET", "/metrics"): METRICS,
}
"""By method and path. Not here are the pages, and the stream of events: OpenAPI has no word for what never
ends, and tools would wait for the end."""
