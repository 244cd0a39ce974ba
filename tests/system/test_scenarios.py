"""The four scenarios of the interface, as users have them: the installed command and the shipped file."""

import json
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.eventually import eventually
from tests.support.observer import Observer
from tests.support.service import COMMAND, Service
from tests.system.conftest import MakeService
from tests.tree import ROOT
from workers.identity import Identity

SHORT = {"5000": "1000", "10000": "6000", "15000": "15000"}
"""Milliseconds in the file that is shipped, and here."""


@pytest.fixture
def service(make_service: MakeService, tmp_path: Path) -> Service:
    """Nothing is there but the job types: state folder and database are made by the command."""
    service = make_service(tmp_path, {}, state_dir=tmp_path / "not" / "made" / "yet")
    service.database.unlink()
    service.state_dir.rmdir()
    text = (ROOT / "jobtypes.yaml").read_text()
    for shipped, short in SHORT.items():
        assert f"delay_milliseconds: {shipped}}}" in text
        text = text.replace(f"delay_milliseconds: {shipped}}}", f"delay_milliseconds: {short}}}")
    service.config.write_text(text)
    return service


def serve(service: Service) -> int:
    """`asyncworker serve`: its pid, once it is ready."""
    return service.serve("-P", str(COMMAND), "serve", "--no-http").ready().pid


def submit(service: Service, *types: str) -> list[str]:
    """All at once, from as many terminals: their ids."""
    commands = [[str(COMMAND), "submit", job_type, '{"to": "you@example.org"}', "-q"] for job_type in types]
    terminals = [
        subprocess.Popen(command, env=service.environment(), stdout=subprocess.PIPE, text=True)
        for command in commands
    ]
    answers = [terminal.communicate(timeout=50)[0].strip() for terminal in terminals]
    assert [terminal.returncode for terminal in terminals] == [0] * len(types)
    return answers


def slots(service: Service, job_type: str) -> dict[str, int]:
    status = service.asked("status")
    (found,) = [each for each in status["concurrency"] if each["jobType"] == job_type]
    assert found["inUse"] == status["summary"]["inProgress"]
    return dict(found)


def test_one_an_email_is_answered_at_once_with_pending_and_completed_after_its_time(service: Service) -> None:
    serve(service)
    answer = service.run("submit", "EmailJob", '{"to": "you@example.org"}', "--json")
    assert answer.returncode == 0, answer.stderr
    job = json.loads(answer.stdout)
    assert (job["status"], job["completedAt"]) == ("Pending", None)
    assert service.run("wait", job["id"], "--timeout", "20s").returncode == 0
    job = service.asked("status", job["id"])
    assert (job["status"], job["result"]) == ("Completed", {"sent": {"to": "you@example.org"}})
    record = service.job(job["id"])
    assert record.completed_at is not None
    assert record.started_at is not None
    assert record.completed_at - record.started_at >= int(SHORT["5000"])
    assert "step 10 of 10 done" in service.run("logs", job["id"]).stdout


def test_two_of_ten_emails_at_once_never_more_than_three_are_in_progress(service: Service) -> None:
    jobs = submit(service, *["EmailJob"] * 10)
    with Observer(service.state_dir) as seen:
        serve(service)
        looks = [slots(service, "EmailJob")]
        while looks[-1]["inUse"] + looks[-1]["waiting"] > 0:
            looks.append(slots(service, "EmailJob"))
    assert max(look["inUse"] for look in looks) == 3
    assert all(look["inUse"] + look["available"] == look["maxConcurrency"] == 3 for look in looks)
    assert seen.most(lambda _: "EmailJob")["EmailJob"] == 3
    assert all(len(seen.processes[job]) == 1 for job in jobs)
    assert [service.asked("status", job)["status"] for job in jobs[:2]] == ["Completed"] * 2
    assert service.asked("status")["summary"]["completed"] == 10


def test_three_a_report_that_is_cancelled_is_cancelled_and_its_process_is_gone(service: Service) -> None:
    serve(service)
    at_once, running = submit(service, "ReportJob", "ReportJob")
    cancelled = service.run("cancel", at_once)
    assert cancelled.returncode == 0, cancelled.stderr
    job = eventually(lambda: (job := service.asked("status", running))["status"] == "InProgress" and job)
    process = Identity.of(job["pid"])
    assert process is not None
    cancelled = service.run("cancel", running, "--json")
    assert cancelled.returncode == 0, cancelled.stderr
    (answer,) = json.loads(cancelled.stdout)
    assert (answer["status"], answer["termination"]["signals"][0]["signal"]) == ("Cancelled", "SIGTERM")
    assert not process.exists()
    assert service.asked("status", at_once)["status"] == "Cancelled"
    assert slots(service, "ReportJob")["available"] == 2


def test_four_after_a_sigkill_and_a_restart_the_job_is_failed_and_gone_and_pending_ones_run(
    service: Service,
) -> None:
    jobs = submit(service, *["DataProcessJob"] * 7)
    pid = serve(service)
    eventually(lambda: slots(service, "DataProcessJob")["inUse"] == 5)
    (dead,) = service.asked("status")["supervisors"]
    assert dead["pid"] == pid
    lost = [job for job in map(service.job, jobs) if job.status == "InProgress"]
    processes = [Identity.of(job.pid or 0) for job in lost]
    (killed,) = service.supervisors
    killed.signal(signal.SIGKILL)
    assert killed.ended() == -signal.SIGKILL
    serve(service)
    assert not any(process and process.is_running() for process in processes)
    for record in lost:
        job = service.asked("status", record.id)
        assert (job["status"], job["failureKind"]) == ("Failed", "owner_died")
        assert all(str(dead[name]) in job["errorMessage"] for name in ("processInstanceId", "pid", "host"))
    waiting = [job for job in jobs if job not in {each.id for each in lost}]
    assert service.run("wait", *waiting, "--timeout", "30s").returncode == 0
    assert service.asked("status")["summary"]["completed"] == len(waiting)
