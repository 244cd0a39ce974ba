"""`GET /api/jobs/{id}/log`: what an attempt printed, whole or in part, while it is written or afterwards."""

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from supervisor.api.context import Context
from supervisor.api.following import ENDLESS, Output, Stream, no_such_attempt, unreadable
from supervisor.api.gate import ASKED_FOR_HEAD
from supervisor.api.jobs import find
from supervisor.api.problems import Problem
from supervisor.api.query import LARGEST_NUMBER, Query
from supervisor.api.routes import Routes
from supervisor.errors import UnreadableLog
from supervisor.logfile import LogFile
from supervisor.printed import View

routes = Routes()

_MEDIA_TYPE = "text/plain; charset=utf-8"
_AT_ONCE = 256 * 1024
_RANGE = re.compile(r"bytes=\s*([0-9]{0,18})-([0-9]{0,18})\s*\Z")


@dataclass(frozen=True, slots=True)
class Part:
    """Of a text: from `start` up to before `stop`."""

    start: int
    stop: int
    size: int
    is_whole: bool


@routes.get("/api/jobs/{id}/log")
async def log(request: Request, shared: Context, job_id: str) -> Response:
    """What the job printed, and ranges of it.

    Of a log that is longer than `limits.output` the beginning and the end, with a line between that says how
    much is missing: lengths and ranges count in this text. With `follow=true` it goes on until the job has
    ended, from one attempt to the next, or until the `attempt` asked for has. Only a range `bytes=N-` counts
    then: who has lost the connection goes on after the N bytes that came (RFC 8673).
    """
    query = Query(request, "attempt", "follow")
    attempt = query.optional_whole("attempt", LARGEST_NUMBER)
    follow = query.flag("follow")
    query.check()
    if follow:
        start = start_of(request.headers.get("range"))
        make = partial(Output, shared.locations, partial(find, shared, job_id), attempt, start or 0)
        output = await shared.readers.run(make)
        return Stream(shared.followers, output, start, head=ASKED_FOR_HEAD in request.scope)
    file = await shared.readers.run(partial(_open, shared, job_id, attempt))
    try:
        view = View(0, b"", 0, 0) if file is None else await shared.readers.run(file.view)
        # There is no validator that If-Range could name.
        wanted = request.headers.get("range") if "if-range" not in request.headers else None
        part = part_of(view.size, wanted)
    except BaseException:
        _close(file)
        raise
    headers = {"Accept-Ranges": "bytes", "Content-Length": str(part.stop - part.start)}
    if not part.is_whole:
        headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{view.size}"
    return _Text(shared, file, view, part, headers)


def part_of(size: int, header: str | None) -> Part:
    """What a Range header asks for; one of several ranges or of another unit is ignored (RFC 9110, 14.2)."""
    found = _RANGE.match(header) if header else None
    if found is None or not (found[1] or found[2]):
        return Part(0, size, size, is_whole=True)
    if found[1] and found[2] and int(found[2]) < int(found[1]):
        return Part(0, size, size, is_whole=True)
    if found[1]:
        start, stop = int(found[1]), min(size, int(found[2]) + 1 if found[2] else size)
    else:
        start, stop = max(0, size - int(found[2])), size
    if start >= stop:
        detail = f"The log has {size} bytes, and none in this range."
        raise Problem(416, detail, headers={"Content-Range": f"bytes */{size}", "Accept-Ranges": "bytes"})
    return Part(start, stop, size, is_whole=False)


def start_of(header: str | None) -> int | None:
    """Where a range without an end begins: the only one that there can be of what is not yet printed."""
    found = _RANGE.match(header) if header else None
    if found is None or not found[1] or (found[2] and int(found[2]) < ENDLESS):
        return None
    return int(found[1])


class _Shorter(Exception):
    """The log became shorter while it was read."""


class _Text(StreamingResponse):
    """A part of what an open log shows; the log is closed in the end, however that comes."""

    def __init__(
        self, shared: Context, file: LogFile | None, view: View, part: Part, headers: dict[str, str]
    ) -> None:
        status = 200 if part.is_whole else 206
        super().__init__(_content(shared, file, view, part), status, headers, _MEDIA_TYPE)
        self._file = file

    async def __call__(self, *asgi: "object") -> None:
        try:
            await super().__call__(*asgi)  # type: ignore[arg-type]
        except _Shorter:
            return
        finally:
            _close(self._file)


async def _content(shared: Context, file: LogFile | None, view: View, part: Part) -> AsyncIterator[bytes]:
    for piece in view.pieces(part.start, part.stop):
        if isinstance(piece, bytes):
            yield piece
            continue
        at = piece.start
        while file is not None and at < piece.stop:
            text = await shared.readers.run(partial(file.read_kept, at, min(piece.stop, at + _AT_ONCE)))
            if not text:  # the job prints faster than this is read: an answer that is too short is seen to be
                raise _Shorter
            yield text
            at += len(text)


def _open(shared: Context, job_id: str, attempt: int | None) -> LogFile | None:
    """None where nothing has been printed yet. A Problem where there is no such attempt."""
    job = find(shared, job_id)
    if attempt is not None and attempt > job.attempt:
        raise no_such_attempt(job)
    path = shared.locations.log_of(job.id, attempt or max(1, job.attempt))
    try:
        return LogFile(shared.locations.state_dir, path)
    except FileNotFoundError:
        return None
    except UnreadableLog as error:
        raise unreadable() from error


def _close(file: LogFile | None) -> None:
    if file is not None:
        file.close()
