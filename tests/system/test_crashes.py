"""SIGKILL at every step of a job's life, a cancel, a recovery, a start and a stop."""

import signal
from collections import Counter

import pytest

from supervisor.store.records import Job
from tests.support.eventually import eventually
from tests.support.history import History, check
from tests.support.service import LIMITS, Service, Serving

SUPERVISOR, KEEPER, BOTH = ROLES = ("supervisor", "keeper", "both")
A_LONG_TIME = 60.0

ON_THE_WAY_TO_A_RUN = (
    "before_register",
    "after_register",
    "before_claim",
    "before_claim_commit",
    "after_claim_commit",
    "after_assign",
)
ON_THE_WAY_FROM_A_RUN = ("before_outcome", "before_outcome_commit", "after_outcome_commit")
DURING_A_CANCEL = ("cancel_heard", "cancel_sent")
DURING_A_RECOVERY = ("orphans_found", "orphans_swept", "orphans_settled", "orphans_recorded")
FROM_AN_ATTEMPT_TO_THE_NEXT = (
    "before_again_commit",
    "after_again_commit",
    "before_next_claim",
    "before_next_claim_commit",
    "after_next_claim_commit",
    "after_next_assign",
)
DURING_A_STOP = ("last_outcome_recorded", "deregistered")

CLAIMED = ("after_claim_commit", "after_assign", "before_outcome", "before_outcome_commit")
"""A job is on record as running, or as good as: it is lost with whoever held it."""


@pytest.fixture
def http() -> bool:
    """It is the supervisor and its keeper that are tried here."""
    return False


def load(service: Service, role: str) -> list[Job]:
    """More than there are slots for, and among them what leaves processes behind or ignores signals."""
    submit = service.client.submit
    naps = [submit("Nap", 0.05) for _ in range(5)]
    # Where both die at once, recovery gives what is left some seconds to go by itself: that is tried below.
    daemons = [] if role == BOTH else [submit("Daemon", 0.05)]
    return [*naps, *daemons, submit("Stubborn", 0.05), submit("Litter", 0.05)]


def _daemon(role: str) -> str:
    """Only a living subreaper knows a process that has neither tie nor mark: not where both died at once."""
    return "Cookie" if role == BOTH else "Daemon"


def struck(service: Service, crashing: Serving, role: str) -> None:
    """Wait for the blow, and for whom it was meant to be gone."""
    eventually(service.struck.exists, 20.0)
    if role != KEEPER:
        assert crashing.ended() == -signal.SIGKILL


def strike(serving: Serving, role: str) -> None:
    if role == BOTH:
        serving.signal(signal.SIGSTOP)  # so that it has not a moment without its keeper
    if role != SUPERVISOR:
        serving.kill_keeper()
    if role != KEEPER:
        serving.kill()


def carried_on(service: Service, crashing: Serving, role: str) -> Serving:
    """Who serves after the blow: a new supervisor, or the same with a new keeper."""
    return crashing if role == KEEPER else service.serve()


def ended_well(service: Service, jobs: list[Job]) -> History:
    """Everything has ended, once, and slots are free: one more of each type runs."""
    more = [service.client.submit(name, 0.01) for name in ("Nap", "Daemon", "Stubborn", "Litter")]
    service.all_ended([*jobs, *more])
    history = check(service, [job.id for job in (*jobs, *more)], LIMITS)
    assert all(history.jobs[job.id]["status"] == "Completed" for job in more), service.logs()
    return history


def failed(history: History, jobs: list[Job]) -> list[dict[str, str]]:
    return [row for job in jobs if (row := history.jobs[job.id])["status"] == "Failed"]


def names_the_dead(row: dict[str, str], history: History, kind: str, dead: Serving) -> bool:
    """Whether the failure says who was gone: UUID, and of a supervisor also its pid and host."""
    record = history.supervisors[dead.uuid]
    named = (
        [dead.uuid] if kind == "keeper_died" else [dead.uuid, f"pid {dead.pid} ", f" on {record['host']})"]
    )
    return row["failure_kind"] == kind and all(name in row["error_message"] for name in named)


@pytest.mark.parametrize(
    "point, role",
    [
        *(
            (point, role)
            for point in (*ON_THE_WAY_TO_A_RUN, *ON_THE_WAY_FROM_A_RUN)
            for role in (SUPERVISOR, KEEPER)
        ),
        *(
            (point, BOTH)
            for point in ("after_register", "after_claim_commit", "after_assign", "before_outcome")
        ),
    ],
)
def test_whoever_dies_at_whichever_step_of_a_run_no_job_is_lost_and_none_runs_twice(
    service: Service, point: str, role: str
) -> None:
    jobs = load(service, role)
    crashing = service.crash(point, role)
    struck(service, crashing, role)
    carried_on(service, crashing, role)
    history = ended_well(service, jobs)
    kind = "keeper_died" if role == KEEPER else "owner_died"
    lost = failed(history, jobs)
    assert all(names_the_dead(row, history, kind, crashing) for row in lost), lost
    if role != KEEPER:
        assert not lost or point not in ON_THE_WAY_TO_A_RUN[:4], lost
        assert lost or point not in CLAIMED, service.logs()
    if point == "after_claim_commit":
        assert not any(history.executions(row["id"]) for row in lost), lost


@pytest.mark.parametrize("role", ROLES)
def test_whoever_dies_while_jobs_run_they_are_failed_and_nothing_of_them_is_alive(
    service: Service, role: str
) -> None:
    service.http = True  # whole, for once
    first = service.serve().ready()
    types = ("Nap", _daemon(role), "Stubborn", "Stubborn")
    running = [service.client.submit(name, A_LONG_TIME) for name in types]
    for job in running:
        service.began(job.id)
    waiting = service.client.submit("Stubborn", 0.01)
    strike(first, role)
    carried_on(service, first, role)
    history = ended_well(service, [*running, waiting])
    kind = "keeper_died" if role == KEEPER else "owner_died"
    assert all(names_the_dead(history.jobs[job.id], history, kind, first) for job in running)
    assert history.jobs[waiting.id]["status"] == "Completed"


@pytest.mark.parametrize("role", [SUPERVISOR, KEEPER])
@pytest.mark.parametrize("point", DURING_A_CANCEL)
def test_whoever_dies_during_a_cancel_the_jobs_are_cancelled_and_gone(
    service: Service, point: str, role: str
) -> None:
    crashing = service.crash(point, role)
    running = [service.client.submit(name, A_LONG_TIME) for name in ("Tidy", "Stubborn", _daemon(role))]
    for job in running:
        service.began(job.id)
    for job in running:
        service.client.cancel(job.id)
    struck(service, crashing, role)
    carried_on(service, crashing, role)
    history = ended_well(service, running)
    statuses = {job.type: history.jobs[job.id]["status"] for job in running}
    # A keeper that dies before the request is heard takes the job along: that was its end, not the cancel.
    if role == KEEPER:
        assert statuses["Tidy"] == "Cancelled"
        assert set(statuses.values()) <= {"Cancelled", "Failed"}
    else:
        assert set(statuses.values()) == {"Cancelled"}


@pytest.mark.parametrize("role", ROLES)
def test_whoever_dies_while_a_cancelled_handler_cleans_up_the_job_is_cancelled_and_gone(
    service: Service, role: str
) -> None:
    first = service.serve().ready()
    job = service.client.submit("Tidy", A_LONG_TIME)
    service.began(job.id)
    service.client.cancel(job.id)
    service.began(job.id, "cleaning")
    strike(first, role)
    carried_on(service, first, role)
    history = ended_well(service, [job])
    assert history.jobs[job.id]["status"] == "Cancelled"
    assert not history.wrote(job.id, "cleaned")


@pytest.mark.parametrize(
    "point, role, earlier",
    [
        *((point, role, SUPERVISOR) for point in DURING_A_RECOVERY for role in (SUPERVISOR, KEEPER)),
        ("orphans_found", BOTH, BOTH),
        ("orphans_swept", BOTH, BOTH),
        ("orphans_recorded", BOTH, SUPERVISOR),
    ],
)
def test_whoever_dies_during_a_recovery_the_next_one_completes_it(
    service: Service, point: str, role: str, earlier: str
) -> None:
    first = service.serve().ready()
    types = ("Nap", _daemon(earlier), "Stubborn", "Stubborn")
    running = [service.client.submit(name, A_LONG_TIME) for name in types]
    cancelled = service.client.submit("Tidy", A_LONG_TIME)
    for job in (*running, cancelled):
        service.began(job.id)
    service.client.cancel(cancelled.id)
    service.began(cancelled.id, "cleaning")
    waiting = service.client.submit("Stubborn", 0.01)
    strike(first, earlier)
    crashing = service.crash(point, role)
    struck(service, crashing, role)
    carried_on(service, crashing, role)
    history = ended_well(service, [*running, cancelled, waiting])
    assert all(names_the_dead(history.jobs[job.id], history, "owner_died", first) for job in running)
    assert history.jobs[cancelled.id]["status"] == "Cancelled"
    assert history.jobs[waiting.id]["status"] == "Completed"


@pytest.mark.parametrize("role", [SUPERVISOR, BOTH])
@pytest.mark.parametrize("point", DURING_A_STOP)
def test_a_supervisor_that_dies_while_it_stops_leaves_nothing_undone(
    service: Service, point: str, role: str
) -> None:
    crashing = service.crash(point, role).ready()
    running = [service.client.submit(name, 0.2) for name in ("Nap", _daemon(role))]
    for job in running:
        service.began(job.id)
    crashing.signal(signal.SIGTERM)
    struck(service, crashing, role)
    service.serve()
    history = ended_well(service, running)
    assert not failed(history, running)


def test_a_job_whose_child_died_at_its_gate_is_given_back_and_runs_once(service: Service) -> None:
    service.crash("after_claim_commit", "child")
    jobs = load(service, KEEPER)
    struck(service, service.supervisors[0], KEEPER)
    history = ended_well(service, jobs)
    assert not failed(history, jobs)
    given_back = [rows for rows in history.attempts.values() if len(rows) == 2]
    assert [[row["status"] for row in rows] for rows in given_back] == [["Pending", "Completed"]]


@pytest.mark.parametrize(
    "point, role",
    [
        *((point, SUPERVISOR) for point in FROM_AN_ATTEMPT_TO_THE_NEXT),
        *((point, KEEPER) for point in ("before_again_commit", "after_again_commit", "after_next_assign")),
        ("after_again_commit", BOTH),
    ],
)
def test_whoever_dies_between_two_attempts_each_failure_is_counted_once_and_each_job_comes_to_its_end(
    service: Service, point: str, role: str
) -> None:
    ends = [service.client.submit("Steadfast", stumbles) for stumbles in (0, 2)]
    fails = service.client.submit("Steadfast", 99)
    crashing = service.crash(point, role)
    struck(service, crashing, role)
    carried_on(service, crashing, role)
    history = ended_well(service, [*ends, fails])
    for job in (*ends, fails):
        kinds = Counter(row["failure_kind"] for row in history.attempts[job.id])
        lost = kinds["keeper_died" if role == KEEPER else "owner_died"]
        row = history.jobs[job.id]
        given_back = sum(attempt["status"] == "Pending" for attempt in history.attempts[job.id])
        assert (row["crashes"], row["max_attempts"]) == (lost, 3 + lost + given_back)
        assert lost <= 1
        if job == fails:
            assert (row["status"], row["failure_kind"], kinds["raised"]) == ("Failed", "raised", 3)
        else:
            assert row["status"] == "Completed"


def test_a_job_that_waits_for_its_time_loses_nothing_by_the_death_of_its_service(service: Service) -> None:
    retries = {"max_attempts": 2, "initial": "1s", "jitter": False}
    service.configure({"Stumble": {"handler": "again:stumble", "retries": retries}})
    first = service.serve()
    job = service.client.submit("Stumble", 1)
    eventually(lambda: service.job(job.id).run_at)
    waiting = service.job(job.id)
    first.kill()
    assert service.job(job.id) == waiting
    service.serve()
    service.all_ended([job])
    history = check(service, [job.id])
    assert history.jobs[job.id]["status"] == "Completed"
    assert [row["status"] for row in history.attempts[job.id]] == ["Failed", "Completed"]
    assert waiting.run_at is not None
    assert history.attempts[job.id][1]["started_at"] >= waiting.run_at
