import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from supervisor.client import Client
from supervisor.lifecycle import FailureKind, JobStatus
from tests.cli.commandline import ONLY_THE_STORE, Answer, Installation, PlayedService, eventually

Command = Callable[..., Answer]

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
MEBIBYTE = 1 << 20


def test_a_submitted_job_is_pending_and_its_id_is_printed(installation: Installation) -> None:
    answer = installation.run("submit", "EmailJob", '{"to": "a@example.org"}')
    assert answer.code == 0
    assert re.fullmatch(f"Submitted EmailJob {UUID}\n", answer.out)
    assert answer.err == "No service is running: it will run once one is started with: asyncworker serve\n"
    (job,) = installation.run("list", "--json").json["items"]
    assert (job["id"] in answer.out, job["status"], job["payload"]) == (
        True,
        "Pending",
        {"to": "a@example.org"},
    )


def test_quietly_the_id_is_all(asyncworker: Command) -> None:
    answer = asyncworker("submit", "-q", "EmailJob")
    assert re.fullmatch(f"{UUID}\n", answer.out)
    assert answer.err == ""


def test_as_json_it_is_the_job(asyncworker: Command) -> None:
    job = asyncworker("submit", "EmailJob", "--json").json
    assert (job["type"], job["payload"], job["status"], job["attempt"]) == ("EmailJob", None, "Pending", 0)


def test_with_a_service_there_is_nothing_to_say(asyncworker: Command, service: PlayedService) -> None:
    assert asyncworker("submit", "EmailJob").err == ""


def test_priority_is_the_job_types_unless_given(asyncworker: Command) -> None:
    assert asyncworker("submit", "ReportJob", "--json").json["priority"] == 7
    assert asyncworker("submit", "ReportJob", "--priority", "-3", "--json").json["priority"] == -3


@pytest.mark.parametrize("given", ["file", "standard input"])
def test_a_payload_can_come_from_a_file_or_from_standard_input(
    installation: Installation, given: str
) -> None:
    (installation.folder / "payload.json").write_text(' {"ü": [1, 2.5]}\n')
    argument = "@payload.json" if given == "file" else "-"
    answer = installation.run("submit", "EmailJob", argument, "--json", typed=' {"ü": [1, 2.5]}\n'.encode())
    assert answer.json["payload"] == {"ü": [1, 2.5]}


@pytest.mark.parametrize(
    "payload, hint",
    [
        ("hello", "'\"hello\"'"),
        ("{'a': 1}", "double quotes"),
        ("{a: 1}", "single ones"),
        ("[NaN]", "NaN is not a JSON value"),
        ("1e999", "not JSON"),
        ("", "not JSON"),
        ("@missing.json", "cannot be read: No such file"),
        ("@.", "cannot be read"),
    ],
)
def test_a_payload_that_is_no_json_is_refused_with_a_hint(
    asyncworker: Command, payload: str, hint: str
) -> None:
    answer = asyncworker("submit", "EmailJob", payload)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith("Error: ")
    assert answer.err.count("\n") == 1
    assert hint in answer.err


def test_one_mebibyte_is_taken_and_a_byte_more_is_not(installation: Installation) -> None:
    largest = b'"' + b"x" * (MEBIBYTE - 2) + b'"'
    assert installation.run("submit", "EmailJob", "-", typed=largest).code == 0
    answer = installation.run("submit", "EmailJob", "-", typed=b" " + largest)
    assert (answer.code, answer.err) == (2, "Error: the payload is larger than 1 MiB\n")


def test_an_endless_payload_ends_in_a_sentence(asyncworker: Command) -> None:
    assert asyncworker("submit", "EmailJob", "@/dev/zero").err == "Error: the payload is larger than 1 MiB\n"


def test_an_unknown_type_is_answered_with_the_nearest_and_nothing_is_submitted(asyncworker: Command) -> None:
    answer = asyncworker("submit", "EmialJob")
    assert (answer.code, answer.err) == (
        2,
        "Error: there is no job type 'EmialJob'; did you mean EmailJob?\n",
    )
    assert asyncworker("list", "--json").json["totalCount"] == 0


def test_a_type_unlike_any_is_answered_with_all(asyncworker: Command) -> None:
    assert "there are: EmailJob, ReportJob" in asyncworker("submit", "zzz").err


def test_waiting_without_a_service_leaves_the_job_and_names_it(asyncworker: Command) -> None:
    answer = asyncworker("submit", "EmailJob", "--wait")
    (job,) = asyncworker("list", "--json").json["items"]
    assert (answer.code, job["status"]) == (4, "Pending")
    assert f"job {job['id']} stays submitted" in answer.err


def test_waiting_ends_with_a_completed_job_and_its_result(
    installation: Installation, service: PlayedService
) -> None:
    with installation.started("submit", "EmailJob", "--wait") as waiting:
        (job,) = eventually(service.jobs)
        service.start(job.id)
        service.end(job.id, JobStatus.COMPLETED, result='{"sent":1}')
        out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 0
    assert out == f'Submitted EmailJob {job.id}\n{{"sent":1}}\n'
    assert re.fullmatch(f"EmailJob {job.id} Completed after [0-9.]+ s\n", err)


def test_waiting_for_a_job_that_fails_says_why(installation: Installation, service: PlayedService) -> None:
    with installation.started("submit", "EmailJob", "--wait", "--json") as waiting:
        (job,) = eventually(service.jobs)
        service.start(job.id)
        hostile = "ValueError: \x1b[2Jgone\n[red]"
        service.end(job.id, JobStatus.FAILED, failure_kind=FailureKind.RAISED, error_message=hostile)
        out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 1
    assert Answer(1, out, err).json["errorMessage"] == hostile
    assert err.endswith("s: raised: ValueError: \\x1b[2Jgone [red]\n")


def test_a_service_that_goes_away_ends_the_waiting(
    installation: Installation, service: PlayedService
) -> None:
    with installation.started("submit", "EmailJob", "--wait") as waiting:
        eventually(service.jobs)
        service.leave()
        _, err = waiting.communicate(timeout=40)
    assert (waiting.returncode, "stays submitted" in err) == (4, True)


def test_a_service_that_dies_with_the_job_is_told_apart(
    installation: Installation, service: PlayedService
) -> None:
    with installation.started("submit", "EmailJob", "--wait") as waiting:
        (job,) = eventually(service.jobs)
        service.start(job.id)
        service.leave()
        _, err = waiting.communicate(timeout=40)
    assert (waiting.returncode, "its service is gone" in err) == (4, True)


def test_an_interrupt_stops_the_waiting_and_not_the_job(
    installation: Installation, service: PlayedService
) -> None:
    with installation.started("submit", "EmailJob", "--wait") as waiting:
        assert waiting.stdout
        waiting.stdout.readline()
        (job,) = eventually(service.jobs)
        waiting.send_signal(signal.SIGINT)
        _, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 130
    assert f"job {job.id} goes on" in err
    assert f"asyncworker cancel {job.id}" in err
    assert service.job(job.id).status is JobStatus.PENDING


def test_an_interrupt_of_the_submit_itself_says_that_there_may_be_a_job(
    asyncworker: Command, service: PlayedService, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = Client.submit

    def interrupted(client: Client, *given: Any, **more: Any) -> None:
        submit(client, *given, **more)
        raise KeyboardInterrupt

    monkeypatch.setattr(Client, "submit", interrupted)
    answer = asyncworker("submit", "EmailJob", "--json")
    assert (answer.code, answer.out) == (130, "")
    assert answer.err == "Interrupted; the job may have been submitted: see asyncworker list\n"
    assert len(service.jobs()) == 1


def test_following_shows_what_the_job_prints_attempt_after_attempt(
    installation: Installation, service: PlayedService
) -> None:
    with installation.started("submit", "EmailJob", "--follow", "-q") as following:
        (job,) = eventually(service.jobs)
        service.start(job.id)
        service.print(job.id, b"first\n")
        assert following.stdout
        assert [following.stdout.readline() for _ in "12"] == [f"{job.id}\n", "first\n"]
        service.print(job.id, b"no newline")
        service.end(job.id, JobStatus.COMPLETED)
        out, _ = following.communicate(timeout=20)
    assert (following.returncode, out) == (0, "no newline")


def test_following_and_json_do_not_go_together(asyncworker: Command) -> None:
    assert asyncworker("submit", "EmailJob", "--follow", "--json").code == 2
    assert asyncworker("list", "--json").json["totalCount"] == 0


def test_a_payload_with_a_minus_stands_after_two(asyncworker: Command) -> None:
    assert asyncworker("submit", "--json", "EmailJob", "--", "-5").json["payload"] == -5


@ONLY_THE_STORE
def test_the_configuration_can_lie_anywhere(installation: Installation, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.yaml"
    installation.config.rename(elsewhere)
    assert installation.run("submit", "EmailJob").code == 2
    assert installation.run("submit", "EmailJob", "--config", str(elsewhere)).code == 0
