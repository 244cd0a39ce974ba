"""What a handler is given, what it gives back, and how a cancel reaches it."""

import json
import signal
import stat
from pathlib import Path

import pytest

from supervisor.lifecycle import FailureKind, JobStatus
from tests.support.keeper import TestKeeper

SIGNATURES = {
    "payload": "def handler(payload): return [payload, None]",
    "payload, job": "def handler(payload, job): return [payload, job.id]",
    "another name": "def handler(what, context): return [what, context.id]",
    "keyword": "def handler(payload, *, job): return [payload, job.id]",
    "default": "def handler(payload, job=None): return [payload, job.id]",
    "default before": "def handler(payload, more=None, job=None): return [payload, more or job.id]",
    "defaults before": "def handler(p, a=1, b=2, *c, job=None): return [p, [a, b, *c] == [1, 2] and job.id]",
    "needed before": "def handler(what, context, job=None): return [what, job or context.id]",
    "by position only": "def handler(payload, more=None, job=None, /): return [payload, more or job]",
    "other default": "def handler(payload, retries=3): return [payload, None]",
    "async": "async def handler(payload, job): return [payload, job.id]",
    "class": "class handler:\n    def f(self, payload, job): return [payload, job.id]\nhandler = handler().f",
    "builtin": "handler = lambda *a: [len(a) and a[0], None]",
}


@pytest.mark.parametrize("source", SIGNATURES.values(), ids=SIGNATURES)
def test_a_handler_gets_what_its_signature_has_room_for(keeper: TestKeeper, source: str) -> None:
    job = keeper.run(source, payload='{"n": 1}')
    outcome = job.ended().outcome
    assert outcome.status is JobStatus.COMPLETED
    assert json.loads(outcome.result or "") in ([{"n": 1}, job.job.job_id], [{"n": 1}, None])
    assert ("job.id" in source or "context.id" in source) == (job.job.job_id in (outcome.result or ""))


def test_the_context_says_everything_about_the_job(keeper: TestKeeper) -> None:
    source = """
    def handler(payload, job):
        return [job.id, job.type, job.attempt, job.payload, job.options, str(job.directory)]
    """
    job = keeper.run(source, payload="[1]", attempt=7, options={"a": 1})
    said = job.ended().value
    assert said == [job.job.job_id, "TestJob", 7, [1], {"a": 1}, job.job.directory]


def test_a_payload_of_a_mebibyte_passes_the_gate(keeper: TestKeeper) -> None:
    text = json.dumps("é" * 500_000, ensure_ascii=False)
    job = keeper.run("def handler(payload): return len(payload)", payload=text)
    assert job.ended().outcome.result == "500000"


def test_a_result_of_a_mebibyte_comes_back(keeper: TestKeeper) -> None:
    ended = keeper.run("def handler(payload): return 'é' * (2**19 - 1)").ended()
    assert ended.outcome.status is JobStatus.COMPLETED
    assert ended.value == "é" * (2**19 - 1)


def test_progress_comes_through_and_the_newest_is_not_lost(keeper: TestKeeper) -> None:
    source = """
    import time
    def handler(payload, job):
        for step in range(1000):
            job.progress(step / 2000, "first part")
        job.progress(0.5, "second part")
        time.sleep(60)
    """
    job = keeper.run(source)
    keeper.until(lambda: any(frame.get("message") == "second part" for frame in keeper.frames))
    job.terminate()
    said = [frame["message"] for frame in job.ended().progress]
    assert said[-1] == "second part"
    assert len(said) < 20


def test_of_a_flood_of_progress_little_is_passed_on_and_the_last_before_the_end_is(
    keeper: TestKeeper,
) -> None:
    job = keeper.run(
        """
        import time
        def handler(payload, job):
            over, step = time.monotonic() + 0.5, 0
            while time.monotonic() < over:
                step += 1
                job.progress(step % 1000 / 1000, f"step {step}")
            job.progress(0.875, "the last")
            return step
        """
    )
    ended = job.ended()
    assert len(ended.progress) < 20 < int(ended.outcome.result or "")
    assert (ended.progress[-1]["fraction"], ended.progress[-1]["message"]) == (0.875, "the last")


def test_progress_from_a_thread_that_runs_on_does_not_spoil_the_last_word(keeper: TestKeeper) -> None:
    source = """
    import itertools, threading
    def handler(payload, job):
        def chatter():
            for n in itertools.count():
                job.progress(0.5, str(n) * 50)
        for _ in range(3):
            threading.Thread(target=chatter, daemon=True).start()
        return "x" * 900_000
    """
    outcome = keeper.run(source).ended().outcome
    assert (outcome.status, len(outcome.result or "")) == (JobStatus.COMPLETED, 900_002)


@pytest.mark.parametrize("fraction", ["-0.1", "1.1", "float('nan')", "'x'", "float('inf')"])
def test_a_progress_that_is_none_is_refused(keeper: TestKeeper, fraction: str) -> None:
    outcome = keeper.run(f"def handler(payload, job): job.progress({fraction})").ended().outcome
    assert outcome.failure_kind is FailureKind.RAISED
    assert (outcome.error_message or "").startswith("ValueError: ")


CLEANS_UP = """
import os, time
from asyncworker import JobCancelled
def handler(payload):
    try:
        print("waiting")
        time.sleep(60)
    except JobCancelled:
        print("cancelled")
        raise
    finally:
        for _ in range(20):
            time.sleep(0.01)
        print("cleaned up")
"""


def test_a_cancel_arrives_once_and_cleanup_is_not_broken_off(keeper: TestKeeper) -> None:
    job = keeper.run(CLEANS_UP)
    job.says("waiting")
    job.terminate(grace=20)
    job.says("cancelled")
    for _ in range(3):
        job.who.send(signal.SIGTERM)
    ended = job.ended()
    assert ended.log.endswith("cleaned up\n") or "cleaned up\nTraceback" in ended.log
    assert ended.outcome.status is JobStatus.CANCELLED
    assert ended.outcome.traceback is None
    record = ended.outcome.termination or {}
    assert (record["reason"], [s["signal"] for s in record["signals"]], record["killed"]) == (
        "cancel",
        ["SIGTERM"],
        0,
    )


def test_a_cancel_that_was_not_heard_is_sent_once_more(keeper: TestKeeper) -> None:
    """As when the signal comes between Python's last look for one and the system call that sleeps."""
    source = """
    import signal, time
    def handler(payload):
        arrived = []
        signal.signal(signal.SIGTERM, lambda *_: arrived.append(time.monotonic()))
        print("waiting")
        while len(arrived) < 2:
            time.sleep(0.01)
        until = time.monotonic() + 0.6
        while time.monotonic() < until:
            time.sleep(0.01)
        return len(arrived)
    """
    job = keeper.run(source)
    job.says("waiting")
    job.terminate(grace=60)
    assert job.ended().value == 2


def test_a_cancel_that_was_swallowed_is_sent_once_more(keeper: TestKeeper) -> None:
    """Where Python happens to be in a __del__ or a weak reference's callback, no exception gets out."""
    source = """
    import time
    class Swallows:
        def __del__(self):
            print("waiting")
            time.sleep(60)
    def handler(payload):
        Swallows()
        print("swallowed")
        try:
            time.sleep(60)
        finally:
            print("cleaned up")
    """
    job = keeper.run(source)
    job.says("waiting")
    job.terminate(grace=60)
    ended = job.ended()
    assert ended.log.startswith("waiting\nswallowed\ncleaned up\n")
    assert ended.outcome.status is JobStatus.CANCELLED
    assert "Exception ignored" not in ended.log


def test_a_cancel_that_was_heard_is_not_sent_again(keeper: TestKeeper) -> None:
    source = """
    import signal, time
    from asyncworker import JobCancelled
    def handler(payload):
        arrived = []
        try:
            print("waiting")
            time.sleep(60)
        except JobCancelled:
            signal.signal(signal.SIGTERM, lambda *_: arrived.append(1))
            until = time.monotonic() + 0.6
            while time.monotonic() < until:
                time.sleep(0.01)
            print("heard", len(arrived), "more")
    """
    job = keeper.run(source)
    job.says("waiting")
    job.terminate(grace=60)
    assert "heard 0 more" in job.ended().log


def test_a_timeout_arrives_in_the_same_way_and_is_called_one(keeper: TestKeeper) -> None:
    job = keeper.run(CLEANS_UP)
    job.says("waiting")
    job.terminate("timeout", grace=20)
    ended = job.ended()
    assert (ended.outcome.failure_kind, ended.outcome.exit_code) == (FailureKind.TIMED_OUT, 1)
    assert "cleaned up" in ended.log


def test_a_cancel_that_comes_too_late_changes_nothing(keeper: TestKeeper) -> None:
    source = """
    import atexit, time
    def handler(payload):
        atexit.register(lambda: (print("late", flush=True), time.sleep(60)))
        return 1
    """
    job = keeper.run(source, grace=60)
    job.says("late")
    job.terminate()
    outcome = job.ended().outcome
    assert (outcome.status, outcome.result) == (JobStatus.COMPLETED, "1")


def test_a_cancel_during_import_is_a_cancel(keeper: TestKeeper) -> None:
    job = keeper.run("import time\nprint('importing', flush=True)\ntime.sleep(60)")
    job.says("importing")
    job.terminate(grace=20)
    assert job.ended().outcome.status is JobStatus.CANCELLED


def test_a_sigterm_from_elsewhere_is_no_cancel(keeper: TestKeeper) -> None:
    job = keeper.run(CLEANS_UP)
    job.says("waiting")
    job.who.send(signal.SIGTERM)
    outcome = job.ended().outcome
    assert outcome.failure_kind is FailureKind.RAISED
    assert (outcome.error_message or "").startswith("JobCancelled")


ASYNC = """
import asyncio
from asyncworker import JobCancelled
async def handler(payload, job):
    {body}
"""

ASYNC_BODIES = {
    "JobCancelled": """
    try:
        print("waiting"); await asyncio.sleep(60)
    except JobCancelled:
        await asyncio.sleep(0.05); print("cleaned up"); raise
""",
    "CancelledError": """
    try:
        print("waiting"); await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0.05); print("cleaned up"); raise
""",
    "finally": """
    try:
        print("waiting"); await asyncio.sleep(60)
    finally:
        await asyncio.sleep(0.05); print("cleaned up")
""",
    "around a task group": """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            print("waiting"); await asyncio.sleep(60)
    except JobCancelled:
        await asyncio.sleep(0.05); print("cleaned up"); raise
""",
    "at the end of a task group": """
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            print("waiting")
    except JobCancelled:
        await asyncio.sleep(0.05); print("cleaned up"); raise
""",
    "in a timeout": """
    try:
        async with asyncio.timeout(60):
            print("waiting"); await asyncio.sleep(60)
    except JobCancelled:
        await asyncio.sleep(0.05); print("cleaned up"); raise
""",
    "in a task of its own": """
    async def inner():
        try:
            print("waiting"); await asyncio.sleep(60)
        finally:
            print("cleaned up")
    await asyncio.create_task(inner())
""",
}


@pytest.mark.parametrize("body", ASYNC_BODIES.values(), ids=ASYNC_BODIES)
def test_an_async_handler_is_cancelled_and_can_await_its_cleanup(keeper: TestKeeper, body: str) -> None:
    job = keeper.run(ASYNC.format(body=body))
    job.says("waiting")
    job.terminate(grace=20)
    job.who.send(signal.SIGTERM)
    ended = job.ended()
    assert "cleaned up" in ended.log
    assert ended.outcome.status is JobStatus.CANCELLED


UNDISTURBED = {
    "timeout": """
    try:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(60)
    except TimeoutError:
        return "as usual"
""",
    "wait_for": """
    try:
        await asyncio.wait_for(asyncio.sleep(60), 0.01)
    except TimeoutError:
        return "as usual"
""",
    "task group": """
    async def fails():
        raise ValueError
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(fails())
            await asyncio.sleep(60)
    except* ValueError as group:
        assert len(group.exceptions) == 1
    return "as usual"
""",
    "cancelled task": """
    task = asyncio.create_task(asyncio.sleep(60))
    task.cancel()
    try:
        await task
    except JobCancelled:
        return "not at all as usual"
    except asyncio.CancelledError:
        return "as usual"
""",
}


@pytest.mark.parametrize("body", UNDISTURBED.values(), ids=UNDISTURBED)
def test_asyncios_own_cancellations_stay_its_own(keeper: TestKeeper, body: str) -> None:
    assert keeper.run(ASYNC.format(body=body)).ended().outcome.result == '"as usual"'


def test_an_async_handler_that_swallows_the_cancel_is_killed(keeper: TestKeeper) -> None:
    body = """
    while True:
        try:
            print("waiting"); await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
"""
    job = keeper.run(ASYNC.format(body=body))
    job.says("waiting")
    job.terminate()
    outcome = job.ended().outcome
    assert (outcome.status, outcome.signal) == (JobStatus.CANCELLED, 9)


def test_the_directory_is_private_and_empty(keeper: TestKeeper) -> None:
    source = """
    import os
    def handler(payload, job):
        return [os.getcwd(), oct(os.stat(".").st_mode), os.listdir(".")]
    """
    job = keeper.run(source)
    assert job.ended().value == [job.job.directory, "0o40700", []]
    keeper.until(lambda: not job.directory.exists())


def test_a_directory_that_is_there_already_is_emptied(keeper: TestKeeper) -> None:
    assignment = keeper.job("import os\ndef handler(payload): return os.listdir('.')")
    directory = Path(assignment.directory)
    directory.mkdir(parents=True)
    (directory / "old").touch()
    child = keeper.start()
    keeper.order("assign", child=child, job=assignment.to_frame(), grace=1, directory=assignment.directory)
    assert keeper.wait("ended", child)["report"]["result"] == "[]"


def test_a_directory_of_the_job_types_is_left_alone(keeper: TestKeeper, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    job = keeper.run(
        "import os\ndef handler(payload): open('made', 'w')", directory=str(tmp_path), private_directory=False
    )
    job.ended()
    assert (tmp_path / "made").exists()
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755


def test_a_full_directory_is_removed_without_following_links(keeper: TestKeeper, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    source = """
    import os
    def handler(outside):
        os.symlink(outside, "to_a_folder")
        os.symlink(outside + "/file", "to_a_file")
        os.mkfifo("pipe")
        os.makedirs("wide/" + "x" * 200)
        open("wide/file", "w").close()
        for _ in range(1500):
            os.mkdir("deep")
            os.chdir("deep")
        os.symlink(outside, "link")
        open("file", "w").close()
    """
    job = keeper.run(source, payload=json.dumps(str(tmp_path / "outside")))
    assert job.ended().outcome.status is JobStatus.COMPLETED
    keeper.until(lambda: not job.directory.exists())
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["file"]


def test_a_link_in_place_of_the_directory_is_removed_and_not_followed(
    keeper: TestKeeper, tmp_path: Path
) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").touch()
    source = """
    import os
    def handler(outside, job):
        os.rename(job.directory, outside + "/moved")
        os.symlink(outside, job.directory)
    """
    job = keeper.run(source, payload=json.dumps(str(tmp_path / "outside")))
    job.ended()
    keeper.until(lambda: not job.directory.is_symlink())
    assert sorted(path.name for path in (tmp_path / "outside").iterdir()) == ["file", "moved"]
