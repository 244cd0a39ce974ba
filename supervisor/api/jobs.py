"""Jobs over HTTP: submitted, shown, listed, cancelled."""

import math
import re
from collections.abc import AsyncIterator
from difflib import get_close_matches
from functools import partial

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from supervisor import representation
from supervisor.answers import CANCEL_HEADER
from supervisor.api.body import submission
from supervisor.api.context import Context
from supervisor.api.problems import Problem, invalid, no_such_job
from supervisor.api.query import LARGEST_NUMBER, Query
from supervisor.api.rendering import Answer, JobAnswer, as_bytes, job_text
from supervisor.api.routes import Routes
from supervisor.client import LARGEST_PAGE_SIZE, PAGE_SIZE
from supervisor.errors import InvalidKey
from supervisor.nudge import nudge
from supervisor.store import Transaction, attempts, jobs, listing, submitting
from supervisor.store.listing import Choice
from supervisor.store.records import CancelAnswer, Job, Start

routes = Routes()

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.IGNORECASE)
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")
_CHARACTERS_AT_ONCE = 2 * 2**20
"""Of payloads and results in memory, for one list."""


@routes.post("/api/jobs")
async def submit(request: Request, shared: Context) -> Response:
    """Submit a job. The answer comes when it is on disk and survives any crash.

    With an Idempotency-Key, the same request again gives the same job: a lost answer can be asked for again.
    """
    Query(request).check()
    key = request.headers.get("idempotency-key")
    if key is not None and not _KEY.match(key):
        raise invalid([("Idempotency-Key", "must be 1 to 255 visible ASCII characters")])
    async with shared.bodies.of(request) as body:
        job = await shared.writers.run(partial(_submit, shared, body, key))
    return JobAnswer(job, 202, {"Location": f"/api/jobs/{job.id}"})


@routes.get("/api/jobs")
async def page(request: Request, shared: Context) -> Response:
    """A page of the jobs, newest first."""
    query = Query(request, "status", "type", "id", "page", "pageSize")
    choice = Choice(query.status("status"), query.text("type"), query.beginning("id"))
    number = query.whole("page", 1, LARGEST_NUMBER)
    size = query.whole("pageSize", PAGE_SIZE, LARGEST_PAGE_SIZE)
    query.check()

    def read() -> tuple[int, list[list[str]], list[Job]]:
        with shared.database.read() as tx:
            total = listing.count(tx, choice)
            entries = listing.page(tx, choice, offset=(number - 1) * size, limit=size)
            first, *others = _in_parts(entries)
            return total, others, listing.read(tx, first)

    total, others, first = await shared.readers.run(read)
    tail = f'"page":{number},"pageSize":{size},"totalCount":{total},"totalPages":{math.ceil(total / size)}'
    if not others:
        text = f'{{"items":[{",".join(map(job_text, first))}],{tail}}}'
        return Response(as_bytes(text), media_type="application/json")
    return StreamingResponse(_in_turn(shared, first, others, tail), media_type="application/json")


@routes.get("/api/jobs/{id}")
async def get(request: Request, shared: Context, job_id: str) -> Response:
    """A job."""
    Query(request).check()
    return JobAnswer(await shared.readers.run(partial(find, shared, job_id)))


@routes.delete("/api/jobs/{id}/cancel")
async def cancel(request: Request, shared: Context, job_id: str) -> Response:
    """End a job: a Pending one at once; of one in progress, its supervisor is asked to end it."""
    Query(request).check()
    answer, job = await shared.writers.run(partial(_cancel, shared, job_id))
    headers = {CANCEL_HEADER: answer.value}
    if answer is CancelAnswer.ALREADY_ENDED:
        raise Problem(409, f"The job had ended already: it is {job.status}.", headers=headers)
    return JobAnswer(job, 200 if answer is CancelAnswer.CANCELLED else 202, headers)


@routes.post("/api/jobs/{id}/retry")
async def retry(request: Request, shared: Context, job_id: str) -> Response:
    """Have a job that has ended run once more, with its id; its earlier attempts stay on record."""
    Query(request).check()
    return JobAnswer(await shared.writers.run(partial(_retry, shared, job_id)), 202)


@routes.get("/api/jobs/{id}/attempts")
async def executions(request: Request, shared: Context, job_id: str) -> Response:
    """The executions of a job, oldest first; none before the first."""
    Query(request).check()

    def read() -> list[representation.Json]:
        with shared.database.read() as tx:
            return [representation.attempt(each) for each in attempts.of(tx, _found(tx, job_id).id)]

    return Answer(await shared.readers.run(read))


def find(shared: Context, job_id: str) -> Job:
    """Raises the Problem, 404, where there is none; only a whole id is one."""
    with shared.database.read() as tx:
        return _found(tx, job_id)


def _found(tx: Transaction, job_id: str) -> Job:
    job = jobs.get(tx, job_id) if _ID.match(job_id) else None
    if job is None:
        raise no_such_job()
    return job


def _submit(shared: Context, body: bytes, key: str | None) -> Job:
    wanted = submission(body, key)
    types = shared.types.if_readable()  # a file is not read while others wait to write

    def start(name: str) -> Start:
        known = shared.types.or_503().types if types is None else types.types
        if name not in known:
            raise _unknown_type(name, [*known])
        return submitting.start_of(known[name])

    try:
        with shared.database.write() as tx:
            job, is_new = submitting.submit(tx, wanted, start=start, now=shared.clock.now())
    except InvalidKey:
        raise Problem(409, "This Idempotency-Key stands for a job that was asked for differently.") from None
    if is_new:
        nudge(shared.locations.state_dir)
    return job


def _cancel(shared: Context, job_id: str) -> tuple[CancelAnswer, Job]:
    with shared.database.write() as tx:
        found = _found(tx, job_id)
        answer = jobs.request_cancel(tx, id=found.id, now=shared.clock.now())
        job = _found(tx, found.id)
    nudge(shared.locations.state_dir)
    return answer, job


def _retry(shared: Context, job_id: str) -> Job:
    with shared.database.write() as tx:
        found = _found(tx, job_id)
        if not jobs.retry(tx, id=found.id):
            raise Problem(409, f"The job has not ended: it is {found.status}.")
        job = _found(tx, found.id)
    nudge(shared.locations.state_dir)
    return job


def _unknown_type(name: str, known: list[str]) -> Problem:
    nearest = get_close_matches(name[:100], known, n=1)
    hint = f"did you mean {nearest[0]}?" if nearest else f"there are: {', '.join(known)}"
    return invalid([("type", f"is no job type; {hint}")])


def _in_parts(entries: list[tuple[str, int]]) -> list[list[str]]:
    """Ids, in parts that may be in memory at once; the first part is there even when it is empty."""
    parts: list[list[str]] = [[]]
    left = _CHARACTERS_AT_ONCE
    for job_id, size in entries:
        if size > left and parts[-1]:
            parts.append([])
            left = _CHARACTERS_AT_ONCE
        parts[-1].append(job_id)
        left -= size
    return parts


async def _in_turn(
    shared: Context, first: list[Job], others: list[list[str]], tail: str
) -> AsyncIterator[bytes]:
    def read(ids: list[str]) -> list[Job]:
        with shared.database.read() as tx:
            return listing.read(tx, ids)

    text = '{"items":[' + ",".join(map(job_text, first))
    for ids in others:
        for job in await shared.readers.run(partial(read, ids)):
            yield as_bytes(text)
            text = "," + job_text(job)
    yield as_bytes(f"{text}],{tail}}}")
