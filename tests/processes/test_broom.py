"""Removing what jobs leave in their directories."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.deep import dig
from tests.support.eventually import eventually
from workers.broom import Broom, remove


def _empty(top: Path) -> None:
    return


def _files(top: Path) -> None:
    for number in range(50):
        (top / f"{number}").write_text("x")
    (top / "pipe").unlink(missing_ok=True)
    os.mkfifo(top / "pipe")


def _wide(top: Path) -> None:
    for number in range(30):
        (top / f"{number}" / "inner" / "most").mkdir(parents=True)
        (top / f"{number}" / "inner" / "file").touch()


def _deep(top: Path) -> None:
    dig(top, 3000)


def _links(top: Path) -> None:
    outside = top.parent / "outside"
    (top / "folder").mkdir()
    for where in (top, top / "folder"):
        (where / "to_folder").symlink_to(outside)
        (where / "to_file").symlink_to(outside / "file")
        (where / "to_nothing").symlink_to("nothing")
        (where / "to_itself").symlink_to(top)


def _names_of_ours(top: Path) -> None:
    for number in range(5):
        (top / f".removed-{number}" / "inner").mkdir(parents=True)
        (top / f".removed-{number}" / "file").touch()


def _left_half_done(top: Path) -> None:
    (top / ".removed-0" / "inner" / "most").mkdir(parents=True)


def _forbidden(top: Path) -> None:
    (top / "a" / "b" / "c").mkdir(parents=True)
    (top / "a" / "b" / "file").touch()
    for path in ("a/b/c", "a/b", "a"):
        (top / path).chmod(0)


TREES = [_empty, _files, _wide, _deep, _links, _names_of_ours, _left_half_done, _forbidden]


@pytest.mark.parametrize("fill", TREES)
def test_a_tree_is_removed_and_nothing_else(tmp_path: Path, fill: Callable[[Path], None]) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    (tmp_path / "top").mkdir()
    fill(tmp_path / "top")
    remove(str(tmp_path / "top"))
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["file"]


def test_its_owner_removes_what_has_no_permissions(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("the test above has shown it")
    uid = 54_321
    (tmp_path / "top").mkdir()
    _forbidden(tmp_path / "top")
    for path in ("top/a/b/c", "top/a/b/file", "top/a/b", "top/a", "top"):
        os.chown(tmp_path / path, uid, uid)
    os.chown(tmp_path, uid, uid)
    folder = os.open(tmp_path, os.O_RDONLY)
    pid = os.fork()
    if pid == 0:
        try:
            os.fchdir(folder)
            os.setgid(uid)
            os.setuid(uid)
            remove("top")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(folder)
    assert list(tmp_path.iterdir()) == []


def test_a_link_in_place_of_the_tree_is_removed_itself(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "top").symlink_to("outside")
    remove(str(tmp_path / "top"))
    assert [path.name for path in tmp_path.iterdir()] == ["outside"]


def test_an_empty_one_takes_no_process(tmp_path: Path) -> None:
    broom = Broom()
    (tmp_path / "top").mkdir()
    broom.remove(str(tmp_path / "top"))
    broom.remove(str(tmp_path / "nowhere"))
    assert not (tmp_path / "top").exists()
    assert not broom.busy


def test_full_ones_are_removed_two_at_a_time(tmp_path: Path) -> None:
    broom = Broom()
    for number in range(5):
        (tmp_path / f"{number}" / "full").mkdir(parents=True)
        broom.remove(str(tmp_path / f"{number}"))
        assert len(broom.pids) <= 2

    def done() -> bool:
        broom.reap()
        return not broom.busy

    eventually(done)
    assert list(tmp_path.iterdir()) == []
