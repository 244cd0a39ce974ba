"""What a supervisor says of itself when it registers, over a real SQLite file."""

from pathlib import Path

import pytest

from supervisor.jobtypes.records import JobType
from supervisor.store import supervisors
from tests.support.builders import a_supervisor
from tests.support.scripted import scripted

HOUR = 3_600_000


@pytest.mark.parametrize(
    "ahead, said", [(0, 0), (30_000, 0), (HOUR, 1), (-HOUR, 0)], ids=["same", "a bit", "later", "earlier"]
)
def test_a_clock_behind_the_last_heartbeat_on_record_is_said_once(
    tmp_path: Path, ahead: int, said: int
) -> None:
    with scripted(tmp_path, JobType(name="Mail", handler="a:b", max_concurrency=1)) as it:
        before = it.clock.now() + ahead
        with it.store.write() as tx:
            supervisors.register(
                tx, a_supervisor(state="stopped", started_at=1, heartbeat_at=before, ended_at=before)
            )
        it.get_ready()
        it.tick(100)
        assert it.log.getvalue().count("clock_behind") == said


def test_the_first_start_of_all_has_nothing_to_compare_its_clock_with(tmp_path: Path) -> None:
    with scripted(tmp_path, JobType(name="Mail", handler="a:b", max_concurrency=1)) as it:
        it.get_ready()
        assert "clock_behind" not in it.log.getvalue()
