"""SIGHUP to a whole service: new types, new code, and nothing that runs is touched."""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import JobStatus
from tests.support.eventually import eventually
from tests.support.history import check
from tests.support.service import LIMITS, TYPES, Service, Serving
from tests.system.conftest import MakeService
from workers.identity import Identity

A_LONG_TIME = 60.0


def reload(serving: Serving, times: int = 1) -> None:
    serving.signal(signal.SIGHUP)
    serving.said("reloaded", times=times)


def keepers(serving: Serving) -> list[int]:
    """Pids of all so far."""
    return [int(event["pid"]) for event in serving.events("keeper_started")]


def test_changed_code_is_that_of_the_next_job_and_the_running_one_ends_with_its_own(
    make_service: MakeService, tmp_path: Path
) -> None:
    module = tmp_path / "answers.py"
    old = (
        "import pathlib, time\n"
        "ANSWER = 'old'\n"
        "def answer(payload):\n"
        "    while not pathlib.Path(payload).exists():\n"
        "        time.sleep(0.01)\n"
        "    return ANSWER\n"
    )
    module.write_text(old)
    service = make_service(types={})
    types = {"Answer": {"handler": "answers:answer", "max_concurrency": 5}}
    service.config.write_text(json.dumps({"import_paths": [str(tmp_path)], "job_types": types}))
    serving = service.serve().ready()
    assert serving.said("keeper_ready")["preloaded"] == 1
    running = service.client.submit("Answer", str(tmp_path / "enough"))
    serving.said("job_started")
    module.write_text(old.replace("old", "brand new"))
    reload(serving)
    (tmp_path / "at once").touch()
    following = service.client.submit("Answer", str(tmp_path / "at once"))
    assert service.all_ended([following])[0].result == '"brand new"'
    assert service.job(running.id).status is JobStatus.IN_PROGRESS
    (tmp_path / "enough").touch()
    assert service.all_ended([running])[0].result == '"old"'
    serving.said("keeper_left")
    first, second = keepers(serving)
    assert not os.path.exists(f"/proc/{first}")
    assert os.path.exists(f"/proc/{second}")
    eventually(lambda: not service.strays())


def test_limits_and_types_change_for_what_waits_and_not_for_what_runs(
    service: Service, tmp_path: Path
) -> None:
    serving = service.serve().ready()
    running = service.client.submit("Single", A_LONG_TIME)
    process = Identity(*(service.began(running.id)[key] for key in ("pid", "ticks")))
    waiting = service.client.submit("Single", 0.01)
    types: dict[str, dict[str, Any]] = {**TYPES, "Single": {**TYPES["Single"], "max_concurrency": 2}}
    service.configure(types)
    reload(serving)
    assert service.all_ended([waiting])[0].status is JobStatus.COMPLETED
    assert serving.events("type_changed")[-1]["key"] == "max_concurrency"
    unwanted = [service.client.submit("Single", A_LONG_TIME).id for _ in range(2)]
    service.began(unwanted[0])
    del types["Single"]
    service.configure(types)
    reload(serving, times=2)
    echo = service.client.submit("Echo", 1)
    service.all_ended([echo])
    assert process.is_running()
    assert service.job(unwanted[1]).status is JobStatus.PENDING
    service.client.cancel(running.id)
    service.client.cancel(unwanted[0])
    assert {job.status for job in service.all_ended([running.id, unwanted[0]])} == {JobStatus.CANCELLED}
    assert service.job(unwanted[1]).status is JobStatus.PENDING


def test_a_file_with_mistakes_is_refused_whole(service: Service) -> None:
    serving = service.serve().ready()
    service.config.write_text("job_types: {Nap: {max_concurrency: 0}}")
    serving.signal(signal.SIGHUP)
    serving.said("reload_refused")
    assert len(serving.events("job_types_mistake")) == 2
    assert len(keepers(serving)) == 1
    service.configure(TYPES)
    job = service.client.submit("Echo", 1)
    assert service.all_ended([job])[0].status is JobStatus.COMPLETED


@pytest.mark.parametrize("whom", ["retiring keeper", "serving keeper", "supervisor", "all"])
def test_whoever_dies_while_a_keeper_retires_no_job_is_lost(service: Service, whom: str) -> None:
    serving = service.serve().ready()
    old = service.client.submit("Cookie", A_LONG_TIME)
    service.began(old.id)
    reload(serving)
    new = service.client.submit("Cookie", A_LONG_TIME)
    service.began(new.id)
    retiring, serves = keepers(serving)
    if whom in ("retiring keeper", "all"):
        os.kill(retiring, signal.SIGKILL)
    if whom in ("serving keeper", "all"):
        os.kill(serves, signal.SIGKILL)
    if whom in ("supervisor", "all"):
        serving.kill()
        serving = service.serve().ready()
    dead = {"retiring keeper": [old.id], "serving keeper": [new.id]}.get(whom, [old.id, new.id])
    for job in service.all_ended(dead):
        assert job.failure_kind == ("keeper_died" if "keeper" in whom else "owner_died")
    for job_id in {old.id, new.id} - {*dead}:
        assert service.job(job_id).status is JobStatus.IN_PROGRESS
        service.client.cancel(job_id)
        service.all_ended([job_id])
    last = service.client.submit("Echo", 1)
    assert service.all_ended([last])[0].status is JobStatus.COMPLETED
    check(service, [old.id, new.id, last.id], LIMITS)


def test_reloads_one_after_the_other_under_load_lose_nothing_and_run_nothing_twice(service: Service) -> None:
    serving = service.serve().ready()
    dice = random.Random(4)
    submitted = []
    for _ in range(6):
        submitted += [service.client.submit("Brief", dice.random() / 10).id for _ in range(10)]
        serving.signal(signal.SIGHUP)
    service.all_ended(submitted)
    eventually(lambda: len(serving.events("keeper_left")) == len(keepers(serving)) - 1)
    check(service, submitted, LIMITS)
    assert {service.job(job).status for job in submitted} == {JobStatus.COMPLETED}
    assert not serving.events("keeper_died")
    assert serving.stop() == 0
