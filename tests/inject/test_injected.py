"""A sample of `make inject`: some faults at some calls of everybody who makes any."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inject.faults import Fault
from tests.inject.ground import ground
from tests.inject.scenes import SCENES, settled
from tests.inject.zygote import Zygote
from tests.support import strace

pytestmark = pytest.mark.system

SAMPLE = [
    ("submit", Fault("fdatasync", "EIO", 1)),
    ("submit", Fault("pwrite64", "KILL", 9)),
    ("submit", Fault("read", "EIO", 9)),
    ("submit to a service", Fault("recvfrom", "ECONNRESET", 1)),
    ("submit to a new place", Fault("fsync", "EIO", 1)),
    ("submit to a new place", Fault("getdents64", "EIO", 1)),
    ("submit to a new place", Fault("getdents64", "EIO", 3)),
    ("start", Fault("access", "EIO", 1)),
    ("start", Fault("fcntl", "ENOLCK", 1)),
    ("jobs, supervisor", Fault("poll", "ENOMEM", 2)),
    ("jobs, supervisor", Fault("fdatasync", "EIO", 2)),
    ("jobs, keeper", Fault("clone", "EAGAIN", 1)),
    ("jobs, keeper", Fault("poll", "ENOMEM", 2)),
    ("jobs, keeper", Fault("write", "EIO", 1)),
    ("jobs, keeper", Fault("read", "EIO", 9)),
    ("jobs, child", Fault("mkdir", "ENOSPC", 1)),
    ("jobs, child", Fault("read", "EIO", 1)),
    ("jobs, http server", Fault("epoll_wait", "ENOMEM", 5)),
]


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    strace.needs_strace()
    made = Zygote()
    yield made
    made.close()


@pytest.mark.parametrize("scene, fault", SAMPLE, ids=str)
def test_whatever_the_kernel_refuses_no_promise_is_broken(
    tmp_path: Path, zygote: Zygote, scene: str, fault: Fault
) -> None:
    with ground(tmp_path / "ground", zygote) as here:
        struck = SCENES[scene](here, fault)
        assert struck.calls[fault.call] >= fault.number, f"never reached: {struck}"
        settled(here)
