"""`GET /api/events`: server-sent events, to be resumed with Last-Event-ID."""

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from supervisor.api.context import Context
from supervisor.api.feed import RESET, Feed
from supervisor.api.problems import invalid
from supervisor.api.query import Query
from supervisor.api.routes import Routes

BEAT_SECONDS = 10.0
"""Between two comments where nothing happens, so that both ends notice when the other is gone."""
RETRY_MILLISECONDS = 1000
_NUMBER = re.compile(r"[0-9]{1,18}\Z")

routes = Routes()


# Not in the OpenAPI document, which has no word for a stream that never ends: tools would wait for the end.
@routes.get("/api/events")
async def events(request: Request, shared: Context) -> Response:
    """Each change of a job, within a quarter of a second."""
    Query(request).check()
    last = request.headers.get("last-event-id")
    if last and not _NUMBER.match(last):
        raise invalid([("Last-Event-ID", "must be the id of an event")])
    return EventStream(shared.feed, int(last) if last else None)


class EventStream(Response):
    """An answer that ends when the client goes, or is too slow, or the server stops."""

    media_type = "text/event-stream"

    def __init__(self, feed: Feed, last: int | None) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._feed = feed
        self._last = last

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        joined = await self._feed.join(self._last)
        gone = asyncio.create_task(_until_gone(receive))
        gone.add_done_callback(lambda _: joined.listener.end())

        async def put(text: bytes, *, more: bool = True) -> None:
            await send({"type": "http.response.body", "body": text, "more_body": more})

        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            # An id without data is remembered by the client: cut off now, it can resume from here.
            await put(f"retry: {RETRY_MILLISECONDS}\nid: {joined.after}\n\n".encode())
            if joined.lost:
                await put(RESET)
            async for text in self._feed.missed(joined.after, joined.upto):
                await put(text)
            while not joined.listener.ended:
                await put(await joined.listener.take(BEAT_SECONDS) or b":\n\n")
            await put(b"", more=False)
        finally:
            self._feed.leave(joined.listener)
            gone.cancel()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
