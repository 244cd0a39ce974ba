"""Standard streams that are closed or full: the work is done, and what cannot be shown is said."""

import json
import subprocess

import pytest

from supervisor.lifecycle import JobStatus
from tests.cli.commandline import Answer, Installation, PlayedService

FULL = "standard output could not be written: No space left on device\n"
STREAMS = ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-"]


@pytest.fixture(scope="module")
def way() -> str:
    """Nothing here depends on it."""
    return "store"


def run(installation: Installation, streams: str, *words: str) -> Answer:
    """By a shell, which closes or leads away what it says of the streams."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {streams}', "sh", *installation.command(*words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=installation.environment,
        cwd=installation.folder,
        timeout=30,
        check=False,
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.mark.parametrize("streams", STREAMS)
def test_closed_streams_change_neither_what_is_done_nor_the_exit_code(
    installation: Installation, service: PlayedService, streams: str
) -> None:
    assert run(installation, streams, "submit", "EmailJob", "1").code == 0
    (job,) = service.jobs()
    for words in (("status",), ("list", "--json"), ("--help",)):
        answer = run(installation, streams, *words)
        assert (answer.code, "Error" in answer.err) == (0, False), (words, answer)
    service.print(job.id, b"printed\n")
    assert run(installation, streams, "logs", job.id).code == 0
    answer = run(installation, streams, "cancel", job.id)
    assert (answer.code, service.job(job.id).status) == (0, JobStatus.CANCELLED), answer
    assert [run(installation, streams, verb, job.id).code for verb in ("wait", "status", "retry")] == [
        1,
        0,
        0,
    ]
    assert run(installation, streams, "frobnicate").code == 2


@pytest.mark.parametrize("options", [("--wait",), ("--follow",), ("--wait", "--json")])
@pytest.mark.parametrize("streams", [">&-", "2>&-"])
def test_a_submit_that_waits_does_so_with_closed_streams(
    installation: Installation, service: PlayedService, streams: str, options: tuple[str, ...]
) -> None:
    service.leave()
    answer = run(installation, streams, "submit", "EmailJob", *options)
    assert answer.code == 4, answer
    assert "AttributeError" not in answer.err
    assert [job.status for job in service.jobs()] == [JobStatus.PENDING]


def test_a_closed_standard_input_is_an_empty_payload(installation: Installation) -> None:
    closed = run(installation, "<&-", "submit", "EmailJob", "-")
    assert closed == run(installation, "</dev/null", "submit", "EmailJob", "-")
    assert (closed.code, closed.out) == (2, "")
    assert closed.err.startswith("Error: the payload is not JSON")


@pytest.mark.parametrize("options", [(), ("-q",), ("--json",)])
def test_a_submit_that_cannot_show_the_id_says_it_elsewhere(
    installation: Installation, service: PlayedService, options: tuple[str, ...]
) -> None:
    answer = run(installation, ">/dev/full", "submit", "EmailJob", "1", *options)
    (job,) = service.jobs()
    said = f"Error: job {job.id} was submitted, but {FULL}"
    assert (answer.code, answer.out, answer.err) == (1, "", said)


@pytest.mark.parametrize(
    "words", [("status",), ("list", "--json"), ("types",), ("check",), ("version",), ("--help",)]
)
def test_an_output_that_cannot_be_written_is_one_sentence(
    installation: Installation, service: PlayedService, words: tuple[str, ...]
) -> None:
    answer = run(installation, ">/dev/full", *words)
    assert (answer.code, answer.err) == (1, f"Error: {FULL}")


def test_a_log_that_cannot_be_written_is_one_sentence(
    installation: Installation, service: PlayedService
) -> None:
    job = json.loads(run(installation, "", "submit", "EmailJob", "1", "--json").out)["id"]
    service.print(job, b"x" * 100_000)
    answer = run(installation, ">/dev/full", "logs", job)
    assert (answer.code, answer.err.count("\n")) == (1, 1), answer
    assert answer.err.startswith("Error: standard output could not be written")


@pytest.mark.parametrize("stderr", ["/dev/full", "/dev/null"])
def test_a_standard_error_that_cannot_be_written_changes_nothing(
    installation: Installation, service: PlayedService, stderr: str
) -> None:
    service.leave()
    assert run(installation, f"2>{stderr}", "submit", "EmailJob", "-q").code == 0
    assert run(installation, f"2>{stderr}", "submit", "EmailJob").code == 0
    assert run(installation, f"2>{stderr}", "status", "ffff").code == 3
    assert len(service.jobs()) == 2


def test_whoever_stops_reading_ends_it_quietly(installation: Installation, service: PlayedService) -> None:
    answer = run(installation, "| true", "types")
    assert (answer.out, answer.err) == ("", "")
