"""Every attempt is on record: what status, REST and the metrics say of real ones is true, and the same."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from supervisor import lifeline
from tests.api.server import UnixConnection
from tests.support.eventually import eventually
from tests.support.service import Service
from workers.identity import state_of

SAID = ("status", "failureKind", "exitCode", "signal", "errorMessage")
Attempts = list[dict[str, Any]]


def get(service: Service, target: str) -> str:
    """Over the service's socket."""
    connection = UnixConnection(str(service.state_dir), 20.0)
    try:
        connection.request("GET", target)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()
    finally:
        connection.close()


def metrics(service: Service) -> dict[tuple[str, str, str], float]:
    """By name, by type of job, and by the one further label."""
    found = {}
    for family in text_string_to_metric_families(get(service, "/metrics")):
        for sample in family.samples:
            more = [value for name, value in sample.labels.items() if name != "type"]
            found[sample.name, sample.labels.get("type", ""), "".join(more)] = sample.value
    return found


def test_every_field_is_true_whether_an_attempt_failed_was_killed_cancelled_or_tried_again(
    service: Service,
) -> None:
    serving = service.serve().ready()
    submit = service.client.submit
    jobs = [submit(*each) for each in (("Stumble", 9), ("Hasty", 60), ("Stubborn", 60), ("Fall", 1))]
    failed, killed, cancelled, crashed = ids = [job.id for job in jobs]
    service.began(cancelled)
    service.run("cancel", cancelled)
    service.all_ended(jobs)
    every: dict[str, Attempts] = {job: service.asked("status", job)["attempts"] for job in ids}
    are_of(service, every, serving.uuid)
    for number, each in enumerate(every[failed], 1):
        more = "; that was attempt 3 of 3" if number == 3 else ""
        message = f"LookupError: no luck in attempt {number}{more}"
        assert [each[name] for name in SAID] == ["Failed", "raised", 1, None, message]
        assert each["termination"] is None
        assert "in stumble\n" in each["traceback"]
    (each,) = every[killed]
    message = "it ran longer than its timeout of 0.3 s"
    assert [each[name] for name in SAID] == ["Failed", "timed_out", None, signal.SIGKILL, message]
    was_terminated(each, "timeout")
    (each,) = every[cancelled]
    assert [each[name] for name in SAID] == ["Cancelled", None, None, signal.SIGKILL, None]
    was_terminated(each, "cancel")
    first, second = every[crashed]
    message = "SIGKILL (9) killed it; AsyncWorker did not send it"
    assert [first[name] for name in SAID] == ["Failed", "signalled", None, signal.SIGKILL, message]
    assert [second[name] for name in SAID] == ["Completed", None, 0, None, None]
    assert (first["termination"], first["traceback"], second["traceback"]) == (None, None, None)
    for job, attempts in every.items():
        assert json.loads(get(service, f"/api/jobs/{job}/attempts")) == attempts
    failures = {
        key[1:]: value
        for key, value in metrics(service).items()
        if key[0] == "asyncworker_attempts_failed_total" and value
    }
    assert failures == {("Stumble", "raised"): 3, ("Hasty", "timed_out"): 1, ("Fall", "signalled"): 1}


def are_of(service: Service, every: dict[str, Attempts], owner: str) -> None:
    """Number, owner, process, times and usage: by what the jobs wrote down themselves."""
    notes = {(note["job"], note["attempt"]): note for note in service.notes() if note["event"] == "start"}
    for job, attempts in every.items():
        assert [each["number"] for each in attempts] == list(range(1, len(attempts) + 1))
        for each in attempts:
            note = notes[job, each["number"]]
            assert each["processInstanceId"] == owner
            assert (each["pid"], each["identity"]["startTicks"]) == (note["pid"], note["ticks"])
            assert each["startedAt"] <= each["endedAt"]
            used = each["usage"]
            assert 0 < used["userSeconds"] + used["systemSeconds"] < 5
            assert 4 * 2**20 < used["maxRssBytes"] < 2**29


def was_terminated(attempt: dict[str, Any], reason: str) -> None:
    """Politely first, then not: it ignores SIGTERM, and its grace is 200 ms."""
    how = attempt["termination"]
    assert (how["reason"], how["killed"]) == (reason, 1)
    assert [each["signal"] for each in how["signals"]] == ["SIGTERM", "SIGKILL"]
    polite, hard = (each["afterSeconds"] for each in how["signals"])
    assert polite <= 0.2 <= hard <= how["seconds"] < 20


def test_what_attempts_use_is_on_record_and_summed_up_whether_they_fail_or_not(service: Service) -> None:
    service.configure({"Use": {"handler": "again:use", "max_concurrency": 2}})
    service.serve().ready()
    small = service.client.submit("Use", {"seconds": 0.3, "memory": 1, "fails": True})
    large = service.client.submit("Use", {"seconds": 0.1, "memory": 100})
    service.all_ended([small, large])
    ((one,), (other,)) = (service.asked("status", job.id)["attempts"] for job in (small, large))
    assert (one["failureKind"], other["status"]) == ("raised", "Completed")
    for each, seconds in ((one["usage"], 0.3), (other["usage"], 0.1)):
        assert seconds - 0.05 < each["userSeconds"] + each["systemSeconds"] < seconds + 2
    assert other["usage"]["maxRssBytes"] - one["usage"]["maxRssBytes"] > 80 * 2**20
    found = metrics(service)
    for mode in ("user", "system"):
        total = sum(each["usage"][f"{mode}Seconds"] for each in (one, other))
        assert abs(found["asyncworker_attempt_cpu_seconds_total", "Use", mode] - total) < 0.00001
    memory = [each["usage"]["maxRssBytes"] for each in (one, other)]
    name = "asyncworker_attempt_max_rss_bytes"
    assert found[f"{name}_sum", "Use", ""] == sum(memory)
    for bound in (2.0**power for power in range(23, 37)):
        assert found[f"{name}_bucket", "Use", str(bound)] == sum(each <= bound for each in memory)
    assert found[f"{name}_bucket", "Use", "+Inf"] == found[f"{name}_count", "Use", ""] == 2
    assert "MiB at most" in service.run("status", large.id).stdout


@pytest.mark.parametrize("dies", ["supervisor", "keeper"])
def test_what_attempts_have_used_is_on_record_although_whoever_held_them_died(
    service: Service, dies: str
) -> None:
    service.configure({"Use": {"handler": "again:use", "max_concurrency": 2}})
    first = service.serve().ready()
    jobs = [service.client.submit("Use", {"seconds": 0.3, "memory": 100, "stays": True}) for _ in range(2)]
    for job in jobs:
        service.began(job.id, "used")
    if dies == "keeper":
        first.kill_keeper()
    else:
        first.kill()
        service.serve()
    service.all_ended(jobs)
    for job in jobs:
        (each,) = service.asked("status", job.id)["attempts"]
        assert (each["failureKind"], each["exitCode"], each["signal"]) == (
            "owner_died" if dies == "supervisor" else "keeper_died",
            None,
            signal.SIGKILL,
        )
        used = each["usage"]
        assert 0.25 < used["userSeconds"] + used["systemSeconds"] < 5
        assert used["maxRssBytes"] > 100 * 2**20
        if dies == "supervisor":
            how = each["termination"]
            assert (how["reason"], how["killed"]) == ("supervisor_gone", 1)
            assert [one["signal"] for one in how["signals"]] == ["SIGKILL"]


def test_a_job_that_ends_while_its_supervisor_is_dead_has_failed_and_its_end_is_on_record(
    service: Service, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    first = service.serve().ready()
    job = service.client.submit("Until", str(go))
    pid = service.began(job.id)["pid"]
    os.kill(keeper := first.keeper, signal.SIGSTOP)  # so that it ends nothing before the job has ended
    try:
        first.kill()
        go.touch()
        eventually(lambda: state_of(pid) == "Z")
    finally:
        os.kill(keeper, signal.SIGCONT)
    service.serve()
    (ended,) = service.all_ended([job])
    (each,) = service.client.attempts(job.id)
    assert (ended.failure_kind, ended.result) == ("owner_died", None)
    assert (each.exit_code, each.signal, each.termination) == (0, None, None)
    assert each.user_seconds is not None
    assert [note["event"] for note in service.notes()] == ["start", "end"]
    # What its keeper wrote down lay in the lifeline, and went with it.
    eventually(lambda: len(list(lifeline.folder_of(service.database).iterdir())) == 1)
