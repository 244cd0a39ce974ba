"""The kernel's files -> whether a service sees its own processes."""

import pytest

from workers.visibility import hiding

ROOT, USER, TRACER = (
    "CapEff:\t000001ffffffffff\n",
    "CapEff:\t0000000000000000\n",
    "CapEff:\t0000000000080000\n",
)
BELOW = "23 1 0:2 / / rw - ext4 /dev/vda rw\n"


def proc(options: str) -> str:
    return f"{BELOW}24 23 0:5 / /proc rw,nosuid - proc proc rw{options}\n"


@pytest.mark.parametrize(
    "mounts, status, groups, found",
    [
        (proc(""), USER, {1000}, None),
        (proc(",hidepid=off"), USER, {1000}, None),
        (proc(",hidepid=invisible"), USER, {1000}, "hidepid=invisible"),
        (proc(",hidepid=1"), USER, {1000}, "hidepid=1"),
        (proc(",hidepid=2"), ROOT, {1000}, None),
        (proc(",hidepid=2"), TRACER, {1000}, None),
        (proc(",gid=27,hidepid=2"), USER, {27, 1000}, None),
        (proc(",hidepid=2"), USER, {0, 1000}, None),
        (proc(",gid=27,hidepid=2"), USER, {0}, "hidepid=2"),
        (proc(",gid=27,hidepid=ptraceable"), USER, {27}, "hidepid=ptraceable"),
        (proc(",hidepid=2") + "25 24 0:6 / /proc rw - proc proc rw\n", USER, {1000}, None),
        (BELOW, USER, {1000}, None),
    ],
)
def test_who_sees_what_by_which_option(mounts: str, status: str, groups: set[int], found: str | None) -> None:
    assert hiding(mounts, status, groups) == found


def test_on_this_host_the_files_are_read() -> None:
    assert hiding() is None
