"""A host whose /proc hides processes: the service says so, and begins nothing whose end it could not see."""

import os
import subprocess
import sys

import pytest

from tests.support.service import COMMAND, Service

HIDDEN = (
    "mount -t proc -o hidepid=2 proc /proc && exec"
    ' setpriv --regid 65534 --clear-groups --bounding-set -sys_ptrace "$@"'
)
"""Root without CAP_SYS_PTRACE and in no group of note is shown what an ordinary user is."""


def where_processes_are_hidden(service: Service, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", HIDDEN, "sh", *command],
        env=service.environment(),
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.fixture(autouse=True)
def able(service: Service) -> None:
    major, minor = map(int, os.uname().release.split(".")[:2])
    if (major, minor) < (5, 8):
        pytest.skip("before Linux 5.8 every /proc of a PID namespace has the options of the one mounted last")
    if os.getuid() != 0 or where_processes_are_hidden(service, "true").returncode != 0:
        pytest.skip("to hide processes takes root, who may mount /proc anew, and setpriv")


def test_serve_refuses_in_one_sentence_and_doctor_says_what_to_do(service: Service) -> None:
    served = where_processes_are_hidden(service, sys.executable, "-P", "-m", "supervisor")
    assert served.returncode == 2
    assert served.stderr == (
        "Error: /proc is mounted with hidepid=invisible, which hides the service's processes from it;"
        " mount it without that, or with gid= of a group that the service's user is in\n"
    )
    examined = where_processes_are_hidden(service, str(COMMAND), "doctor")
    assert "a service of this user does not see its own processes" in examined.stdout
    assert examined.returncode == 2
