"""Reading a log while it grows, is cut by the keeper, or by the job itself. Real files with real holes."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.errors import UnreadableLog
from supervisor.logfile import Following, LogFile
from workers.kernel import punch_hole
from workers.trimming import trim

MIB = 2**20
Y = b"y\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "logs" / "job"
    folder.mkdir(parents=True)
    return folder / "1.log"


@pytest.fixture
def following(tmp_path: Path, path: Path) -> Iterator[Following]:
    log = Following(tmp_path, path)
    yield log
    log.close()


def put(path: Path, text: bytes) -> None:
    with path.open("ab") as file:
        file.write(text)


def rest(log: Following) -> bytes:
    return b"".join(log.read_rest())


def left_out(number: int) -> bytes:
    return f"[... {number:,} bytes left out ...]\n".encode()


def test_a_follower_sees_everything_as_it_comes(path: Path, following: Following) -> None:
    assert rest(following) == b""
    put(path, b"one\n")
    assert rest(following) == b"one\n"
    assert rest(following) == b""
    put(path, b"two")
    put(path, b" and three\n" * MIB)
    assert rest(following) == b"two" + b" and three\n" * MIB


def test_a_follower_who_keeps_up_misses_nothing_of_a_log_that_is_cut(
    path: Path, following: Following
) -> None:
    seen = b""
    for _ in range(20):
        put(path, Y * 10_000)
        seen += rest(following)
        trim(path, 10_000, last=False)
    assert seen == Y * 200_000


def test_a_follower_who_falls_behind_is_told_once_and_goes_on(path: Path, following: Following) -> None:
    put(path, b"a line that has not ended")
    assert rest(following) == b"a line that has not ended"
    put(path, b"\n" + Y * MIB)
    size = path.stat().st_size
    trim(path, 0, last=True)
    seen = rest(following)
    first, line, tail = seen.split(b"\n", 2)
    assert first == b""
    assert set(tail) <= set(Y)
    assert tail.startswith(Y)
    assert line + b"\n" == left_out(size - 25 - len(tail))
    put(path, b"more\n")
    assert rest(following) == b"more\n"


def test_whoever_comes_late_sees_beginning_line_and_end_and_then_what_follows(
    path: Path, following: Following
) -> None:
    put(path, Y * MIB)
    trim(path, MIB, last=False)
    half = Y * (MIB // 4)
    assert rest(following) == half + left_out(MIB) + half
    put(path, b"more\n")
    assert rest(following) == b"more\n"


def test_the_limit_on_record_counts_and_not_where_blocks_end(tmp_path: Path, path: Path) -> None:
    put(path, b"x" * 100_000)
    trim(path, 99, last=True)
    with LogFile(tmp_path, path) as log:
        assert (log.view().head, log.view().tail) == (49, 99_950)


@pytest.mark.parametrize("record", [b"", b"-1", b"1e9", b"x" * 100, None])
def test_without_a_record_that_makes_sense_the_hole_is_found(
    tmp_path: Path, path: Path, record: bytes | None
) -> None:
    put(path, b"x" * MIB)
    with path.open("r+b") as file:
        punch_hole(file.fileno(), 8192, MIB - 16384)
    if record is not None:
        path.with_suffix(".limit").write_bytes(record)
    with LogFile(tmp_path, path) as log:
        assert (log.view().head, log.view().tail) == (8192, MIB - 8192)


def test_what_is_taken_out_while_it_is_read_is_never_shown_as_zeros(tmp_path: Path, path: Path) -> None:
    put(path, b"x" * MIB)
    with LogFile(tmp_path, path) as log:
        trim(path, 16384, last=True)
        assert log.read_kept(0, MIB) == b"x" * 8192
        assert log.read_kept(100_000, MIB) == b""
        assert log.read_kept(MIB - 8192, MIB) == b"x" * 8192
        assert log.next_kept(8192) == MIB - 12288  # a block before the end, because of the byte before it


def test_one_that_its_job_cuts_off_is_read_from_its_beginning(path: Path, following: Following) -> None:
    put(path, b"long ago\n")
    assert rest(following) == b"long ago\n"
    os.truncate(path, 0)
    assert rest(following) == b""
    put(path, b"anew\n")
    assert rest(following) == b"anew\n"


def test_what_is_no_log_is_not_opened(tmp_path: Path, path: Path, following: Following) -> None:
    (tmp_path / "secret").write_text("secret")
    path.symlink_to(tmp_path / "secret")
    with pytest.raises(UnreadableLog, match="cannot be read"):
        following.read()
    path.unlink()
    os.mkfifo(path)
    with pytest.raises(UnreadableLog, match="not a plain file"):
        following.read()


def test_a_log_is_cut_only_when_it_is_worth_it_until_its_job_has_ended(path: Path) -> None:
    put(path, b"x" * (MIB + MIB // 4))
    assert not trim(path, MIB, last=False)
    put(path, b"x" * MIB)
    assert trim(path, MIB, last=False)
    assert not trim(path, MIB, last=False)
    put(path, b"x" * 10_000)
    assert not trim(path, MIB, last=False)
    assert trim(path, MIB, last=True)
    assert path.stat().st_blocks * 512 <= MIB + 8192
