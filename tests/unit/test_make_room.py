"""A group that is to have controllers for its children holds no process itself: the service moves aside."""

import os
from pathlib import Path

import pytest

from workers.hierarchies import MAIN, Hierarchy
from workers.subtree import make_room


@pytest.fixture
def given(tmp_path: Path) -> Hierarchy:
    """A group that was given to this process, as far as its files show."""
    (tmp_path / "cgroup.procs").write_text(f"{os.getpid()}\n")
    return Hierarchy(True, frozenset({"memory", "pids"}), tmp_path)


def test_alone_in_a_group_with_controllers_it_moves_into_one_below(given: Hierarchy) -> None:
    make_room([given])
    assert (given.folder / MAIN / "cgroup.procs").read_text() == str(os.getpid())


def test_with_others_in_the_group_it_stays(given: Hierarchy) -> None:
    (given.folder / "cgroup.procs").write_text(f"1\n{os.getpid()}\n")
    make_room([given])
    assert not (given.folder / MAIN).exists()


def test_without_controllers_there_is_no_need(given: Hierarchy) -> None:
    make_room(
        [Hierarchy(True, frozenset(), given.folder), Hierarchy(False, frozenset({"pids"}), given.folder)]
    )
    assert not (given.folder / MAIN).exists()
