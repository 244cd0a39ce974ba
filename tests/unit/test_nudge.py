import errno
import os
import socket
from pathlib import Path

import pytest

from supervisor.nudge import nudge


def bound(folder: Path, name: str) -> socket.socket:
    """A socket of that name, however long the folder's path is."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        listening.bind(f"/proc/self/fd/{descriptor}/{name}")
    finally:
        os.close(descriptor)
    return listening


@pytest.mark.parametrize("depth", [0, 200], ids=["short path", "beyond 108 bytes"])
def test_every_supervisor_of_the_folder_hears_it(tmp_path: Path, depth: int) -> None:
    folder = tmp_path / ("x" * depth or ".")
    folder.mkdir(exist_ok=True)
    with bound(folder, "wake.sock") as one, bound(folder, "wake-42.sock") as another:
        nudge(folder)
        assert (one.recv(10), another.recv(10)) == (b"", b"")


def test_other_sockets_hear_nothing(tmp_path: Path) -> None:
    with bound(tmp_path, "api.sock") as api:
        nudge(tmp_path)
        with pytest.raises(BlockingIOError):
            api.recv(10)


def test_a_folder_that_is_missing_is_nobody_to_wake(tmp_path: Path) -> None:
    nudge(tmp_path / "missing")


def test_a_folder_that_cannot_be_read_or_a_socket_that_cannot_be_had_raises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job is committed by then: an error would have somebody submit it once more."""

    def fails(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with bound(tmp_path, "wake.sock"):
        for owner, name in ((os, "listdir"), (os, "open"), (socket, "socket")):
            with monkeypatch.context() as patched:
                patched.setattr(owner, name, fails)
                nudge(tmp_path)


def test_sockets_that_the_dead_left_and_files_of_that_name_do_not_hurt(tmp_path: Path) -> None:
    bound(tmp_path, "wake.sock").close()
    (tmp_path / "wake-1.sock").write_text("no socket")
    (tmp_path / "wake-2.sock").symlink_to("nowhere")
    with bound(tmp_path, "wake-3.sock") as living:
        nudge(tmp_path)
        assert living.recv(10) == b""


def test_a_supervisor_that_does_not_listen_for_long_holds_nobody_up(tmp_path: Path) -> None:
    with bound(tmp_path, "wake.sock"):
        for _ in range(2000):
            nudge(tmp_path)


def test_it_leaves_no_descriptor_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with bound(tmp_path, "wake.sock") as listening:
        nudge(tmp_path)
        listening.recv(10)
    assert len(os.listdir("/proc/self/fd")) == before
