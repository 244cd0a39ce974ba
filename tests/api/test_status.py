"""What is going on: supervisors, slots, counts, types, health, metrics."""

import os
from collections.abc import Callable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.store import supervisors
from tests.api.server import HttpServer
from tests.cli.commandline import ME, Installation, PlayedService
from tests.support.builders import a_supervisor

PROCESS = "processInstanceId pid host state startedAt heartbeatAt version isolation others".split()


def metric(server: HttpServer, name: str, **labels: str) -> float:
    families = text_string_to_metric_families(server.get("/metrics").body.decode())
    samples = [sample for family in families for sample in family.samples]
    (value,) = [each.value for each in samples if each.name == name and labels.items() <= each.labels.items()]
    return value


def test_the_live_supervisor_is_shown_and_so_are_the_others(
    server: HttpServer, service: PlayedService
) -> None:
    gone = a_supervisor(uuid="dead0000-0000-4000-8000-000000000001", host="elsewhere")
    with service.store.write() as tx:
        supervisors.register(tx, gone)
    found = server.get("/api/status/process").json
    assert list(found) == PROCESS
    assert (found["processInstanceId"], found["pid"], found["state"]) == (ME, os.getpid(), "running")
    (other,) = found["others"]
    assert (other["processInstanceId"], other["alive"]) == (gone.uuid, False)


def test_without_a_supervisor_everything_about_it_is_null_and_nothing_is_ready(
    played: PlayedService, start: Callable[..., HttpServer]
) -> None:
    server = start()
    assert server.get("/readyz").json == {"status": "ready"}
    played.leave()
    found = server.get("/api/status/process").json
    assert [found[name] for name in PROCESS[:-1]] == [None] * (len(PROCESS) - 1)
    assert [each["processInstanceId"] for each in found["others"]] == [ME]
    assert server.get("/readyz").problem["status"] == 503
    assert server.get("/healthz").json == {"status": "alive"}
    assert metric(server, "asyncworker_supervisor_up") == 0


def test_slots_and_counts_follow_the_jobs(played: PlayedService, start: Callable[..., HttpServer]) -> None:
    server = start()
    ids = [server.submit()["id"] for _ in range(4)]
    for job_id in ids[:3]:
        played.start(job_id)
    assert server.get("/api/status/concurrency").json == [
        {"jobType": "EmailJob", "maxConcurrency": 3, "inUse": 3, "available": 0, "waiting": 1},
        {"jobType": "ReportJob", "maxConcurrency": 2, "inUse": 0, "available": 2, "waiting": 0},
    ]
    played.end(ids[0], JobStatus.COMPLETED, result="1")
    played.end(ids[1], JobStatus.FAILED, failure_kind=FailureKind.RAISED)
    counts = {"pending": 1, "inProgress": 1, "completed": 1, "failed": 1, "cancelled": 0, "total": 4}
    assert server.get("/api/status/summary").json == counts
    overview = server.get("/api/status").json
    assert overview["summary"] == counts
    assert [each["processInstanceId"] for each in overview["supervisors"]] == [ME]

    assert metric(server, "asyncworker_jobs", type="EmailJob", status="Failed") == 1
    assert metric(server, "asyncworker_jobs", type="ReportJob", status="Failed") == 0
    assert metric(server, "asyncworker_slots_in_use", type="EmailJob") == 1
    assert metric(server, "asyncworker_slots_limit", type="EmailJob") == 3
    assert metric(server, "asyncworker_supervisor_up") == 1
    assert metric(server, "asyncworker_supervisor_heartbeat_age_seconds") > 0
    assert 0 <= metric(server, "asyncworker_queue_age_seconds", type="EmailJob") < 60
    assert metric(server, "asyncworker_attempts_started_total", type="EmailJob") == 3
    for name, count in (("job_wait", 3), ("attempt_run", 2)):
        family = f"asyncworker_{name}_seconds"
        assert metric(server, f"{family}_count", type="EmailJob") == count
        assert metric(server, f"{family}_bucket", type="EmailJob", le="60.0") == count
        assert 0 <= metric(server, f"{family}_sum", type="EmailJob") < 60


def test_metrics_are_prometheus_text(server: HttpServer) -> None:
    reply = server.get("/metrics")
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


def test_job_types_are_read_again_when_their_file_changes_and_kept_when_it_has_mistakes(
    installation: Installation, start: Callable[..., HttpServer]
) -> None:
    server = start()
    assert [each["name"] for each in server.get("/api/types").json] == ["EmailJob", "ReportJob"]
    good = installation.config.read_text()
    installation.config.write_text(good + "  NewJob: {command: ['true'], max_concurrency: 9}\n")
    assert server.submit("NewJob")["status"] == "Pending"
    assert server.get("/api/types").json[2]["maxConcurrency"] == 9
    installation.config.write_text("job_types: [")
    assert server.submit("NewJob")["status"] == "Pending"
    problem = server.get("/api/status").json["problem"]
    assert problem
    assert str(installation.folder) not in problem
    assert "http_job_types_unreadable" in server.log
    installation.config.write_text(good)
    assert server.ask("POST", "/api/jobs", {"type": "NewJob"}).fields == ["type"]
    assert server.get("/api/status").json["problem"] is None


def test_without_job_types_a_submit_is_answered_503_and_a_list_all_the_same(
    installation: Installation, start: Callable[..., HttpServer]
) -> None:
    installation.config.unlink()
    server = start()
    assert server.ask("POST", "/api/jobs", {"type": "EmailJob"}).problem["status"] == 503
    assert server.get("/api/types").problem["status"] == 503
    assert server.get("/api/jobs").json["totalCount"] == 0
    assert server.get("/openapi.json").status == 200


def test_what_a_type_sets_in_the_environment_is_shown_to_the_owner_alone(
    installation: Installation, start: Callable[..., HttpServer]
) -> None:
    installation.config.write_text(
        "job_types:\n  A: {command: ['true'], max_concurrency: 1, env: {set: {KEY: hush}}}\n"
    )
    server = start()
    (by_tcp,) = server.get("/api/types").json
    (by_socket,) = server.ask("GET", "/api/types", socket=True).json
    assert by_tcp["env"]["set"] == {"KEY": "(set)"}
    assert by_socket["env"]["set"] == {"KEY": "hush"}


def test_only_on_the_socket_health_says_which_files_are_served(server: HttpServer) -> None:
    assert "asyncworker-files" not in server.get("/healthz").headers
    assert "database=" in server.ask("GET", "/healthz", socket=True).headers["asyncworker-files"]


@pytest.mark.parametrize("target", ["/", "/docs"])
def test_the_reference_is_one_page_that_loads_nothing(server: HttpServer, target: str) -> None:
    reply = server.get(target)
    if target == "/":
        assert (reply.status, reply.headers["location"]) == (307, "/docs")
        return
    text = reply.body.decode()
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "<script" not in text
    assert "src=" not in text
    assert "http://" not in text
    for path in server.get("/openapi.json").json["paths"]:
        assert path in text
    assert "/api/events" in text
