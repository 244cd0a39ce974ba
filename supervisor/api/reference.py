"""The OpenAPI document, made by FastAPI from the routes and from what is said of them in described.py."""

import copy
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from supervisor.api.configured import Configured
from supervisor.api.routes import Route
from supervisor.errors import InvalidConfiguration

if TYPE_CHECKING:
    from fastapi import APIRouter

TITLE = "AsyncWorker"
ABOUT = """\
Jobs are submitted, looked at, listed and cancelled here. Errors are application/problem+json (RFC 9457).
A payload may have 1 MiB (413), the line and the headers of a request 32 KiB (431).

GET /api/events streams each change of a job as server-sent events: `data` is the job without payload and
result, `id` can be given back as Last-Event-ID to go on from there, and an event named `reset` says that some
changes are not kept any more. (It ends only when the client goes, so it is not among the routes below.)"""


class Reference:
    """Made when it is first asked for: until then nobody pays for the import of FastAPI and pydantic."""

    def __init__(self, types: Configured, version: str, *, with_token: bool) -> None:
        self._types = types
        self._version = version
        self._with_token = with_token
        self._bare: dict[str, Any] | None = None

    def document(self) -> dict[str, Any]:
        """With the job types that are configured at the moment. It blocks: for a thread."""
        if self._bare is None:
            self._bare = _bare(self._version, with_token=self._with_token)
        found = copy.deepcopy(self._bare)
        body = found["paths"]["/api/jobs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        try:
            body["properties"]["type"]["enum"] = [*self._types.now().types]
        except InvalidConfiguration:
            return found
        return found


def _bare(version: str, *, with_token: bool) -> dict[str, Any]:
    from fastapi.openapi.utils import get_openapi  # noqa: PLC0415

    from supervisor.api import models  # noqa: PLC0415
    from supervisor.api.app import ROUTES  # noqa: PLC0415

    found = get_openapi(title=TITLE, version=version, description=ABOUT, routes=_described(ROUTES).routes)
    schemas = found["components"]["schemas"]
    schemas["Problem"] = models.Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    schemas |= schemas["Problem"].pop("$defs", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in found["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)  # FastAPI's own; mistakes are 400 here
    if with_token:
        found["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        found["security"] = [{"token": []}]
        found["paths"]["/healthz"]["get"]["security"] = []
    return found


def _described(routes: Iterable[Route]) -> "APIRouter":
    """The routes as FastAPI has them; nothing is ever asked through these."""
    from fastapi import APIRouter  # noqa: PLC0415

    from supervisor.api import described  # noqa: PLC0415

    router = APIRouter()
    for route in routes:
        about = described.OF.get((route.method, route.path))
        if about is not None:
            router.add_api_route(route.path, _stub(route), methods=[route.method], **about)
    return router


def _stub(route: Route) -> Callable[..., Awaitable[None]]:
    """What FastAPI reads of a function: its name, its words, and its parameters."""
    from supervisor.api import described  # noqa: PLC0415

    async def of_a_job(job_id: described.JobId) -> None: ...

    async def plain() -> None: ...

    stub = of_a_job if "{id}" in route.path else plain
    stub.__name__, stub.__doc__ = route.endpoint.__name__, route.endpoint.__doc__
    return stub
