"""`limits.output`: what is kept of what a job prints, on disk and for readers, and whom it costs nothing."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.logfile import Following
from tests.support.keeper import RunningJob, TestKeeper
from tests.support.mounts import mounted
from workers.identity import state_of

COMPLETED = JobStatus.COMPLETED
MIB = 2**20
LIMIT = MIB
BLOCK = 4096
"""Of the disk: at each end of what is kept, and at the end of the file, up to one more than the limit."""


def flood(keeper: TestKeeper, size: int, limit: int = LIMIT) -> RunningJob:
    """A program that prints "y" on a line of its own, again and again."""
    return keeper.run(command=["sh", "-c", f"yes | head -c {size}"], output_limit=limit)


def on_disk(job: RunningJob) -> int:
    try:
        return os.stat(job.job.log).st_blocks * 512
    except FileNotFoundError:
        return 0


def shown(job: RunningJob) -> bytes:
    """What a reader sees."""
    log = Following(Path(job.keeper.folder), Path(job.job.log))
    try:
        return b"".join(log.read_rest())
    finally:
        log.close()


def left_out(number: int) -> bytes:
    return f"[... {number:,} bytes left out ...]\n".encode()


def trimmers(keeper: TestKeeper) -> set[int]:
    """Children of the keeper that are no jobs and no spares."""
    return set(keeper.children()) - {who.pid for who in keeper.who.values()}


def test_a_flood_keeps_to_its_limit_on_disk_while_it_is_printed_and_afterwards(keeper: TestKeeper) -> None:
    """The job waits for the disk itself, ten times: it ends only if its log is cut while it runs."""
    job = keeper.run(
        f"""
        import os, time
        def handler(payload):
            for _ in range(10):
                for _ in range(30):
                    os.write(1, b"y\\n" * {MIB // 2})
                while os.fstat(1).st_blocks * 512 > {2 * LIMIT}:
                    time.sleep(0.005)
        """,
        output_limit=LIMIT,
    )
    assert job.ended().outcome.status is COMPLETED
    assert os.stat(job.job.log).st_size == 300 * MIB
    assert on_disk(job) <= LIMIT + 3 * BLOCK
    half = b"y\n" * (LIMIT // 4)
    assert shown(job) == half + left_out(300 * MIB - LIMIT) + half


def test_while_one_floods_the_end_of_another_is_reported(keeper: TestKeeper) -> None:
    endless = keeper.run(command=["yes"], output_limit=LIMIT)
    keeper.until(lambda: trimmers(keeper))
    for _ in range(20):
        keeper.run("def handler(payload): return 1").ended()
    assert not endless._has_ended()
    endless.terminate(grace=0)
    endless.ended()
    assert on_disk(endless) <= LIMIT + 3 * BLOCK
    assert not trimmers(keeper)


def test_a_log_that_reaches_its_limit_slowly_is_cut_as_well(keeper: TestKeeper) -> None:
    script = "for n in $(seq 64); do head -c 4095 /dev/zero | tr '\\0' x; echo; sleep 0.01; done; sleep 3600"
    job = keeper.run(command=["sh", "-c", script], output_limit=64 * 1024)
    keeper.until(lambda: os.path.exists(job.job.log) and os.stat(job.job.log).st_size == 64 * 4096)
    keeper.until(lambda: on_disk(job) <= (64 + 32 + 4) * 1024)  # the limit, and half of it
    job.terminate(grace=0)
    job.ended()
    line = b"x" * 4095 + b"\n"
    assert shown(job) == line * 8 + left_out(48 * 4096) + line * 8


def test_one_that_ends_before_anybody_looked_is_cut_before_its_end_is_reported(keeper: TestKeeper) -> None:
    source = "import os\ndef handler(payload): os.write(1, b''.join(b'%05d\\n' % n for n in range(20_000)))"
    job = keeper.run(source, output_limit=12_000)
    assert job.ended().outcome.status is COMPLETED
    assert on_disk(job) <= 12_000 + 3 * BLOCK
    ends = [b"%05d\n" % n for n in (*range(1000), *range(19_000, 20_000))]
    assert shown(job) == b"".join(ends[:1000]) + left_out(108_000) + b"".join(ends[1000:])


@pytest.mark.parametrize("limit", [0, 1, 2, 100, 5000, 8192])
def test_a_tiny_limit_is_kept_to_the_byte_for_readers(keeper: TestKeeper, limit: int) -> None:
    job = keeper.run("def handler(payload): print('x' * 50_000, end='')", output_limit=limit)
    assert job.ended().outcome.status is COMPLETED
    head, tail = b"x" * (limit // 2), b"x" * (limit - limit // 2)
    assert shown(job) == head + (b"\n" if head else b"") + left_out(50_000 - limit) + tail
    assert on_disk(job) <= limit + 3 * BLOCK


def test_a_log_within_its_limit_stays_as_it_is_and_nothing_is_put_beside_it(keeper: TestKeeper) -> None:
    job = keeper.run("def handler(payload): print('x' * 9_999)", output_limit=10_000)
    job.ended()
    assert shown(job) == b"x" * 9_999 + b"\n"
    assert not Path(job.job.log).with_suffix(".limit").exists()


def test_what_was_printed_before_a_sigkill_is_there(keeper: TestKeeper) -> None:
    job = keeper.run(
        """
        import os, signal
        def handler(payload):
            for n in range(100_000): print(n)
            os.kill(os.getpid(), signal.SIGKILL)
        """,
        output_limit=10_000,
    )
    assert job.ended().outcome.status is JobStatus.FAILED
    assert shown(job).endswith(b"\n99998\n99999\n")


def test_both_streams_and_children_of_the_job_stand_in_the_order_of_time(keeper: TestKeeper) -> None:
    job = keeper.run(
        """
        import os, subprocess, sys
        def handler(payload):
            print("1")
            print("2", file=sys.stderr)
            subprocess.run(["sh", "-c", "echo 3; echo 4 >&2"], check=True)
            os.write(2, b"5\\n")
            if os.fork() == 0:
                print("6")
                sys.stdout.flush()
                os._exit(0)
            os.wait()
            print("7")
        """
    )
    assert job.ended().outcome.status is COMPLETED
    assert shown(job) == b"1\n2\n3\n4\n5\n6\n7\n"


MISCHIEF: dict[str, str] = {
    "closes it": "os.close(1); os.close(2)",
    "truncates it": "os.truncate(log, 0); print('anew')",
    "removes it": "os.unlink(log)",
    "removes its folder": "shutil.rmtree(os.path.dirname(log), ignore_errors=True)",
    "puts a pipe there": "os.unlink(log); os.mkfifo(log)",
    "puts a folder there": "os.unlink(log); os.mkdir(log)",
    "puts a folder in the place of the record": "subprocess.run(['mkdir', log[:-4] + '.limit'])",
}


@pytest.mark.parametrize("what", MISCHIEF.values(), ids=MISCHIEF.keys())
def test_whatever_a_job_does_to_its_log_its_outcome_is_its_own(
    keeper: TestKeeper, tmp_path: Path, what: str
) -> None:
    log = tmp_path / "log" / "1.log"
    job = keeper.run(
        f"""
        import os, shutil, subprocess
        def handler(payload):
            log = {str(log)!r}
            print("x" * 3_000_000)
            {what}
            return "done"
        """,
        log=str(log),
        output_limit=10_000,
    )
    assert job.ended().value == "done"


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_what_a_job_puts_in_the_place_of_its_log_is_not_cut(
    keeper: TestKeeper, tmp_path: Path, link: Callable[[str, str], None]
) -> None:
    treasure = tmp_path / "treasure"
    treasure.write_bytes(b"t" * 3_000_000)
    job = keeper.run(
        f"""
        import os, time
        def handler(payload):
            log = {str(tmp_path / "1.log")!r}
            os.unlink(log)
            os.{link.__name__}({str(treasure)!r}, log)
        """,
        log=str(tmp_path / "1.log"),
        output_limit=0,
    )
    job.ended()
    assert treasure.read_bytes() == b"t" * 3_000_000


def test_a_folder_that_became_a_link_is_not_followed(keeper: TestKeeper, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "1.log").write_bytes(b"t" * 3_000_000)
    job = keeper.run(
        f"""
        import os
        def handler(payload):
            os.chdir({str(tmp_path)!r})
            os.rename("log", "was")
            os.symlink("other", "log")
        """,
        log=str(tmp_path / "log" / "1.log"),
        output_limit=0,
    )
    job.ended()
    assert (tmp_path / "other" / "1.log").read_bytes() == b"t" * 3_000_000


@pytest.mark.parametrize("number", [9, 19])
def test_a_trimmer_that_dies_is_followed_by_another(own_keeper: TestKeeper, number: int) -> None:
    """SIGKILL, and SIGSTOP: one that hangs holds back an end for some seconds, and not for ever."""
    job = own_keeper.run(command=["yes"], output_limit=LIMIT)
    (first,) = own_keeper.until(lambda: trimmers(own_keeper))
    os.kill(first, number)
    if number == 9:
        own_keeper.until(lambda: trimmers(own_keeper) - {first})
    job.terminate(grace=0)
    job.ended()
    if number == 9:
        assert on_disk(job) <= LIMIT + 3 * BLOCK
    else:
        assert state_of(first) == "T"
        os.kill(first, 18)
        own_keeper.until(lambda: on_disk(job) <= LIMIT + 3 * BLOCK)


def test_when_the_keeper_is_killed_the_log_is_cut_all_the_same(own_keeper: TestKeeper) -> None:
    job = own_keeper.run(command=["yes"], output_limit=LIMIT)
    (trimmer,) = own_keeper.until(lambda: trimmers(own_keeper))
    own_keeper.process.kill()
    own_keeper.process.wait()
    deadline = time.monotonic() + 60  # blocks are given back by the disk, which others use too
    while state_of(trimmer) not in (None, "Z") or on_disk(job) > LIMIT + MIB:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_on_a_full_disk_the_job_hears_of_it_and_the_keeper_lives(own_keeper: TestKeeper) -> None:
    with mounted("tmpfs", own_keeper.folder / "logs", "size=4m"):
        source = """
        import errno, os
        def handler(payload):
            try:
                while True: os.write(1, b"x" * 99_999 + b"\\n")
            except OSError as error:
                assert error.errno == errno.ENOSPC
                return "full"
        """
        assert own_keeper.run(source).ended().value == "full"
        job = own_keeper.run("def handler(payload): print('x' * 10_000_000)")
        assert job.ended().outcome.failure_kind is FailureKind.RAISED
        own_keeper.run("def handler(payload): return 1").ended()


def test_where_blocks_cannot_be_given_back_that_is_said_once_and_readers_see_the_limit(
    own_keeper: TestKeeper,
) -> None:
    with mounted("ramfs", own_keeper.folder / "logs", "mode=700"):
        for _ in range(3):
            job = flood(own_keeper, 3 * MIB)
            assert job.ended().outcome.status is COMPLETED
            assert os.stat(job.job.log).st_size == 3 * MIB
            half = b"y\n" * (LIMIT // 4)
            assert shown(job) == half + left_out(2 * MIB) + half
        assert own_keeper.wait("untrimmed")["why"] == "Operation not supported"
        assert not [frame for frame in own_keeper.frames if frame["op"] == "untrimmed"]
