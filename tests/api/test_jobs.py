"""Jobs over HTTP, as the interface's reference has them."""

import re
from typing import Any

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.store import jobs
from tests.api.server import JSON, HttpServer
from tests.cli.commandline import ME, PlayedService

FIELDS = (
    "id type payload status priority attempt maxAttempts crashes processInstanceId pid createdAt runAt"
    " startedAt completedAt cancelRequestedAt progress result errorMessage failureKind exitCode signal"
).split()
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
NOBODY = "00000000-0000-4000-8000-000000000000"


def test_a_submit_is_answered_with_the_pending_job_and_its_location(
    server: HttpServer, service: PlayedService
) -> None:
    reply = server.ask("POST", "/api/jobs", {"type": "EmailJob", "payload": {"to": "a@b.c"}})
    assert reply.status == 202
    job = reply.json
    assert reply.headers["location"] == f"/api/jobs/{job['id']}"
    assert list(job) == FIELDS
    assert (job["status"], job["attempt"], job["processInstanceId"]) == ("Pending", 0, None)
    assert TIME.fullmatch(job["createdAt"])
    assert service.job(job["id"]).status is JobStatus.PENDING
    assert server.get(reply.headers["location"]).json == job


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "",
        '{"to": "a string that holds JSON"}',
        "Grüße \N{GRINNING FACE} \x00 \u2028 </script>",
        0,
        -1.5,
        12345678901234567890123456789,
        1e300,
        True,
        [],
        {},
        {"a": [1, {"b": None}], "": ""},
    ],
    ids=repr,
)
def test_a_payload_comes_back_as_it_was_sent(server: HttpServer, payload: Any) -> None:
    job = server.submit(payload=payload)
    assert job["payload"] == payload
    assert type(job["payload"]) is type(payload)
    assert server.get(f"/api/jobs/{job['id']}").json["payload"] == payload


def test_digits_that_no_float_holds_are_not_lost_on_the_way_out(
    server: HttpServer, service: PlayedService
) -> None:
    job = server.submit()
    service.start(job["id"])
    service.end(job["id"], JobStatus.COMPLETED, result='{"pi":3.14159265358979323846264338327950288}')
    assert b"3.14159265358979323846264338327950288" in server.get(f"/api/jobs/{job['id']}").body


def test_half_a_surrogate_pair_that_the_command_line_stored_is_shown_as_its_escape(
    server: HttpServer, service: PlayedService
) -> None:
    with service.store.write() as tx:
        jobs.insert(
            tx,
            id="5a1f0000-0000-4000-8000-00000000cafe",
            type="EmailJob",
            payload='"\\ud800"',
            priority=0,
            max_attempts=1,
            created_at=1,
        )
    reply = server.get("/api/jobs/5a1f0000-0000-4000-8000-00000000cafe")
    assert b'"payload":"\\ud800"' in reply.body


def test_a_job_without_payload_and_priority_has_null_and_what_its_type_says(server: HttpServer) -> None:
    reply = server.ask("POST", "/api/jobs", {"type": "ReportJob"})
    assert (reply.json["payload"], reply.json["priority"]) == (None, 7)
    assert server.submit("ReportJob", priority=-3)["priority"] == -3
    assert server.submit("ReportJob", priority=None)["priority"] == 7
    assert server.ask("POST", "/api/jobs", b'{"type":"EmailJob","priority":1.0}', JSON).json["priority"] == 1


def test_a_running_job_shows_who_runs_it_and_an_ended_one_what_became_of_it(
    server: HttpServer, service: PlayedService
) -> None:
    job_id = server.submit()["id"]
    service.start(job_id)
    running = server.get(f"/api/jobs/{job_id}").json
    assert (running["status"], running["processInstanceId"], running["attempt"]) == ("InProgress", ME, 1)
    assert TIME.fullmatch(running["startedAt"])
    service.end(job_id, JobStatus.FAILED, failure_kind=FailureKind.EXITED, exit_code=3, error_message="no")
    ended = server.get(f"/api/jobs/{job_id}").json
    assert (ended["status"], ended["failureKind"], ended["exitCode"]) == ("Failed", "exited", 3)
    assert TIME.fullmatch(ended["completedAt"])
    (attempt,) = server.get(f"/api/jobs/{job_id}/attempts").json
    assert (attempt["number"], attempt["status"], attempt["processInstanceId"]) == (1, "Failed", ME)


def test_a_job_that_has_not_begun_has_no_attempts(server: HttpServer) -> None:
    assert server.get(f"/api/jobs/{server.submit()['id']}/attempts").json == []


def test_a_pending_job_is_cancelled_at_once_a_running_one_on_request_an_ended_one_never(
    server: HttpServer, service: PlayedService
) -> None:
    job_id = server.submit()["id"]
    pending = server.ask("DELETE", f"/api/jobs/{job_id}/cancel")
    assert (pending.status, pending.json["status"]) == (200, "Cancelled")
    assert pending.headers["AsyncWorker-Cancel"] == "cancelled"
    ended = server.ask("DELETE", f"/api/jobs/{job_id}/cancel")
    assert ended.status == 409
    assert "Cancelled" in ended.problem["detail"]
    assert ended.headers["AsyncWorker-Cancel"] == "already_ended"

    job_id = server.submit()["id"]
    service.start(job_id)
    for came_to in ("requested", "already_requested"):  # asking again is no mistake
        running = server.ask("DELETE", f"/api/jobs/{job_id}/cancel")
        assert (running.status, running.json["status"]) == (202, "InProgress")
        assert TIME.fullmatch(running.json["cancelRequestedAt"])
        assert running.headers["AsyncWorker-Cancel"] == came_to


def test_the_same_key_gives_the_same_job_and_another_request_with_it_is_refused(
    server: HttpServer, service: PlayedService
) -> None:
    key = {"Idempotency-Key": "order-4711"}
    asked = {"type": "EmailJob", "payload": {"n": 1}}
    first = server.ask("POST", "/api/jobs", asked, key)
    before = len(service.jobs())
    service.start(first.json["id"])
    again = server.ask("POST", "/api/jobs", asked, key)
    assert (again.status, again.json["id"]) == (202, first.json["id"])
    assert again.json["status"] == "InProgress"
    assert len(service.jobs()) == before
    for other in ({**asked, "payload": {"n": 2}}, {**asked, "priority": 1}, {**asked, "type": "ReportJob"}):
        assert server.ask("POST", "/api/jobs", other, key).problem["status"] == 409
    assert server.ask("POST", "/api/jobs", asked, {"Idempotency-Key": "x"}).json["id"] != first.json["id"]


@pytest.mark.parametrize("key", ["", "a b", "x" * 256, "é"])
def test_a_key_that_is_no_visible_ascii_word_is_refused(server: HttpServer, key: str) -> None:
    reply = server.ask("POST", "/api/jobs", {"type": "EmailJob"}, {"Idempotency-Key": key})
    assert (reply.status, reply.fields) == (400, ["Idempotency-Key"])


@pytest.mark.parametrize(
    "job_id",
    [
        NOBODY,
        NOBODY[:8],
        "x",
        "..%2f..%2fetc",
        "%00",
        "%ff",
        "%2e%2e",
        "%25",
        "' OR 1=1 --".replace(" ", "%20"),
        "*",
    ],
)
@pytest.mark.parametrize("rest", ["", "/attempts", "/log", "/cancel"])
def test_what_is_no_id_of_a_job_is_not_found(server: HttpServer, job_id: str, rest: str) -> None:
    method = "DELETE" if rest == "/cancel" else "GET"
    assert server.ask(method, f"/api/jobs/{job_id}{rest}").problem["status"] == 404


def test_the_beginning_of_an_id_is_no_id_in_a_path_and_case_makes_no_difference(server: HttpServer) -> None:
    job_id = server.submit()["id"]
    assert server.get(f"/api/jobs/{job_id[:13]}").status == 404
    assert server.get(f"/api/jobs/{job_id.upper()}").json["id"] == job_id


def test_all_of_it_works_through_the_socket_too(server: HttpServer) -> None:
    job = server.ask("POST", "/api/jobs", {"type": "EmailJob"}, socket=True).json
    assert server.ask("GET", f"/api/jobs/{job['id']}", socket=True).json == job
    assert server.ask("DELETE", f"/api/jobs/{job['id']}/cancel", socket=True).json["status"] == "Cancelled"


def test_a_submit_wakes_the_supervisor(server: HttpServer, service: PlayedService) -> None:
    import socket  # noqa: PLC0415

    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        path = service.locations.state_dir / "wake.sock"
        ear.bind(str(path))
        ear.settimeout(5)
        server.submit()
        assert ear.recv(1) == b""
        path.unlink()


def test_an_ended_job_is_pending_again_once_it_is_retried(server: HttpServer, service: PlayedService) -> None:
    job = server.ask("POST", "/api/jobs", {"type": "EmailJob"}).json["id"]
    early = server.ask("POST", f"/api/jobs/{job}/retry")
    assert (early.status, early.json["detail"]) == (409, "The job has not ended: it is Pending.")
    service.start(job)
    assert server.ask("POST", f"/api/jobs/{job}/retry").status == 409
    service.end(job, JobStatus.FAILED, failure_kind=FailureKind.RAISED, error_message="no", exit_code=1)
    reply = server.ask("POST", f"/api/jobs/{job}/retry")
    assert reply.status == 202
    told = {name: reply.json[name] for name in ("id", "status", "attempt", "maxAttempts", "failureKind")}
    assert told == {"id": job, "status": "Pending", "attempt": 1, "maxAttempts": 2, "failureKind": None}
    assert server.get(f"/api/jobs/{job}").json == reply.json
    service.start(job)
    attempts = server.get(f"/api/jobs/{job}/attempts").json
    assert [(each["number"], each["status"]) for each in attempts] == [(1, "Failed"), (2, None)]


def test_a_job_that_is_not_there_cannot_be_retried(server: HttpServer) -> None:
    assert server.ask("POST", f"/api/jobs/{NOBODY}/retry").status == 404
