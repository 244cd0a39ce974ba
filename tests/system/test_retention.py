"""Ended jobs are removed beside live work, and nobody who works notices."""

import json
import os
import subprocess
import sys
import time
from typing import Any

from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.service import LIMITS, Service

IN_TINY_STEPS = """
from supervisor import pruning, retention
pruning._BATCH, retention._SHORTEST_PAUSE = 5, 0.005
retention._PATIENCE, retention._BETWEEN_PASSES = 0.05, 1.0
"""
SERVE = IN_TINY_STEPS + "from supervisor.__main__ import main; raise SystemExit(main())"
PRUNE = IN_TINY_STEPS + "from cli.main import run; raise SystemExit(run(['prune', '--json']))"
OLD = 200
DAY = 86_400_000
KEPT = f"{OLD:08x}-0000-4000-8000-000000000000"


def fill(service: Service) -> None:
    """As many Completed jobs as OLD, eight days old, with 50 kB and a log each; and one a day old."""
    ended = int(time.time() * 1000) - 8 * DAY
    with service.sql() as database:
        database.execute("BEGIN")
        for number in range(OLD + 1):
            at = ended if number < OLD else ended + 7 * DAY
            row: dict[str, Any] = {
                "id": f"{number:08x}-0000-4000-8000-000000000000",
                "type": "Nap",
                "payload": json.dumps("x" * 50_000),
                "status": "Completed",
                "priority": 0,
                "attempt": 1,
                "max_attempts": 1,
                "crashes": 0,
                "owner": "she",
                "pid": 1,
                "created_at": at,
                "started_at": at,
                "completed_at": at,
            }
            columns, places = ", ".join(row), ", ".join(f":{name}" for name in row)
            database.execute(f"INSERT INTO jobs ({columns}) VALUES ({places})", row)
            log = service.client.locations.log_of(row["id"], 1)
            log.parent.mkdir(parents=True)
            log.write_text("said")
        database.execute(
            "INSERT INTO attempts (job_seq, number, owner, pid, start_ticks, started_at, ended_at, status)"
            " SELECT seq, 1, owner, pid, 1, started_at, completed_at, status FROM jobs"
        )
        database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def old_ones(service: Service) -> int:
    with service.sql() as database:
        return int(database.execute("SELECT count(*) FROM jobs WHERE owner = 'she'").fetchone()[0])


def test_live_work_beside_two_who_prune_ends_as_ever_and_the_disk_gets_its_space_back(
    service: Service,
) -> None:
    fill(service)
    full = os.path.getsize(service.database)
    serving = service.serve("-P", "-c", SERVE).ready()
    live: list[str] = []
    with subprocess.Popen(
        [sys.executable, "-P", "-c", PRUNE], env=service.environment(), stdout=subprocess.PIPE
    ) as by_hand:
        while old_ones(service) > 1 or len(live) < 20:
            some = [service.client.submit("Brief", 0.01).id for _ in range(3)]
            live += some
            service.all_ended(some)
        removed = json.loads(by_hand.communicate(timeout=30)[0])["completed"]
    assert by_hand.returncode == 0
    ended = service.all_ended(live)
    assert {(job.status, job.attempt) for job in ended} == {("Completed", 1)}

    def by_the_service() -> int:
        return sum(int(event["jobs"].split()[0]) for event in serving.events("jobs_pruned"))

    eventually(lambda: removed + by_the_service() == OLD)
    eventually(lambda: os.path.getsize(service.database) < full / 2)
    logs = service.client.locations.logs
    eventually(lambda: not [*logs.joinpath(".removed").iterdir()])
    assert {path.name for path in logs.iterdir()} == {KEPT, ".removed", *live}
    with service.sql() as database:
        assert database.execute("SELECT count(*) FROM attempts").fetchone() == (len(live) + 1,)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.execute("DELETE FROM jobs WHERE owner = 'she'")  # the checker wants to know who ran it
    assert serving.events("database_unavailable") == serving.events("logs_not_removed") == []
    check(service, live, LIMITS)
