"""What a job of a real service finds of it: nothing in its environment, and nothing to look into."""

import subprocess
import sys
from pathlib import Path

from tests.escapes.ground import ordinary
from tests.support.eventually import eventually
from tests.support.processes import http_server
from tests.support.service import Service
from tests.system.conftest import MakeService, serve_as_an_ordinary_user
from tests.tree import ROOT

OURS = {
    "NOTIFY_SOCKET": "@nobody-listens",
    "WATCHDOG_USEC": "600000000",
    "WATCHDOG_PID": "1",
    "LISTEN_FDS": "0",
    "LISTEN_PID": "1",
    "LISTEN_FDNAMES": "x",
    "CREDENTIALS_DIRECTORY": "/run/credentials/it",
    "INVOCATION_ID": "0123456789abcdef0123456789abcdef",
    "ASYNCWORKER_DRAIN_TIMEOUT": "7",
}
"""The service's own: with these a job could speak in its name."""
LOOK = "env; echo; tr '\\0' '\\n' </proc/self/environ; echo; ls -l /proc/self/fd"


def printed(service: Service, name: str) -> str:
    job = service.client.submit(name).id
    service.all_ended([job])
    return service.run("logs", job).stdout


def test_a_job_finds_nothing_of_the_services_own_in_its_environment(make_service: MakeService) -> None:
    plain = {"command": ["sh", "-c", LOOK], "max_concurrency": 1}
    types = {"Plain": plain, "Everything": plain | {"env": {"inherit": "all", "set": {"MINE": "1"}}}}
    service = make_service(types=types)
    service.serve(**OURS, SECRET="of the service's user").ready()
    minimal, all_of_it = printed(service, "Plain"), printed(service, "Everything")
    assert not [name for name in OURS if f"{name}=" in minimal + all_of_it]
    assert "SECRET" not in minimal
    assert {"SECRET=of the service's user", "MINE=1"} <= set(all_of_it.splitlines())


LOOK_INTO = """
import sys
from pathlib import Path
for pid in sys.argv[1:]:
    try:
        Path(f"/proc/{pid}/environ").read_bytes()
    except PermissionError:
        print("refused")
    else:
        print("read")
"""


def test_no_process_of_the_service_can_be_looked_into_by_its_own_user(
    open_folder: Path, make_service: MakeService
) -> None:
    """Supervisor, keeper and http server; a job can be, as its user may need that."""
    service = make_service(open_folder)
    serving = serve_as_an_ordinary_user(service)
    job = service.client.submit("Nap", 60.0).id
    child = service.began(job)["pid"]
    pids = [serving.pid, serving.keeper, eventually(lambda: http_server(serving.pid)), child]
    look = [*ordinary(namespaces=True), sys.executable, "-c", LOOK_INTO, *map(str, pids)]
    looked = subprocess.check_output(look, cwd=ROOT, text=True)
    assert looked.split() == ["refused", "refused", "refused", "read"]
