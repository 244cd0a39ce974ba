"""Without a descriptor for anything new a supervisor lives, decides nothing unseen, and goes on."""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

from tests.support.history import check
from tests.support.service import LIMITS
from tests.system.conftest import MakeService


@contextlib.contextmanager
def starved(pid: int) -> Iterator[None]:
    """It keeps what it has open, and gets nothing more."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")), before[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


def test_it_recovers_a_dead_supervisors_jobs_once_it_can_look_again(
    make_service: MakeService, tmp_path: Path
) -> None:
    one = make_service()
    other = make_service(tmp_path / "other", database=one.database, runs=one.runs)
    one = make_service(database=one.database)
    dying = other.serve().ready()
    job = other.client.submit("Nap", 60)
    one.began(job.id)
    living = one.serve().ready()
    with starved(living.pid):
        dying.kill()
        living.said("turn_failed", times=2)
        assert one.job(job.id).status == "InProgress"
    assert one.all_ended([job])[0].failure_kind == "owner_died"
    check(one, [job.id], LIMITS)
