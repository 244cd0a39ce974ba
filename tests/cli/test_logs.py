import subprocess
from collections.abc import Callable

import pytest

from cli.harmless import TerminalFilter, harmless, json_safe
from supervisor.lifecycle import JobStatus
from tests.cli.commandline import Answer, Installation, PlayedService
from workers.trimming import trim

Command = Callable[..., Answer]

RAW = b"\x1b[31mred\x1b[0m \xff\x00\rover\r\n\x1b]0;title\x07end"


@pytest.fixture
def job(asyncworker: Command, service: PlayedService) -> str:
    """One that runs."""
    job_id = asyncworker("submit", "-q", "EmailJob").out.strip()
    service.start(job_id)
    return job_id


def test_into_a_pipe_output_comes_as_the_job_wrote_it(
    installation: Installation, service: PlayedService, job: str
) -> None:
    service.print(job, RAW)
    done = subprocess.run(
        installation.command("logs", job), capture_output=True, env=installation.environment, check=True
    )
    assert done.stdout == RAW


def test_onto_a_terminal_nothing_of_it_reaches_the_cursor(
    installation: Installation, service: PlayedService, job: str
) -> None:
    service.print(job, RAW)
    shown = installation.on_a_terminal("logs", job)
    assert shown == "red \N{REPLACEMENT CHARACTER}\nover\nend"


def test_no_output_yet_is_nothing_and_no_mistake(asyncworker: Command, job: str) -> None:
    assert asyncworker("logs", job) == Answer(0, "", "")


def test_an_attempt_that_never_was_is_unknown(asyncworker: Command, job: str) -> None:
    answer = asyncworker("logs", job, "--attempt", "2")
    assert (answer.code, answer.err) == (3, f"Error: job {job} has no attempt 2; it has had one\n")


def test_an_attempt_can_be_chosen(asyncworker: Command, service: PlayedService, job: str) -> None:
    service.print(job, b"first")
    service.print(job, b"second", attempt=2)
    assert asyncworker("logs", job, "--attempt", "1").out == "first"


def test_inside_a_job_its_own_attempt_number_is_not_taken_for_an_option(
    installation: Installation, service: PlayedService, job: str
) -> None:
    service.print(job, b"first")
    inside = {"ASYNCWORKER_JOB_ID": "other", "ASYNCWORKER_ATTEMPT": "2"}
    assert installation.run("logs", job, given=inside).out == "first"
    assert installation.run("logs", job, given={"ASYNCWORKER_ATTEMPT": "2"}).code == 3


def test_following_ends_with_the_job(installation: Installation, service: PlayedService, job: str) -> None:
    with installation.started("logs", "-f", job) as following:
        service.print(job, b"one\n")
        assert following.stdout
        assert following.stdout.readline() == "one\n"
        service.print(job, b"two\n")
        service.end(job, JobStatus.COMPLETED)
        out, err = following.communicate(timeout=20)
    assert (following.returncode, out, err) == (0, "two\n", "")


@pytest.fixture
def cut(service: PlayedService, job: str) -> str:
    """One that has printed more than is kept."""
    service.print(job, b"".join(b"%05d\n" % n for n in range(50_000)))
    trim(service.locations.log_of(job, 1), 6_000, last=False)
    return job


def test_of_a_log_over_its_limit_both_ends_are_shown_while_it_runs_and_afterwards(
    asyncworker: Command, service: PlayedService, cut: str
) -> None:
    ends = [f"{n:05}" for n in range(500)], [f"{n:05}" for n in range(49_500, 50_000)]
    expected = "\n".join([*ends[0], "[... 294,000 bytes left out ...]", *ends[1], ""])
    assert asyncworker("logs", cut) == Answer(0, expected, "")
    service.end(cut, JobStatus.COMPLETED)
    assert asyncworker("logs", cut) == asyncworker("logs", "-f", cut) == Answer(0, expected, "")


def test_whoever_follows_a_log_that_is_cut_sees_all_that_is_printed_from_then_on(
    installation: Installation, service: PlayedService, cut: str
) -> None:
    with installation.started("logs", "-f", cut) as following:
        assert following.stdout
        lines = [following.stdout.readline() for _ in range(1001)]
        assert lines[-1] == "49999\n"
        service.print(cut, b"more\n")
        assert following.stdout.readline() == "more\n"
        service.end(cut, JobStatus.COMPLETED)
        assert following.communicate(timeout=20) == ("", "")


def test_a_log_that_was_replaced_by_a_link_is_refused_in_one_sentence(
    asyncworker: Command, service: PlayedService, job: str
) -> None:
    log = service.locations.log_of(job, 1)
    log.parent.mkdir(exist_ok=True)
    log.symlink_to("/etc/passwd")
    answer = asyncworker("logs", job)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"Error: the log {log} cannot be read: ")
    assert answer.err.count("\n") == 1


def test_following_a_job_that_cannot_end_says_so_after_what_there_is(
    asyncworker: Command, service: PlayedService, job: str
) -> None:
    service.print(job, b"so far")
    service.leave()
    answer = asyncworker("logs", "-f", job)
    assert (answer.code, answer.out) == (4, "so far")


@pytest.mark.parametrize(
    "pieces, shown",
    [
        ([b"a\x1b[3", b"1mb"], "ab"),
        ([b"a\x1b", b"]0;t", b"itle\x1b", b"\\b"], "ab"),
        ([b"a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\"], "alink"),
        ([b"50%\r", b"\n100%\r", b"done"], "50%\n100%\ndone"),
        ([b"\xc3", b"\xa4"], "ä"),
        ([b"tab\tand \x08\x7f\x9b\xc2\x9bcontrols"], "tab\tand \N{REPLACEMENT CHARACTER}controls"),
        ([b"\x1bcreset \x1b(Bcharset \x1bM"], "reset charset "),
        ([b"a\x1b["], "a["),
    ],
)
def test_escape_sequences_are_removed_wherever_they_are_cut(pieces: list[bytes], shown: str) -> None:
    terminal = TerminalFilter()
    assert "".join(map(terminal.feed, pieces)) + terminal.feed(b"", last=True) == shown


def test_what_never_ends_as_an_escape_sequence_is_not_held_back_for_ever() -> None:
    terminal = TerminalFilter()
    assert "x" * 1000 in "".join(terminal.feed(b"\x1b]" if n == 0 else b"x" * 1000) for n in range(10))


def test_control_characters_are_spelt_out() -> None:
    assert harmless("a\x1b[2J\u202e\n\tb\x85\ud800") == "a\\x1b[2J\\u202e\n\tb\\x85\\ud800"
    assert json_safe('"\x9b\u2028"') == '"\\u009b\\u2028"'
