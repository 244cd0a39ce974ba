"""The application: each request to its route, and an answer where there is none.

FastAPI only describes the routes, in reference.py. Led by it, a request passes seven layers before ours,
which cost more processor time than the submit of a job; and its import is half of this server's start.
"""

from itertools import chain

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from supervisor.api import events, jobs, logs, pages, status
from supervisor.api.context import Context
from supervisor.api.gate import Gate, streams
from supervisor.api.problems import Problem
from supervisor.api.routes import Table, allowed
from supervisor.api.telling import Teller
from supervisor.http_settings import HttpSettings

ROUTES = tuple(chain.from_iterable(each.routes for each in (jobs, logs, status, events, pages)))


def application(settings: HttpSettings, context: Context, teller: Teller) -> ASGIApp:
    return Gate(Dispatch(context), settings.address, settings.token, teller)


class Dispatch:
    """The layer below the gate."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._table = Table(ROUTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self._answer(Request(scope, receive))
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        path = request.scope["path"]
        methods, in_path = self._table.at(path)
        if not methods:
            raise Problem(404, "There is nothing here.")
        endpoint = methods.get(request.method)
        if endpoint is None:
            headers = {"Allow": allowed(methods, head=not streams(path))}
            raise Problem(405, "This cannot be done here; see the Allow header.", headers=headers)
        return await endpoint(request, self._context, **in_path)
