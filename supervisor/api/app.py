"""The application: routes, and what happens where a request fits none or something goes wrong."""

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp

from supervisor.api import events, jobs, logs, metrics, pages, status
from supervisor.api.context import Context
from supervisor.api.gate import Gate
from supervisor.api.problems import Problem, failure, invalid, response_to, unavailable
from supervisor.api.telling import Teller
from supervisor.errors import StoreUnavailable
from supervisor.http_settings import HttpSettings

_QUIET: Any = dict.fromkeys(("tracing", "metrics", "logs", "operation_spans", "auto_configure"), False)
_ROUTES = {404: "There is nothing here.", 405: "This cannot be done here; see the Allow header."}


def application(settings: HttpSettings, context: Context, teller: Teller, version: str) -> ASGIApp:
    app = FastAPI(
        title="AsyncWorker",
        version=version,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=_QUIET,  # reports to nobody, whatever the environment says
    )
    app.state.context = context
    app.state.has_token = settings.token is not None
    for each in (jobs, logs, status, events, metrics, pages):
        app.include_router(each.router)
    app.add_exception_handler(Problem, _problem)
    app.add_exception_handler(StoreUnavailable, _unavailable)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(Exception, _failed)
    return Gate(app, settings.address, settings.token, teller)


async def _problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return response_to(error)


async def _unavailable(_: Request, __: Exception) -> Response:
    """What has happened is for the log: it names files."""
    return response_to(unavailable())


async def _invalid(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    fields = [(str(each["loc"][-1]), str(each["msg"])) for each in error.errors()]
    return response_to(invalid(fields))


async def _refused(request: Request, error: Exception) -> Response:
    """No route, or no such method there: then Allow names those that there are."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_allowed(request))
    return response_to(Problem(error.status_code, _ROUTES.get(error.status_code, "Refused."), (), headers))


async def _failed(_: Request, __: Exception) -> Response:
    """The gate writes the log."""
    return response_to(failure())


def _allowed(request: Request) -> list[str]:
    methods = ("GET", "POST", "PUT", "PATCH", "DELETE")
    routes = request.app.routes
    found = [
        method
        for method in methods
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]
    # Where HEAD is what was refused, it is the one path that streams.
    return ["GET", "HEAD", *found[1:]] if "GET" in found and request.method != "HEAD" else found
