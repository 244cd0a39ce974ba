"""No job costs a thread: where none can be made, jobs run all the same."""

import os

from tests.support.service import Service


def test_supervisor_and_keeper_have_one_thread_each_however_many_jobs_run(service: Service) -> None:
    service.configure({"Nap": {"handler": "chores:nap", "max_concurrency": 5}})
    serving = service.serve().ready()
    for job in [service.client.submit("Nap", 60) for _ in range(5)]:
        service.began(job.id)
    assert [len(os.listdir(f"/proc/{pid}/task")) for pid in (serving.pid, serving.keeper)] == [1, 1]
