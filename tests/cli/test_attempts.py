"""What people see of a job with several attempts: in status, in the list, and while they wait."""

import os
import pty
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.outcome import Usage
from supervisor.store import jobs
from tests.cli.commandline import Answer, Installation, PlayedService, eventually

Command = Callable[..., Answer]

FAILED: dict[str, Any] = {
    "failure_kind": FailureKind.RAISED,
    "error_message": "ValueError: no",
    "exit_code": 1,
}
AT_TEN = r"[0-9-]{10} [0-9:]{8}"


def milliseconds() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def job(service: PlayedService) -> str:
    """Of three attempts, and the first has begun."""
    with service.store.write() as tx:
        name = "10b00000-0000-4000-8000-000000000007"
        jobs.insert(
            tx, id=name, type="EmailJob", payload="1", priority=0, max_attempts=3, created_at=milliseconds()
        )
    service.start(name)
    return name


@contextmanager
def screen() -> Iterator[tuple[int, Callable[[], str]]]:
    """A terminal to write to, and what it has been sent so far."""
    master, slave = pty.openpty()
    seen = bytearray()

    def read() -> None:
        with suppress(OSError):  # EIO: the last writer has gone
            while piece := os.read(master, 4096):
                seen.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield slave, lambda: seen.decode(errors="replace")
    finally:
        os.close(slave)
        reader.join()
        os.close(master)


def test_each_attempt_is_one_block_and_the_newest_traceback_is_enough(
    asyncworker: Command, service: PlayedService, job: str
) -> None:
    used = Usage(0.31, 0.05, 24 * 2**20)
    service.print(job, b"first\n")
    service.try_again(job, traceback="Traceback\n  one", usage=used, **FAILED)
    service.start(job)
    how = {
        "reason": "timeout",
        "signals": [{"signal": "SIGTERM", "afterSeconds": 0.0}, {"signal": "SIGKILL", "afterSeconds": 2.0}],
        "seconds": 2.5,
        "killed": 3,
    }
    service.print(job, b"".join(b"line %d\n" % number for number in range(20)) + b"Traceback\n  two\n")
    service.print(job, b"".join(b"line %d\n" % number for number in range(20)) + b"Traceback\n  two\n", 2)
    late = {"failure_kind": FailureKind.TIMED_OUT, "error_message": "it ran too long"}
    service.end(job, JobStatus.FAILED, traceback="Traceback\n  two", signal=9, termination=how, **late)
    shown = asyncworker("status", job).out
    assert re.search(
        rf"""
Attempts:   2 of 3

Attempt 1: Failed, raised: ValueError: no
  ran:        {AT_TEN} to [0-9:]{{8}}, [0-9.]+ s
  process:    4242, of supervisor [0-9a-f-]{{36}}
  exit code:  1
  used:       0.31 s user, 0.05 s system, 24 MiB at most

Attempt 2: Failed, timed_out: it ran too long
  ran:        {AT_TEN} to [0-9:]{{8}}, [0-9.]+ s
  process:    4242, of supervisor [0-9a-f-]{{36}}
  signal:     SIGKILL \(9\)
  terminated: it was over its timeout: SIGTERM at once, SIGKILL after 2 s; gone after 2.5 s; 3 \w+ killed
  \| Traceback
  \|   two
  printed:    all of it: asyncworker logs {job}
  > line 10
(?:  > line 1[1-8]\n)+  > line 19

Tracebacks of all attempts: asyncworker status {job} --json
\Z""",
        shown,
    ), shown
    attempts = asyncworker("status", job, "--json").json["attempts"]
    assert [each["traceback"] for each in attempts] == ["Traceback\n  one", "Traceback\n  two"]


def test_a_pending_job_says_when_it_is_tried_again_and_how_often_still(
    asyncworker: Command, service: PlayedService, job: str
) -> None:
    service.try_again(job, milliseconds() + 3_600_000, **FAILED)
    shown = asyncworker("status", job).out
    assert re.search(
        r"^Status:     Pending, tried again at .*[0-9:]{8} \(in 1 h\), 2 attempts left$", shown, re.MULTILINE
    )
    row = asyncworker("list").out.splitlines()[1]
    assert re.search(r"Pending .* attempt 2 of 3 at .*[0-9:]{8} \(in 1 h\): ValueError: no$", row)
    assert asyncworker("list", "--json").json["items"][0]["runAt"] is not None


def test_a_pending_job_whose_time_has_come_says_so(
    asyncworker: Command, service: PlayedService, job: str
) -> None:
    service.try_again(job, None, **FAILED)
    shown = asyncworker("status", job).out
    assert "Status:     Pending, tried again as soon as it has a slot, 2 attempts left\n" in shown


def test_who_waits_goes_on_waiting_over_attempts_and_without_a_terminal_nothing_is_drawn(
    installation: Installation, service: PlayedService, job: str
) -> None:
    with installation.started("wait", job) as waiting:
        service.progress(job, 0.5, "half")
        service.try_again(job, None, **FAILED)
        service.start(job)
        service.end(job, JobStatus.COMPLETED)
        out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, err) == (0, "")
    assert re.fullmatch(rf"EmailJob {job} Completed after [0-9.]+ s, in attempt 2\n", out)


def test_on_a_terminal_each_job_has_a_bar_that_begins_anew_with_the_next_attempt(
    installation: Installation, service: PlayedService, job: str
) -> None:
    other = installation.run("submit", "-q", "EmailJob").out.strip()
    with screen() as (terminal, seen), installation.started("wait", job, other, stderr=terminal) as waiting:
        service.progress(job, 0.5, "half")
        eventually(lambda: f"{'━' * 12}{'─' * 12}  50% EmailJob 10b00000 InProgress" in seen())
        assert "attempt 1 of 3: half" in seen()
        assert f"EmailJob {other[:8]} Pending, waits for a slot" in seen()
        service.try_again(job, milliseconds() + 3_600_000, **FAILED)
        eventually(lambda: "EmailJob 10b00000 Pending, attempt 2 of 3, waits until" in seen())
        with service.store.write() as tx:
            jobs.in_their_turn(tx, now=milliseconds() + 4_000_000)
        service.start(job)
        empty = f"{'─' * 24}      EmailJob 10b00000 InProgress for 0 s, attempt 2 of 3\r\n"
        eventually(lambda: empty in seen())
        for each in (job, other):
            if each == other:
                service.start(each)
            service.end(each, JobStatus.COMPLETED)
        out, _ = waiting.communicate(timeout=20)
        assert waiting.returncode == 0
        assert [line.split()[:3] for line in out.splitlines()] == [
            ["EmailJob", each, "Completed"] for each in (job, other)
        ]
    assert seen().endswith("\x1b[J"), "the bars are still there"


def test_an_interrupt_takes_the_bars_away(
    installation: Installation, service: PlayedService, job: str
) -> None:
    with screen() as (terminal, seen), installation.started("wait", job, stderr=terminal) as waiting:
        eventually(lambda: "InProgress" in seen())
        waiting.send_signal(2)
        waiting.wait(20)
        assert waiting.returncode == 130
    assert seen().endswith("\x1b[JStopped waiting; what has not ended goes on.\r\n")


@pytest.mark.parametrize("thing", ["fifo", "link", "folder"])
def test_a_status_is_shown_whatever_stands_in_the_place_of_the_log(
    installation: Installation, service: PlayedService, job: str, thing: str
) -> None:
    log = service.locations.log_of(job, 1)
    log.parent.mkdir(exist_ok=True)
    secret = installation.folder / "secret"
    secret.write_text("not printed by any job")
    {"fifo": os.mkfifo, "link": lambda path: path.symlink_to(secret), "folder": os.mkdir}[thing](log)
    try:
        answer = installation.run("status", job)
    finally:
        log.rmdir() if thing == "folder" else log.unlink()
    assert (answer.code, answer.err) == (0, "")
    assert "Attempt 1: runs" in answer.out
    assert f"printed:    the log {log} cannot be read: " in answer.out
    assert "not printed" not in answer.out
