"""Two supervisors at an unfortunate moment: both at the start of everything, or one given up by the other."""

import signal
from pathlib import Path

from supervisor.lifecycle import JobStatus
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.service import LIMITS, Service
from tests.system.conftest import MakeService
from workers.identity import Identity

A_LONG_TIME = 60.0


def test_two_that_start_at_the_same_instant_in_a_fresh_folder_both_serve(
    make_service: MakeService, tmp_path: Path
) -> None:
    service = make_service()
    service.database.unlink()
    service.state_dir.rmdir()
    first, second = service.serve(), service.serve()
    first.ready()
    second.ready()
    jobs = [service.client.submit("Nap", 0.05).id for _ in range(12)]
    assert {job.status for job in service.all_ended(jobs)} == {JobStatus.COMPLETED}
    check(service, jobs, LIMITS)
    assert (first.stop(), second.stop()) == (0, 0)


def test_one_that_was_given_up_while_it_was_stopped_finds_out_and_does_no_harm(service: Service) -> None:
    first = service.serve().ready()
    lost = service.client.submit("Nap", A_LONG_TIME)
    process = Identity(*(service.began(lost.id)[key] for key in ("pid", "ticks")))
    service.freeze(first)
    with service.sql() as database:
        # Nobody gives up a supervisor that can be judged from where he is. So: as if it were of another boot.
        database.execute("UPDATE supervisors SET boot_id = 'another boot'")
    second = service.serve().ready()
    (ended,) = service.all_ended_on_record([lost.id])
    assert (ended.status, ended.failure_kind) == (JobStatus.FAILED, "host_rebooted")
    first.signal(signal.SIGCONT)
    assert first.ended() == 1
    assert first.log.read_text().splitlines()[-1] == (
        "Error: It is on record that this supervisor is gone: it ends, and with it what it runs."
    )
    eventually(lambda: not process.is_running())
    following = service.client.submit("Echo", 1).id
    service.all_ended([following])
    assert service.job(lost.id) == ended
    assert second.process.poll() is None
    check(service, [lost.id, following], LIMITS)
