"""What is promised to users, and tried to break from the outside."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from asyncworker import Client
from supervisor.lifecycle import JobStatus
from supervisor.store.records import CancelAnswer, Job
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.reuse import later, taking
from tests.support.service import COMMAND, HERE, LIMITS, Service, Serving
from tests.system.conftest import MakeService
from workers.identity import Identity

A_LONG_TIME = 60.0

SUBMIT_FOR_EVER = """
from asyncworker import Client
with Client() as client:
    while True:
        print(client.submit("Nap", 0.01).id, flush=True)
"""


def process_of(service: Service, job_id: str) -> Identity:
    """The process of a job that has begun, by what it wrote down itself."""
    note = service.began(job_id)
    return Identity(note["pid"], note["ticks"])


# P1 and P2: being on record


def test_what_was_acknowledged_survives_a_sigkill_of_everything(service: Service, tmp_path: Path) -> None:
    first = service.serve().ready()
    answers = [tmp_path / f"acknowledged-{number}" for number in range(2)]
    submitters = []
    try:
        for answer in answers:
            with answer.open("wb") as stream:
                submitters.append(
                    subprocess.Popen(
                        [sys.executable, "-P", "-c", SUBMIT_FOR_EVER],
                        env=service.environment(),
                        stdout=stream,
                    )
                )
        for answer in answers:
            eventually(lambda answer=answer: answer.read_text().count("\n") > 15)  # type: ignore[misc]
    finally:
        for submitter in submitters:
            submitter.kill()
            submitter.wait()
    first.signal(signal.SIGSTOP)
    first.kill_keeper()
    first.kill()
    acknowledged = [line for answer in answers for line in answer.read_text().split("\n")[:-1]]
    assert len(acknowledged) > 30
    service.serve()
    check(service, acknowledged, LIMITS, idle=False)
    with service.sql() as database:
        everything = [job for (job,) in database.execute("SELECT id FROM jobs")]
    service.all_ended(everything)
    check(service, acknowledged, LIMITS)


def test_a_handler_finds_its_own_process_on_record_at_its_very_first_line(service: Service) -> None:
    serving = service.serve().ready()
    jobs = [service.client.submit("Witness", str(service.database)).id for _ in range(20)]
    for job in service.all_ended(jobs):
        assert job.status is JobStatus.COMPLETED, job.error_message
        seen = json.loads(job.result or "")
        pid, ticks = seen["pid"], seen["ticks"]
        assert seen["record"] == [["InProgress", serving.uuid, serving.uuid, 1, 1, pid, pid, ticks]]


# P3 and P7: recovery


def test_an_innocent_process_that_was_given_an_orphans_pid_lives(service: Service) -> None:
    first = service.serve().ready()
    job = service.client.submit("Nap", A_LONG_TIME)
    child = process_of(service, job.id)
    first.signal(signal.SIGSTOP)
    first.kill_keeper()
    first.kill()
    eventually(lambda: not child.exists())
    later(child)
    victim = Identity.of(taking(child.pid))
    assert victim is not None
    try:
        service.serve()
        assert service.all_ended([job])[0].failure_kind == "owner_died"
        check(service, [job.id], LIMITS)
        assert victim.is_running()
    finally:
        os.kill(victim.pid, signal.SIGKILL)
        os.waitpid(victim.pid, 0)


def test_after_a_reboot_the_failure_says_so(service: Service) -> None:
    first = service.serve().ready()
    jobs = [service.client.submit(name, A_LONG_TIME) for name in ("Nap", "Stubborn")]
    waiting = service.client.submit("Echo", "later")
    for job in jobs:
        process_of(service, job.id)
    first.kill()
    eventually(lambda: not service.strays())
    with service.sql() as database:
        database.execute("UPDATE supervisors SET boot_id = 'another boot'")
    service.serve()
    for job in service.all_ended(jobs):
        assert job.failure_kind == "host_rebooted"
        assert first.uuid in (job.error_message or "")
    service.all_ended([waiting])
    check(service, [*(job.id for job in jobs), waiting.id], LIMITS)


def test_an_orphan_whose_end_was_asked_for_becomes_cancelled(service: Service) -> None:
    first = service.serve().ready()
    job = service.client.submit("Nap", A_LONG_TIME)
    process_of(service, job.id)
    first.kill()
    assert service.client.cancel(job.id).answer is CancelAnswer.REQUESTED
    answer = service.run("cancel", job.id)
    assert answer.returncode == 4
    assert "asyncworker serve" in answer.stderr
    service.serve()
    assert service.all_ended([job])[0].status is JobStatus.CANCELLED
    check(service, [job.id], LIMITS)


# P9: without a supervisor, and across restarts


def test_without_a_supervisor_jobs_are_submitted_listed_and_cancelled(service: Service) -> None:
    kept, unwanted = (service.run("submit", "Echo", f'"{word}"', "-q") for word in ("kept", "unwanted"))
    assert (kept.returncode, unwanted.returncode) == (0, 0)
    kept_id, unwanted_id = kept.stdout.strip(), unwanted.stdout.strip()
    assert [job["id"] for job in service.asked("list")["items"]] == [unwanted_id, kept_id]
    cancelled = service.run("cancel", unwanted_id)
    assert (cancelled.returncode, cancelled.stderr) == (0, "")
    assert service.run("wait", kept_id).returncode == 4
    service.serve().ready()
    assert service.run("wait", kept_id, "--timeout", "20s").returncode == 0
    assert json.loads(service.job(kept_id).result or "") == "kept"
    assert service.job(unwanted_id).status is JobStatus.CANCELLED
    check(service, [kept_id, unwanted_id], LIMITS)


def test_pending_jobs_survive_restarts_and_run_by_priority_then_age(service: Service) -> None:
    priorities = [0, 5, -3, 5, 0, 7, 0, -3]
    jobs = [service.client.submit("Single", 0.05, priority=priority) for priority in priorities]
    expected = [job.id for job in sorted(jobs, key=lambda job: (-job.priority, job.seq))]
    for number in (1, 3, 5):
        serving = service.serve()
        service.began(expected[number])
        serving.kill()
    service.serve()
    service.all_ended(jobs)
    history = check(service, expected, LIMITS)
    began = [row["id"] for row in sorted(history.jobs.values(), key=lambda row: row["started_at"])]
    assert began == expected
    assert [note["job"] for note in history.notes if note["event"] == "start"] == [
        job for job in expected if history.executions(job)
    ]


def test_whoever_waits_for_a_pending_job_is_not_told_of_a_restart(service: Service) -> None:
    serving = service.serve(ASYNCWORKER_DRAIN_TIMEOUT="0").ready()
    running = service.client.submit("Single", 60)
    service.began(running.id)
    first, pending = service.client.submit("Echo", 1), service.client.submit("Single", 0)
    words = [str(COMMAND), "wait", first.id, pending.id]
    with subprocess.Popen(words, env=service.environment(), stdout=subprocess.PIPE, text=True) as waiting:
        assert waiting.stdout
        assert first.id in waiting.stdout.readline()  # so it has seen the service
        assert serving.stop() == 0
        service.serve().ready()
        assert waiting.wait(30) == 0
    check(service, [running.id, first.id, pending.id], LIMITS)


# Stopping, as systemd and terminals do it


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_lets_running_jobs_end_and_begins_no_more(
    service: Service, tmp_path: Path, number: signal.Signals
) -> None:
    serving = service.serve().ready()
    running = service.client.submit("Until", str(tmp_path / "enough"))
    process = process_of(service, running.id)
    serving.signal(number)
    serving.said("supervisor_draining")
    new = service.client.submit("Echo", 1)
    eventually(lambda: service.asked("status")["supervisors"][0]["state"] == "stopping")
    assert process.is_running()
    assert service.job(new.id).status is JobStatus.PENDING
    (tmp_path / "enough").touch()
    assert serving.ended() == 0
    assert service.job(running.id).status is JobStatus.COMPLETED
    assert service.job(new.id).status is JobStatus.PENDING
    eventually(lambda: not service.strays())
    with service.sql() as database:
        assert database.execute("SELECT state FROM supervisors").fetchall() == [("stopped",)]
    service.serve()
    service.all_ended([new])
    check(service, [running.id, new.id], LIMITS)


def test_ctrl_c_reaches_the_whole_terminal_and_no_job(service: Service, tmp_path: Path) -> None:
    serving = service.serve().ready()
    jobs = [service.client.submit("Until", str(tmp_path / "enough")) for _ in range(2)]
    for job in jobs:
        process_of(service, job.id)
    os.killpg(serving.pid, signal.SIGINT)
    serving.said("supervisor_draining")
    (tmp_path / "enough").touch()
    assert serving.ended() == 0
    assert {service.job(job.id).status for job in jobs} == {JobStatus.COMPLETED}


def test_a_second_signal_ends_the_drain_and_handlers_still_clean_up(service: Service) -> None:
    serving = service.serve().ready()
    job = service.client.submit("Tidy", 0.1)
    process_of(service, job.id)
    serving.signal(signal.SIGTERM)
    serving.said("supervisor_draining")
    serving.signal(signal.SIGTERM)
    assert serving.ended() == 0
    was_stopped(service, serving, job)
    service.began(job.id, "cleaned")


def test_a_third_signal_ends_the_grace_too(service: Service) -> None:
    serving = service.serve().ready()
    job = service.client.submit("Tidy", A_LONG_TIME)
    process_of(service, job.id)
    for _ in range(2):
        serving.signal(signal.SIGTERM)
        eventually(lambda: serving.events("supervisor_draining"))
    service.began(job.id, "cleaning")
    serving.signal(signal.SIGTERM)
    assert serving.ended(10.0) == 0
    was_stopped(service, serving, job)


def test_what_is_left_after_the_drain_timeout_is_terminated_and_failed(service: Service) -> None:
    serving = service.serve(ASYNCWORKER_DRAIN_TIMEOUT="200ms").ready()
    jobs = [service.client.submit(name, A_LONG_TIME) for name in ("Nap", "Stubborn", "Daemon")]
    for job in jobs:
        process_of(service, job.id)
    assert serving.stop() == 0
    for job in jobs:
        was_stopped(service, serving, job)
    check(service, [job.id for job in jobs], LIMITS)


def was_stopped(service: Service, serving: Serving, job: Job) -> None:
    record = service.job(job.id)
    assert record.status is JobStatus.FAILED
    assert record.failure_kind == "owner_died"
    assert all(
        name in (record.error_message or "") for name in (serving.uuid, f"pid {serving.pid} ", "stopped")
    )


# P5 and P6: cancels and timeouts


def test_a_job_over_its_timeout_is_ended_whatever_it_ignores(service: Service) -> None:
    service.serve().ready()
    jobs = [service.client.submit("Hasty", A_LONG_TIME) for _ in range(2)]
    jobs.append(service.client.submit("Timed", A_LONG_TIME))
    for job in service.all_ended(jobs):
        assert (job.status, job.failure_kind) == (JobStatus.FAILED, "timed_out")
        assert not process_of(service, job.id).is_running()
    (last,) = service.client.attempts(jobs[0].id)
    assert last.termination is not None
    assert [each["signal"] for each in last.termination["signals"]] == ["SIGTERM", "SIGKILL"]
    check(service, [job.id for job in jobs], LIMITS)


@pytest.mark.parametrize("handler", ["stubborn", "deaf"])
def test_within_timeout_grace_and_a_second_a_hanging_job_has_ended_and_its_log_says_where(
    make_service: MakeService, handler: str
) -> None:
    limits = {"timeout": "500ms", "grace": "300ms"}
    service = make_service(types={"Hangs": {"handler": f"chores:{handler}", **limits}})
    service.serve().ready()
    (job,) = service.all_ended([service.client.submit("Hangs", A_LONG_TIME)])
    assert (job.status, job.failure_kind, job.signal) == (JobStatus.FAILED, "timed_out", signal.SIGKILL)
    assert job.completed_at is not None
    assert job.started_at is not None
    noise = 5.0  # the law is without it
    assert 0.8 <= (job.completed_at - job.started_at) / 1000 < 0.8 + 1.0 + noise
    assert f"in {handler}\n" in service.client.log_path(job.id).read_text()


def test_of_a_hundred_jobs_that_are_cancelled_as_they_end_each_has_one_outcome_and_the_answer_fits(
    service: Service,
) -> None:
    dice = random.Random(100)
    service.serve().ready()
    jobs = [service.client.submit("Brief", 0.03).id for _ in range(100)]
    left = set(jobs)
    answers: dict[str, CancelAnswer] = {}
    while left:
        begun = {note["job"]: note["event"] for note in service.notes()}
        for job in sorted(left & begun.keys()):
            if begun[job] == "end" or dice.random() < 0.5:
                answers[job] = service.client.cancel(job).answer
                left.discard(job)
        if dice.random() < 0.05:  # and now and then one that has not begun
            job = dice.choice(sorted(left) or jobs)
            answers.setdefault(job, service.client.cancel(job).answer)
            left.discard(job)
    ended = {job.id: job.status for job in service.all_ended(jobs)}
    fits = {
        CancelAnswer.CANCELLED: {JobStatus.CANCELLED},
        CancelAnswer.REQUESTED: {JobStatus.CANCELLED, JobStatus.COMPLETED},
        CancelAnswer.ALREADY_ENDED: {JobStatus.COMPLETED},
    }
    misfits = {job: (answer, ended[job]) for job, answer in answers.items() if ended[job] not in fits[answer]}
    assert not misfits
    history = check(service, jobs, LIMITS)
    for job, answer in answers.items():
        assert not (answer is CancelAnswer.CANCELLED and history.executions(job))


def test_two_who_cancel_at_once_interrupt_the_handler_once(service: Service) -> None:
    service.serve().ready()
    job = service.client.submit("Tidy", 0.3)
    process_of(service, job.id)
    start = threading.Barrier(2)
    answers = []

    def cancel() -> None:
        with Client(service.state_dir, service.config) as client:
            client.get(job.id)
            start.wait()
            answers.append(client.cancel(job.id).answer)

    threads = [threading.Thread(target=cancel) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Through the service's socket the first is told by time alone: of two at once both may be called so.
    assert CancelAnswer.REQUESTED in answers
    assert set(answers) <= {CancelAnswer.REQUESTED, CancelAnswer.ALREADY_REQUESTED}
    assert service.all_ended([job])[0].status is JobStatus.CANCELLED
    service.began(job.id, "cleaned")  # a second interruption would have broken that off
    check(service, [job.id], LIMITS)


def test_a_job_that_has_ended_stays_as_it_is(service: Service) -> None:
    service.serve().ready()
    job = service.client.submit("Echo", 1)
    (before,) = service.all_ended([job])
    assert service.client.cancel(job.id).answer is CancelAnswer.ALREADY_ENDED
    assert service.run("cancel", job.id).returncode == 1
    assert service.job(job.id) == before


# P8: what happens around it


def test_while_an_outsider_locks_the_database_jobs_end_and_are_ended_and_it_is_recorded_afterwards(
    service: Service, tmp_path: Path
) -> None:
    serving = service.serve().ready()
    ends = service.client.submit("Until", str(tmp_path / "enough"))
    cancelled = service.client.submit("Tidy", A_LONG_TIME)
    overdue = service.client.submit("Timed", A_LONG_TIME)
    kept = service.client.submit("Until", str(tmp_path / "much later"))
    processes = {job.type: process_of(service, job.id) for job in (kept, cancelled, overdue)}
    service.client.cancel(cancelled.id)
    service.began(cancelled.id, "cleaning")
    with service.sql() as outsider:
        outsider.execute("BEGIN EXCLUSIVE")
        (tmp_path / "enough").touch()
        service.began(ends.id, "end")
        eventually(lambda: not processes["Timed"].is_running())
        serving.said("database_unavailable", times=3)  # it waits for a second each time
        assert service.job(ends.id).status is JobStatus.IN_PROGRESS
        outsider.execute("ROLLBACK")
    serving.said("database_back")
    assert serving.process.poll() is None
    assert processes["Until"].is_running()
    (tmp_path / "much later").touch()
    service.client.cancel(cancelled.id)
    next_one = service.client.submit("Echo", 1)
    service.all_ended([ends, overdue, kept, next_one])
    assert service.job(ends.id).status is JobStatus.COMPLETED
    assert service.job(overdue.id).failure_kind == "timed_out"
    assert service.job(kept.id).status is JobStatus.COMPLETED
    serving.kill_keeper()
    service.all_ended([cancelled])
    check(service, [job.id for job in (ends, cancelled, overdue, kept, next_one)], LIMITS)


def test_a_grace_that_is_over_while_the_database_is_locked_ends_in_a_kill_all_the_same(
    service: Service,
) -> None:
    serving = service.serve().ready()
    job = service.client.submit("Stubborn", A_LONG_TIME)
    process = process_of(service, job.id)
    with service.sql() as outsider:
        outsider.execute("PRAGMA busy_timeout = 5000")
        service.client.cancel(job.id)
        serving.said("job_terminated")
        outsider.execute("BEGIN EXCLUSIVE")
        eventually(lambda: not process.is_running())
        outsider.execute("ROLLBACK")
    assert service.all_ended([job])[0].status is JobStatus.CANCELLED


def test_a_database_that_was_moved_away_and_came_back_is_used_on(service: Service, tmp_path: Path) -> None:
    serving = service.serve().ready()
    job = service.client.submit("Until", str(tmp_path / "enough"))
    process_of(service, job.id)
    away = service.database.with_name("away")
    service.database.rename(away)
    (tmp_path / "enough").touch()
    serving.said("database_unavailable", times=2)
    away.rename(service.database)
    assert service.all_ended([job])[0].status is JobStatus.COMPLETED
    assert serving.process.poll() is None


def test_commits_that_fail_and_commits_that_only_seem_to_cost_no_job_and_double_none(
    service: Service,
) -> None:
    serving = service.serve("-P", str(HERE / "doubtful_commits.py"))
    jobs = [service.client.submit(name, 0.02).id for _ in range(6) for name in ("Nap", "Litter", "Stubborn")]
    unwanted = service.client.submit("Tidy", 0.1).id
    service.began(unwanted)
    service.client.cancel(unwanted)
    ended = service.all_ended([*jobs, unwanted])
    assert serving.process.poll() is None
    assert [job.status for job in ended] == [JobStatus.COMPLETED] * len(jobs) + [JobStatus.CANCELLED]
    check(service, [*jobs, unwanted], LIMITS)
    assert serving.stop() == 0


def test_without_its_socket_the_supervisor_finds_jobs_at_the_next_tick(service: Service) -> None:
    service.serve().ready()
    (service.state_dir / "wake.sock").unlink()
    job = service.client.submit("Echo", 1)
    assert service.all_ended([job])[0].status is JobStatus.COMPLETED


def test_a_supervisor_that_was_stopped_for_a_while_goes_on(service: Service, tmp_path: Path) -> None:
    serving = service.serve().ready()
    ends = service.client.submit("Until", str(tmp_path / "enough"))
    overdue = service.client.submit("Timed", A_LONG_TIME)
    processes = [process_of(service, job.id) for job in (ends, overdue)]
    service.freeze(serving)
    (tmp_path / "enough").touch()
    eventually(lambda: not processes[0].is_running())
    meanwhile = service.client.submit("Echo", 1)
    assert service.job(ends.id).status is JobStatus.IN_PROGRESS
    serving.signal(signal.SIGCONT)
    service.all_ended([ends, overdue, meanwhile])
    assert service.job(ends.id).status is JobStatus.COMPLETED
    assert service.job(overdue.id).failure_kind == "timed_out"
    check(service, [ends.id, overdue.id, meanwhile.id], LIMITS)


def test_a_state_folder_with_a_name_too_long_for_a_socket_works(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service(state_dir=tmp_path / ("long" * 20) / ("longer" * 20))
    serving = service.serve().ready()
    assert (service.state_dir / "wake.sock").is_socket()
    assert not serving.events("wake_socket_unavailable")
    job = service.client.submit("Litter", 0.01)
    assert service.all_ended([job])[0].status is JobStatus.COMPLETED
    check(service, [job.id], LIMITS)


def test_the_largest_payload_goes_in_and_out(service: Service) -> None:
    service.serve().ready()
    payloads = ["\u00e9" * ((1 << 19) - 1), "\u20ac" * ((1 << 20) // 3 - 1), '"' * ((1 << 19) - 2)]
    jobs = [service.client.submit("Echo", payload) for payload in payloads]
    for job, payload in zip(service.all_ended(jobs), payloads, strict=True):
        assert job.status is JobStatus.COMPLETED, job.error_message
        assert json.loads(job.result or "") == payload


HOSTILE: dict[str, dict[str, Any]] = {
    "raise": {"failureKind": "raised"},
    "sys.exit(3)": {"failureKind": "exited", "exitCode": 3},
    "os._exit(0)": {"failureKind": "exited", "exitCode": 0},
    "SIGKILL": {"failureKind": "signalled", "signal": 9},
    "SIGSEGV": {"failureKind": "signalled", "signal": 11},
    "no JSON": {"failureKind": "bad_result"},
    "NaN": {"failureKind": "bad_result"},
    "too large": {"failureKind": "bad_result"},
    "garbage": {"status": "Failed"},
    "forged frames": {"status": "Failed"},
    "NaN frames": {"status": "Failed"},
    "largest frame": {"status": "Failed"},
    "deep frames": {"status": "Failed"},
    "closes all": {"failureKind": "exited"},
    "leaves a thread": {"status": "Completed"},
    "leaves daemons": {"status": "Completed"},
}


def test_hostile_handlers_hurt_themselves_alone_and_what_became_of_them_is_told(service: Service) -> None:
    serving = service.serve().ready()
    bystander = service.client.submit("Nap", A_LONG_TIME)
    process = process_of(service, bystander.id)
    jobs = {deed: service.client.submit("Hostile", deed).id for deed in HOSTILE}
    jobs["import"] = service.client.submit("Nowhere").id
    service.all_ended(jobs.values())
    told = {deed: service.asked("status", job) for deed, job in jobs.items()}
    expected = {**HOSTILE, "import": {"failureKind": "not_started"}}
    seen = {deed: {key: told[deed][key] for key in facts} for deed, facts in expected.items()}
    assert seen == expected
    assert not serving.events("keeper_died")
    assert process.is_running()
    service.client.cancel(bystander.id)
    last = service.client.submit("Echo", 1)
    ended = service.all_ended([bystander, last])
    assert [job.status for job in ended] == [JobStatus.CANCELLED, JobStatus.COMPLETED]
    check(service, [*jobs.values(), bystander.id, last.id], LIMITS)


def test_a_job_that_kills_its_keeper_takes_what_ran_beside_it_along_and_nothing_more(
    service: Service,
) -> None:
    serving = service.serve().ready()
    beside = service.client.submit("Daemon", A_LONG_TIME)
    process_of(service, beside.id)
    culprit = service.client.submit("Hostile", "kills its keeper")
    for job in service.all_ended([beside, culprit]):
        assert job.failure_kind == "keeper_died"
        assert serving.uuid in (job.error_message or "")
    last = service.client.submit("Echo", 1)
    assert service.all_ended([last])[0].status is JobStatus.COMPLETED
    check(service, [beside.id, culprit.id, last.id], LIMITS)


def test_a_locked_database_delays_a_start_and_does_not_prevent_it(service: Service) -> None:
    with service.sql() as outsider:
        outsider.execute("BEGIN EXCLUSIVE")
        serving = service.serve()
        serving.said("keeper_ready")
        assert not serving.events("supervisor_ready")
        outsider.execute("ROLLBACK")
    job = service.client.submit("Echo", 1)
    service.all_ended([job])
    assert serving.process.poll() is None
