"""What is going on: supervisors, slots, counts, job types; and whether there is anybody."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from supervisor import representation
from supervisor.answers import Life, Overview, slots_of
from supervisor.api.context import Context
from supervisor.api.problems import unavailable
from supervisor.api.query import Query
from supervisor.api.rendering import Answer
from supervisor.api.routes import Routes
from supervisor.lifecycle import JobStatus
from supervisor.liveness import Here, any_alive, is_alive
from supervisor.store import attempts, supervisors, tallies
from supervisor.store.records import Supervisor
from supervisor.ways import sameness

routes = Routes()

_OF_A_LIVE_ONE = (
    "processInstanceId",
    "pid",
    "host",
    "state",
    "startedAt",
    "heartbeatAt",
    "version",
    "isolation",
)
_HIDDEN = "(set)"


@routes.get("/api/status")
async def overview(request: Request, shared: Context) -> Response:
    """Supervisors, slots and counts, all of one moment."""
    Query(request).check()
    found = await shared.readers.run(lambda: _overview(shared))
    if found.problem is not None and not on_socket(request):
        found = replace(found, problem="the job types cannot be read")  # it names files
    return Answer(representation.overview(found))


@routes.get("/api/status/process")
async def process(request: Request, shared: Context) -> Response:
    """The live supervisor, and others that have not ended by the record."""
    Query(request).check()
    return Answer(await shared.readers.run(lambda: _process(shared)))


@routes.get("/api/status/concurrency")
async def concurrency(request: Request, shared: Context) -> Response:
    """Slots of each type."""
    Query(request).check()
    found = await shared.readers.run(lambda: _overview(shared))
    return Answer([representation.slots(each) for each in found.slots])


@routes.get("/api/status/summary")
async def summary(request: Request, shared: Context) -> Response:
    """Jobs by status."""
    Query(request).check()
    found = await shared.readers.run(lambda: _overview(shared))
    return Answer(representation.summary(found.counts))


@routes.get("/api/types")
async def types(request: Request, shared: Context) -> Response:
    """The job types; what their environment is set to is for the owner alone, on the Unix socket."""
    Query(request).check()
    configured = (await shared.readers.run(shared.types.or_503)).types.values()
    documents = [representation.job_type(each) for each in configured]
    if not on_socket(request):
        for document in documents:
            document["env"]["set"] = dict.fromkeys(document["env"]["set"], _HIDDEN)
    return Answer(documents)


@routes.get("/healthz")
async def alive(request: Request, shared: Context) -> Response:
    """Whether this server is alive: nothing else is asked."""
    # Only the owner comes by the socket; its clients compare these files with their own.
    headers = {sameness.HEADER: sameness.files(shared.locations)} if on_socket(request) else None
    return Answer({"status": "alive"}, headers=headers)


@routes.get("/readyz")
async def ready(_: Request, shared: Context) -> Response:
    """Whether jobs can be submitted and will run."""
    live, *_others = await shared.readers.run(lambda: lives(shared))
    if live is None:
        raise unavailable("No supervisor is alive: jobs can be submitted, and wait.")
    return Answer({"status": "ready"})


@routes.get("/metrics")
async def metrics(_: Request, shared: Context) -> Response:
    """For Prometheus."""
    text, media_type = await shared.readers.run(lambda: _metrics(shared))
    return Response(text, media_type=media_type)


def _metrics(shared: Context) -> tuple[bytes, str]:
    # Where nobody asks for them, its six megabytes are not needed.
    from supervisor.api.metrics import MEDIA_TYPE, text  # noqa: PLC0415

    live, _ = lives(shared)
    return text(shared, live), MEDIA_TYPE


def lives(shared: Context) -> tuple[Supervisor | None, list[Supervisor]]:
    """The live supervisor (the newest of several), and the others; the last there was where none lives."""
    with shared.database.read() as tx:
        records = supervisors.not_ended(tx) or supervisors.recent(tx, 1)
    here, now = _here(shared), shared.clock.now()
    live = next((each for each in reversed(records) if any_alive([each], here, now)), None)
    return live, [each for each in records if each is not live]


def on_socket(request: Request) -> bool:
    """Whether it came by the Unix socket, which has no port."""
    return (request.scope.get("server") or (None, None))[1] is None


def _overview(shared: Context) -> Overview:
    limits = shared.types.limits()
    with shared.database.read() as tx:
        records = supervisors.not_ended(tx) or supervisors.recent(tx, 1)
        counts = tallies.counts(tx)
        unkillable = attempts.unkillable(tx)
    here = _here(shared)
    return Overview(
        tuple(Life(record, is_alive(record, here)) for record in records),
        slots_of(limits, _of(counts, JobStatus.IN_PROGRESS), _of(counts, JobStatus.PENDING)),
        {status: sum(_of(counts, status).values()) for status in JobStatus},
        shared.types.problem,
        unkillable,
    )


def _process(shared: Context) -> representation.Json:
    live, others = lives(shared)
    here = _here(shared)
    known: Mapping[str, Any] = {} if live is None else representation.supervisor(Life(live, alive=True))
    return {name: known.get(name) for name in _OF_A_LIVE_ONE} | {
        "others": [representation.supervisor(Life(each, is_alive(each, here))) for each in others]
    }


def _here(shared: Context) -> Here:
    return Here.current(shared.database.store().path)


def _of(counts: Mapping[str, Mapping[JobStatus, int]], status: JobStatus) -> dict[str, int]:
    return {name: each[status] for name, each in counts.items() if status in each}
