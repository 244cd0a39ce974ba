# ruff: noqa: A002 - `type` is the word that callers use
"""Through the service's socket: no database is opened here, and nothing imported that knows one."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urlencode

from supervisor import reading
from supervisor.answers import CANCEL_HEADER, Cancellation, Overview, Page, Pruned
from supervisor.errors import AmbiguousJob, InvalidKey, UnknownJob, UnknownJobType
from supervisor.lifecycle import JobStatus
from supervisor.settings import Keep
from supervisor.store.records import Attempt, CancelAnswer, Job, Start
from supervisor.ways.exchange import Answer, Exchange
from supervisor.ways.typesfile import unknown_type
from supervisor.ways.way import Choice, NotThisWay, Submission, WayLost, not_ended

T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_BEGINNING = re.compile(r"[0-9a-f-]{1,36}", re.IGNORECASE)
_SHORTEST_PREFIX = 4
_OK, _ACCEPTED, _BAD_REQUEST, _NOT_FOUND, _CONFLICT, _FAILED = 200, 202, 400, 404, 409, 500


class SocketWay:
    """The service, asked by HTTP. What it refuses without a reason that we know, the store is to decide."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def close(self) -> None:
        self._exchange.close()

    def submit(self, submission: Submission) -> Job:
        headers = {
            "Content-Type": "application/json",
            "Idempotency-Key": submission.key or submission.spare_key,
        }
        answer = self._exchange.ask("POST", "/api/jobs", body=_body(submission), headers=headers)
        if answer.status == _CONFLICT:
            raise InvalidKey
        if answer.status == _BAD_REQUEST:
            self._refuse_unknown(submission.type)
        return _read(answer, reading.job, _OK, _ACCEPTED)

    def submit_many(self, submissions: Sequence[Submission], start: Callable[[str], Start]) -> list[Job]:
        raise NotThisWay("REST submits one job at a time, each in a transaction of its own")

    def starts(self) -> Mapping[str, Start]:
        return _read(self._exchange.ask("GET", "/api/types"), reading.starts)

    def get(self, job: str) -> Job:
        if not _ID.fullmatch(job):
            return self._beginning_with(job)
        return _read(self._of_job("GET", job), reading.job)

    def attempts(self, job: str) -> list[Attempt]:
        job_id = self._whole(job)
        return _read(
            self._of_job("GET", job_id, "/attempts"),
            lambda documents: [reading.attempt(each, job_id) for each in documents],
        )

    def page(self, choice: Choice) -> Page:
        if choice.type == "":
            raise NotThisWay("REST takes an empty type for any")
        query = {
            "status": choice.status,
            "type": choice.type,
            "page": choice.page,
            "pageSize": choice.page_size,
        }
        return self._list(query)

    def cancel(self, job: str) -> Cancellation:
        job_id = self._whole(job)
        answer = self._of_job("DELETE", job_id, "/cancel")
        if answer.status == _CONFLICT:
            return Cancellation(CancelAnswer.ALREADY_ENDED, self.get(job_id))
        return _read(
            answer,
            lambda document: Cancellation(CancelAnswer(answer.header(CANCEL_HEADER)), reading.job(document)),
            *(_OK, _ACCEPTED),
        )

    def retry(self, job: str) -> Job:
        job_id = self._whole(job)
        answer = self._of_job("POST", job_id, "/retry")
        if answer.status == _CONFLICT:
            raise not_ended(self.get(job_id))
        return _read(answer, reading.job, _ACCEPTED)

    def cancel_matching(self, type: str | None, status: JobStatus | None) -> Iterator[list[Cancellation]]:
        raise NotThisWay("REST cancels one job, whatever has become of it since it was listed")

    def prune(self, keep: Keep, told: Callable[[Pruned], None], *, dry_run: bool) -> Pruned:
        raise NotThisWay("REST removes nothing")

    def look(self, ids: Sequence[str]) -> tuple[list[Job], bool]:
        return [self.get(job_id) for job_id in ids], self.has_supervisor()

    def has_supervisor(self) -> bool:
        answer = self._exchange.ask("GET", "/api/status/process")
        return _read(answer, lambda document: document["processInstanceId"] is not None)

    def overview(self) -> Overview:
        return _read(self._exchange.ask("GET", "/api/status"), reading.overview)

    def _of_job(self, method: str, job_id: str, rest: str = "") -> Answer:
        answer = self._exchange.ask(method, f"/api/jobs/{job_id.lower()}{rest}")
        if answer.status == _NOT_FOUND:
            raise _unknown(job_id)
        return answer

    def _whole(self, job: str) -> str:
        return job.lower() if _ID.fullmatch(job) else self.get(job).id

    def _beginning_with(self, prefix: str) -> Job:
        if len(prefix) < _SHORTEST_PREFIX:
            raise UnknownJob(
                f"there is no job {prefix!r}; of a longer id, give {_SHORTEST_PREFIX} characters or more"
            )
        # Nothing else can be the beginning of an id, and REST calls it a mistake.
        found = self._list({"id": prefix, "pageSize": 2}).items if _BEGINNING.fullmatch(prefix) else ()
        if len(found) > 1:
            raise AmbiguousJob(f"more than one job's id begins with {prefix!r}; give more of it")
        if not found:
            raise _unknown(prefix)
        return found[0]

    def _list(self, query: dict[str, Any]) -> Page:
        given = urlencode({name: value for name, value in query.items() if value is not None})
        return _read(self._exchange.ask("GET", f"/api/jobs?{given}"), reading.page)

    def _refuse_unknown(self, job_type: str) -> None:
        """Raises UnknownJobType where that is what is wrong."""
        known = _read(self._exchange.ask("GET", "/api/types"), lambda types: [each["name"] for each in types])
        if job_type not in known:
            raise UnknownJobType(unknown_type(job_type, known))


def _unknown(job: str) -> UnknownJob:
    return UnknownJob(f"there is no job whose id is or begins with {job!r}")


def _body(submission: Submission) -> bytes:
    """The payload's text is passed on as it is."""
    fields = {"type": json.dumps(submission.type), "payload": submission.payload}
    if submission.priority is not None:
        fields["priority"] = str(submission.priority)
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


def _read(answer: Answer, read: Callable[[Any], T], *good: int) -> T:
    if answer.status == _FAILED:
        raise WayLost("the server failed", perhaps_done=answer.changes)
    if answer.status not in (good or (_OK,)):
        raise NotThisWay(f"the server answered {answer.status}")
    try:
        return read(answer.json)
    except (LookupError, TypeError, ValueError) as error:
        reason = f"the server's answer is not understood: {error!r}"
        raise NotThisWay(reason, perhaps_done=answer.changes) from error
