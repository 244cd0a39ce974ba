"""Processes of their own on one file: what two of them both believe, what one leaves when killed."""

import os
import signal
from collections import Counter
from pathlib import Path

from supervisor.lifecycle import JobStatus
from supervisor.outcome import Outcome
from supervisor.store import attempts, jobs, open_store
from supervisor.store.records import CancelAnswer
from tests.support.builders import NOW, an_identity
from tests.support.store import OWNER, exit_code, forked, start, submit

DONE = Outcome(JobStatus.COMPLETED)


def test_claimers_at_once_claim_every_job_once_and_never_meet_a_lock(path: Path) -> None:
    wanted = {f"job-{number}" for number in range(500)}
    with open_store(str(path)) as store, store.write() as tx:
        for job_id in wanted:
            submit(tx, job_id)

    def claim_all(owner: str, batch: int) -> None:
        with open_store(str(path)) as store:
            while True:
                with store.write() as tx:
                    found = jobs.eligible(tx, type="EmailJob", limit=batch)
                    for job in found:
                        assert jobs.claim(
                            tx, job_id=job.id, owner=owner, attempt=1, child=an_identity(os.getpid()), now=NOW
                        )
                if not found:
                    return

    pids = [forked(lambda n=n: claim_all(f"owner-{n}", n + 2)) for n in range(4)]  # type: ignore[misc]
    assert [exit_code(pid) for pid in pids] == [0] * 4
    with open_store(str(path)) as store, store.read() as tx:
        held = [job.id for n in range(4) for job in jobs.held_by(tx, owner=f"owner-{n}")]
        assert len(held) == len(wanted)
        assert set(held) == wanted
        assert all(len(attempts.of(tx, job_id)) == 1 for job_id in wanted)


def test_claimers_that_saw_the_same_jobs_win_each_once(path: Path) -> None:
    """Each has read before it claims, in another transaction: the UPDATE alone decides."""
    ids = [f"job-{number}" for number in range(100)]
    with open_store(str(path)) as store, store.write() as tx:
        for job_id in ids:
            submit(tx, job_id)
    results, gate = os.pipe(), os.pipe()

    def claim_all(owner: str) -> None:
        os.close(gate[1])
        os.read(gate[0], 1)
        with open_store(str(path)) as store:
            for job_id in ids:
                with store.write() as tx:
                    won = jobs.claim(tx, job_id=job_id, owner=owner, attempt=1, child=an_identity(), now=NOW)
                if won:
                    os.write(results[1], f"{job_id}\n".encode())

    pids = [forked(lambda n=n: claim_all(f"owner-{n}")) for n in range(3)]  # type: ignore[misc]
    for end in (*gate, results[1]):
        os.close(end)
    with os.fdopen(results[0]) as wins:
        assert Counter(wins.read().split()) == Counter(ids)
    assert [exit_code(pid) for pid in pids] == [0] * 3


def test_an_end_and_a_request_to_cancel_at_once_agree_on_who_was_first(path: Path) -> None:
    ids = [f"job-{number}" for number in range(60)]
    with open_store(str(path)) as store, store.write() as tx:
        for job_id in ids:
            start(tx, job_id)
    results = os.pipe()

    def cancel_all() -> None:
        with open_store(str(path)) as store:
            for job_id in ids:
                with store.write() as tx:
                    answer = jobs.request_cancel(tx, id=job_id, now=NOW)
                os.write(results[1], f"{job_id} {answer}\n".encode())

    def give_back_all() -> None:
        with open_store(str(path)) as store:
            for job_id in reversed(ids):
                with store.write() as tx:
                    assert jobs.give_back(tx, job_id=job_id, owner=OWNER, attempt=1, now=NOW) is not None

    pids = [forked(cancel_all), forked(give_back_all)]
    os.close(results[1])
    with os.fdopen(results[0]) as answers:
        said = dict(line.split() for line in answers)
    assert [exit_code(pid) for pid in pids] == [0, 0]
    assert set(said.values()) <= {CancelAnswer.CANCELLED, CancelAnswer.REQUESTED}
    with open_store(str(path)) as store, store.read() as tx:
        assert jobs.counts(tx)[JobStatus.CANCELLED] == len(said) == len(ids)


def test_a_killed_writer_loses_nothing_that_it_acknowledged(path: Path) -> None:
    acknowledged: set[str] = set()
    for kill in range(20):
        said = os.pipe()

        def write_on(kill: int = kill, said: tuple[int, int] = said) -> None:
            with open_store(str(path), supervisor=kill % 2 == 0) as store:
                number = 0
                while True:
                    with store.write() as tx:
                        submit(tx, f"job-{kill}-{number}")
                        start(tx, f"run-{kill}-{number}")
                    os.write(said[1], f"{number}\n".encode())
                    number += 1

        pid = forked(write_on)
        os.close(said[1])
        with os.fdopen(said[0]) as lines:
            heard = [int(lines.readline()) for _ in range(kill % 7 + 1)]
            os.kill(pid, signal.SIGKILL)
            heard += [int(line) for line in lines]
        assert exit_code(pid) == -signal.SIGKILL
        acknowledged |= {f"{kind}-{kill}-{number}" for kind in ("job", "run") for number in heard}
    with open_store(str(path)) as store, store.read() as tx:
        there = set(jobs.ids_matching(tx, limit=10**6))
        assert acknowledged <= there
        assert len(there) - len(acknowledged) <= 20 * 2
        assert tx.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
        for job_id in jobs.ids_matching(tx, status=JobStatus.IN_PROGRESS, limit=10**6):
            assert [attempt.status for attempt in attempts.of(tx, job_id)] == [None]
