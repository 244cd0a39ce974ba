"""The model of a disk that power cuts are tried on: what is certain, what is possible, what is not."""

import tempfile
from pathlib import Path

import pytest

from tests.support import disk
from tests.support.disk import Disk, everything, nothing
from tests.support.strace import Call, calls

ROOT = Path("/there")


def hexed(text: str) -> str:
    return "".join(f"\\x{byte:02x}" for byte in text.encode())


def done(base: Disk, name: str, *arguments: str, result: int = 0, returned: str = "") -> None:
    for stage in (None, result):
        base.hear(Call(1, name, arguments, stage, returned))


def make(base: Disk, path: str) -> None:
    where = f"<{hexed(path)}>"
    done(base, "openat", "AT_FDCWD", f'"{hexed(path)}"', "O_RDWR|O_CREAT", result=3, returned=where)


def write(base: Disk, path: str, text: str, offset: int = 0) -> None:
    size = len(text)
    fd = f"3<{hexed(path)}>"
    done(base, "pwrite64", fd, f'"{hexed(text)}"', str(size), str(offset), result=size)


def sync(base: Disk, path: str) -> None:
    done(base, "fsync", f"3<{hexed(path)}>")


def there(base: Disk, keep: disk.Keep, tmp_path: Path) -> dict[str, str]:
    """What there is after a cut: contents by path."""
    into = Path(tempfile.mkdtemp(dir=tmp_path)) / "after"
    base.cut(keep, into)
    return {str(path.relative_to(into)): path.read_text() for path in into.rglob("*") if path.is_file()}


def test_a_file_is_there_once_its_name_and_its_content_are_synced(tmp_path: Path) -> None:
    base = Disk(ROOT)
    make(base, "/there/a")
    write(base, "/there/a", "one")
    sync(base, "/there/a")
    assert there(base, nothing, tmp_path) == {}
    sync(base, "/there")
    write(base, "/there/a", "two", 3)
    assert there(base, nothing, tmp_path) == {"a": "one"}
    assert there(base, everything, tmp_path) == {"a": "onetwo"}


def test_a_folder_whose_own_name_is_not_synced_takes_everything_with_it(tmp_path: Path) -> None:
    base = Disk(ROOT)
    done(base, "mkdir", f'"{hexed("/there/folder")}"', "0700")
    make(base, "/there/folder/a")
    sync(base, "/there/folder/a")
    sync(base, "/there/folder")
    assert there(base, nothing, tmp_path) == {}
    sync(base, "/there")
    assert there(base, nothing, tmp_path) == {"folder/a": ""}


def test_what_is_written_while_it_is_synced_is_not_certain(tmp_path: Path) -> None:
    base = Disk(ROOT)
    make(base, "/there/a")
    sync(base, "/there")
    write(base, "/there/a", "one")
    begun = Call(1, "fsync", (f"3<{hexed('/there/a')}>",), None)
    base.hear(begun)
    write(base, "/there/a", "two")
    base.hear(Call(1, "fsync", begun.arguments, 0))
    assert there(base, nothing, tmp_path) == {"a": "one"}


def test_a_sync_that_failed_makes_nothing_certain(tmp_path: Path) -> None:
    base = Disk(ROOT)
    make(base, "/there/a")
    done(base, "fsync", f"3<{hexed('/there')}>", result=-1, returned="EIO (Input/output error)")
    assert there(base, nothing, tmp_path) == {}


@pytest.mark.parametrize("keep, left", [(nothing, {"a": "123456"}), (everything, {"b": "12"})])
def test_lengths_and_names_change_with_the_next_sync_only(
    tmp_path: Path, keep: disk.Keep, left: dict[str, str]
) -> None:
    base = Disk(ROOT)
    make(base, "/there/a")
    write(base, "/there/a", "123456")
    sync(base, "/there/a")
    sync(base, "/there")
    done(base, "ftruncate", f"3<{hexed('/there/a')}>", "2")
    done(base, "rename", f'"{hexed("/there/a")}"', f'"{hexed("/there/b")}"')
    assert there(base, keep, tmp_path) == left


def test_calls_that_others_interrupted_are_put_together_again(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        f'7 write(1<{hexed("/a")}>, "{hexed("x, y")}", 4 <unfinished ...>\n'
        f"8  fsync(3<{hexed('/b')}>) = -1 EIO (Input/output error)\n"
        "7 <... write resumed>) = 4\n"
        "9 +++ killed by SIGKILL +++\n"
    )
    seen = [(call.pid, call.name, call.path(), call.result) for call in calls(log)]
    assert seen == [
        (7, "write", "/a", None),
        (8, "fsync", "/b", None),
        (8, "fsync", "/b", -1),
        (7, "write", "/a", 4),
    ]
