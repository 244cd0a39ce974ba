from supervisor.assigning import environment
from supervisor.jobtypes.records import Env, JobType

SERVICE_MANAGERS = {
    "NOTIFY_SOCKET": "/run/systemd/notify",
    "WATCHDOG_USEC": "1",
    "LISTEN_FDS": "3",
    "INVOCATION_ID": "1",
    "CREDENTIALS_DIRECTORY": "/run/credentials",
    "ASYNCWORKER_TOKEN_FILE": "/etc/token",
}


def test_no_job_hears_of_the_service_manager_or_the_service_even_if_it_inherits_everything() -> None:
    ours = {"PATH": "/bin", "FRUIT": "pear", **SERVICE_MANAGERS}
    for inherit in ("all", tuple(ours)):
        job_type = JobType(name="A", handler="a:b", max_concurrency=1, env=Env(inherit=inherit))
        assert environment(job_type, ours) == {"PATH": "/bin", "FRUIT": "pear"}
