"""What a job of a real service finds of it: nothing in its environment, and nothing to look into."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.escapes.ground import ordinary
from tests.support.eventually import eventually
from tests.support.limited import http_server
from tests.support.ordinary import UID
from tests.support.service import Service
from tests.system.conftest import MakeService
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


@pytest.fixture
def folder() -> Iterator[Path]:
    """An ordinary user's. Not below the folder of this run, through which nobody but root may pass."""
    made = Path(tempfile.mkdtemp(dir="/tmp"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


def test_no_process_of_the_service_can_be_looked_into_by_its_own_user(
    folder: Path, make_service: MakeService
) -> None:
    """Supervisor, keeper and http server; a job can be, as its user may need that."""
    through = ordinary(namespaces=True)
    service = make_service(folder)
    for path in [folder, *folder.rglob("*")] if through else []:
        os.chown(path, UID, UID)
    serving = service.serve(*through[1:], *([sys.executable] if through else []), "-P", "-m", "supervisor")
    serving.said("http_listening", 60.0)  # through its socket, so that no file is made by us
    job = service.client.submit("Nap", 60.0).id
    child = service.began(job)["pid"]
    pids = [serving.pid, serving.keeper, eventually(lambda: http_server(serving.pid)), child]
    look = [*through, sys.executable, "-c", LOOK_INTO, *map(str, pids)]
    looked = subprocess.check_output(look, cwd=ROOT, text=True)
    assert looked.split() == ["refused", "refused", "refused", "read"]
