"""What `doctor` sees at a real service: well, stopped, and killed with a job of its own running."""

import signal
from typing import Any

from tests.support.eventually import eventually
from tests.support.service import Service
from workers.identity import state_of


def levels(found: list[dict[str, Any]], *checks: str) -> dict[str, set[str]]:
    return {check: {each["level"] for each in found if each["check"] == check} for check in checks}


WELL = {"database": {"ok"}, "service": {"ok"}, "wake-up": {"ok"}, "api.sock": {"ok"}, "clock": {"ok"}}


def test_a_service_is_seen_as_it_is_well_stopped_and_killed(service: Service) -> None:
    service.configure({"Nap": {"handler": "chores:nap"}})
    serving = service.serve().ready()
    serving.said("http_listening")
    job = service.client.submit("Nap", 60)
    service.began(job.id)
    found = service.asked("doctor")
    assert levels(found, *WELL) == WELL
    assert f"pid {serving.pid}" in next(each["text"] for each in found if each["check"] == "limits")
    (held,) = [each["text"] for each in found if each["check"] == "control groups"]
    isolation = serving.said("keeper_ready")["isolation"]
    assert ("one for each job" in held, "(the service)" in held) == (isolation == "cgroup", True)

    service.freeze(serving)
    stopped = service.run("doctor")
    serving.signal(signal.SIGCONT)
    assert stopped.returncode == 4
    assert f"(pid {serving.pid}) is stopped" in stopped.stdout
    assert "what is sent to wake.sock is not read" in stopped.stdout

    serving.kill()
    eventually(lambda: state_of(serving.pid) is None)
    found = service.asked("doctor")
    assert levels(found, "database", "service", "wake-up") == {
        "database": {"ok"},
        "service": {"warning"},
        "wake-up": {"ok"},
    }
    assert "1 jobs InProgress are theirs" in next(
        each["text"] for each in found if each["check"] == "service"
    )
    assert service.job(job.id).ended is False
