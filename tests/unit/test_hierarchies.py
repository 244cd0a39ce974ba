"""The kernel's two files -> the hierarchies of control groups, and where in them we are."""

import os
from pathlib import Path

import pytest

from workers import hierarchies as hierarchies_of
from workers.hierarchies import Hierarchy, hierarchies

HYBRID_MOUNTS = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
33 31 0:30 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
"""
HYBRID_PLACES = """\
9:name=systemd:/
8:pids:/
4:memory:/outer/inner
1:cpu,cpuacct:/
0::/service
"""


def test_in_a_mixed_host_each_hierarchy_has_its_own_place() -> None:
    found = hierarchies(HYBRID_MOUNTS, HYBRID_PLACES)
    assert found[0] == Hierarchy(True, frozenset(), Path("/sys/fs/cgroup/unified/service"))
    assert set(found[1:]) == {
        Hierarchy(False, frozenset({"memory"}), Path("/sys/fs/cgroup/memory/outer/inner")),
        Hierarchy(False, frozenset({"pids"}), Path("/sys/fs/cgroup/pids")),
    }


def test_the_place_of_the_service_itself_is_not_where_groups_are_made() -> None:
    (found,) = hierarchies(
        "41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n", "0::/system.slice/it.service/asyncworker-main\n"
    )
    assert found.folder == Path("/cg/system.slice/it.service")


def test_what_is_mounted_from_below_the_root_is_seen_from_there() -> None:
    (found,) = hierarchies("41 31 0:38 /pod /cg rw - cgroup2 cgroup2 rw\n", "0::/pod/it\n")
    assert found.folder == Path("/cg/it")


def test_a_group_outside_of_what_is_mounted_is_of_no_use() -> None:
    assert hierarchies("41 31 0:38 /pod /cg rw - cgroup2 cgroup2 rw\n", "0::/elsewhere\n") == []


def test_a_host_without_control_groups_has_none() -> None:
    assert hierarchies("23 1 0:2 / / rw - ext4 /dev/vda rw\n", "") == []


def test_names_that_are_no_text_are_read_as_the_bytes_that_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts, membership = tmp_path / "mountinfo", tmp_path / "cgroup"
    mounts.write_bytes(
        b"40 31 0:37 / /mnt/caf\xe9\x0c rw - ext4 /dev/vda rw\n41 31 0:38 / /cg\xe9 rw - cgroup2 cgroup2 rw\n"
    )
    membership.write_bytes("0::/it\u2028\n".encode())
    monkeypatch.setattr(hierarchies_of, "_MOUNTS", mounts)
    monkeypatch.setattr(hierarchies_of, "_MEMBERSHIP", membership)
    (found,) = hierarchies()
    assert os.fsencode(found.folder) == b"/cg\xe9/it" + "\u2028".encode()
