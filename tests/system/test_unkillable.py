"""A job that not even SIGKILL ends: it is shown, keeps its slot, holds up nothing else, and ends at last."""

from supervisor.lifecycle import JobStatus
from tests.support.cgroups import frozen, group_of
from tests.support.eventually import eventually
from tests.support.service import TYPES
from tests.system.conftest import MakeService


def test_it_is_shown_keeps_its_slot_holds_up_nothing_else_and_ends_once_it_can(
    make_service: MakeService,
) -> None:
    service = make_service(types={"Single": TYPES["Single"] | {"grace": "100ms"}, "Nap": TYPES["Nap"]})
    service.serve().ready()
    stuck = service.client.submit("Single", 600.0).id
    pid = service.began(stuck)["pid"]
    waiting = service.client.submit("Single", 0.01).id
    with group_of("freezer") as group:
        with frozen(group, pid):
            service.run("cancel", "--no-wait", stuck)
            shown = eventually(lambda: service.asked("status")["unkillable"], 40.0)
            assert shown == [stuck]
            assert f"Job {stuck} cannot be killed, and keeps its slot" in service.run("status").stdout
            of_job = service.run("status", stuck).stdout
            assert "InProgress, cancel requested, cannot be killed" in of_job
            assert f"process {pid} is there in spite of SIGKILL: it hangs in the kernel" in of_job
            assert service.asked("status", stuck)["attempts"][0]["termination"]["unkillable"] == [pid]
            other = service.client.submit("Nap", 0.01).id
            assert service.all_ended([other])[0].status is JobStatus.COMPLETED
            assert service.job(waiting).status is JobStatus.PENDING
        assert [job.status for job in service.all_ended([stuck, waiting])] == ["Cancelled", "Completed"]
    assert service.asked("status")["unkillable"] == []
    assert "unkillable" not in service.asked("status", stuck)["attempts"][0]["termination"]


def test_after_a_crash_it_holds_up_nothing_else_and_is_settled_once_it_has_ended(
    make_service: MakeService,
) -> None:
    service = make_service(types={"Single": TYPES["Single"], "Nap": TYPES["Nap"]})
    serving = service.serve().ready()
    stuck = service.client.submit("Single", 600.0).id
    pid = service.began(stuck)["pid"]
    waiting = service.client.submit("Single", 0.01).id
    with group_of("freezer") as group:
        with frozen(group, pid):
            serving.kill()
            following = service.serve()
            following.said("supervisor_ready", 40.0)
            (event,) = following.events("orphans_unkillable")
            assert event["pids"] == [pid]
            other = service.client.submit("Nap", 0.01).id
            assert service.all_ended([other])[0].status is JobStatus.COMPLETED
            assert service.job(stuck).status is JobStatus.IN_PROGRESS
            assert service.job(waiting).status is JobStatus.PENDING
        failed, completed = service.all_ended([stuck, waiting])
    assert (failed.failure_kind, completed.status) == ("owner_died", "Completed")
