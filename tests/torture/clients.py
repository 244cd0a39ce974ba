"""Clients: one asks through Python, one by HTTP, one with the installed command."""

import json
import subprocess
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from asyncworker import Client
from supervisor.store.records import Job
from supervisor.ways.exchange import Exchange
from tests.support.service import COMMAND, Service
from tests.torture.book import Answer, Book
from tests.torture.plan import Command, OfJob, Step, Submit

_PATIENCE = 60.0


class Clients:
    """Of one lane: never used by two threads. Some talk to one seat, some to the other."""

    def __init__(self, services: tuple[Service, Service], book: Book) -> None:
        self._services = services
        self._book = book
        self._pythons: dict[tuple[str, int], Client] = {}
        self._https = [Exchange(service.state_dir / "api.sock") for service in services]

    def close(self) -> None:
        for client in self._pythons.values():
            client.close()
        for exchange in self._https:
            exchange.close()

    def do(self, step: Step) -> None:
        seat = step.number % 3 == 0
        if isinstance(step.act, Submit):
            self._submit(step.number, step.act, seat)
        elif isinstance(step.act, OfJob):
            self._of_job(step.act, seat)
        elif isinstance(step.act, Command):
            self._command(step.number, step.act, seat)

    def _submit(self, number: int, act: Submit, seat: int) -> None:
        payload = self._payload(act.deed, act.token, act.seconds, act.times)

        def ask() -> Answer:
            if act.way == "http":
                return self._posted(act, payload, seat)
            client = self._python(act.way, seat)
            return _done(client.submit(act.type, payload, priority=act.priority, idempotency_key=act.key))

        answer = self._book.hear("submit", ask, token=act.token)
        if answer.job is not None:
            self._book.jobs[number] = answer.job

    def _payload(self, deed: str, token: str, seconds: float, times: int) -> dict[str, Any]:
        self._book.deeds[token] = deed
        runs = str(self._services[0].runs)
        return {"deed": deed, "token": token, "seconds": seconds, "times": times, "runs": runs}

    def _of_job(self, act: OfJob, seat: int) -> None:
        job = self._book.jobs.get(act.of)
        if job is None:
            self._book.count(f"{act.verb}: nothing")
            return

        def ask() -> Answer:
            if act.way == "http":
                return self._asked(act.verb, job, seat)
            client = self._python(act.way, seat)
            if act.verb == "cancel":
                cancellation = client.cancel(job)
                return _done(cancellation.job, str(cancellation.answer))
            if act.verb == "retry":
                return _done(client.retry(job))
            return _done(client.wait([job], act.seconds)[0])

        self._book.hear(act.verb, ask, of=job)

    def _python(self, way: str, seat: int) -> Client:
        """A client that takes the socket where it answers, or one that never does."""
        if (way, seat) not in self._pythons:
            service = self._services[seat]
            client = Client(service.state_dir, service.config, str(service.database))
            if way == "straight":
                client._chosen = client._straight(create=False)
            self._pythons[way, seat] = client
        return self._pythons[way, seat]

    def _posted(self, act: Submit, payload: Any, seat: int) -> Answer:
        document = {"type": act.type, "payload": payload}
        document |= {} if act.priority is None else {"priority": act.priority}
        headers = {"Content-Type": "application/json"}
        headers |= {} if act.key is None else {"Idempotency-Key": act.key}
        answer = self._https[seat].ask(
            "POST", "/api/jobs", body=json.dumps(document).encode(), headers=headers, within=_PATIENCE
        )
        return self._read("POST", answer.status, answer.body)

    def _asked(self, verb: str, job: str, seat: int) -> Answer:
        """A wait is one look."""
        method, rest = {"cancel": ("DELETE", "/cancel"), "retry": ("POST", "/retry"), "wait": ("GET", "")}[
            verb
        ]
        answer = self._https[seat].ask(method, f"/api/jobs/{job}{rest}", within=_PATIENCE)
        return self._read(f"{method} {rest}", answer.status, answer.body, answer.header("AsyncWorker-Cancel"))

    def _read(self, what: str, status: int, body: bytes, said: str = "") -> Answer:
        if status in (HTTPStatus.OK, HTTPStatus.ACCEPTED):
            return _read(json.loads(body), said)
        if status not in (HTTPStatus.CONFLICT, HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE):
            self._book.complain(f"{what} was answered {status}: {body!r}")
            return Answer("unknown")
        return Answer("refused")

    def _command(self, number: int, act: Command, seat: int) -> None:
        payload = json.dumps(self._payload(act.deed, act.token, 0.0, 0))
        words = ["submit", act.type, payload, "--json", *(["--wait"] if act.wait else [])]
        service = self._services[seat]

        def ask() -> Answer:
            pipe = subprocess.PIPE
            with subprocess.Popen(
                [COMMAND, *words], stdout=pipe, stderr=pipe, env=service.environment()
            ) as run:
                try:
                    said, complaint = run.communicate(timeout=act.killed_after or _PATIENCE)
                except subprocess.TimeoutExpired:
                    run.kill()
                    said, complaint = run.communicate()
            if b"Traceback" in complaint:
                self._book.complain(f"{' '.join(words)}: {complaint.decode(errors='replace')}")
            with suppress(ValueError):  # killed before it said all
                return _read(json.loads(said))
            return Answer("refused" if run.returncode == 2 else "unknown")

        answer = self._book.hear("submit", ask, token=act.token)
        self._book.count("command: killed" if act.killed_after else "command")
        if answer.job is not None:
            self._book.jobs[number] = answer.job


def _done(job: Job, said: str | None = None) -> Answer:
    return Answer("done", job.id, str(job.status), job.attempt, said)


def _read(document: Any, said: str = "") -> Answer:
    return Answer("done", document["id"], document["status"], document["attempt"], said or None)
