"""The four scenarios of the interface by HTTP: with curl, and the commands that the README shows."""

import json
import re
import shlex
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.eventually import eventually
from tests.support.observer import Observer
from tests.support.service import Service, Serving
from tests.system.conftest import MakeService
from tests.tree import ROOT
from workers.identity import Identity

SHORT = {"5000": "500", "10000": "4000", "15000": "15000"}
"""Milliseconds in the file that is shipped, and here."""

README_URL = "http://127.0.0.1:5000"
PAYLOAD = '{\\"to\\": \\"you@example.org\\"}'
"""A string, as it stands in a JSON document: whoever has only texts sends JSON in one."""

MISSING = (
    "curl is not installed, and REST is tested with it: install it (Debian, Ubuntu: apt-get install curl)"
)


@dataclass(frozen=True)
class Reply:
    """What curl has shown: `-i` adds the head."""

    status: int
    headers: dict[str, str]
    json: Any


class Rest:
    """A service, as somebody has it who knows its address and curl."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.url = ""

    def serve(self) -> Serving:
        """Once it is ready, and answers; where that is, its log says."""
        serving = self.service.serve(ASYNCWORKER_HTTP="127.0.0.1:0").ready()
        self.url = re.findall(r"http://[\d.:]+", serving.said("http_listening")["places"])[0]
        return serving

    def command(self, *arguments: str) -> list[str]:
        return ["curl", "-s", "-S", "-i", "--max-time", "30", *arguments]

    def ask(self, path: str, *arguments: str) -> Reply:
        return run(self.command(*arguments, self.url + path))

    def submit(self, *types: str) -> list[Reply]:
        """All at once, from as many terminals."""
        terminals = [
            subprocess.Popen(
                self.command(
                    *("-X", "POST", "-H", "Content-Type: application/json"),
                    *("-d", f'{{"type": "{job_type}", "payload": "{PAYLOAD}"}}'),
                    f"{self.url}/api/jobs",
                ),
                stdout=subprocess.PIPE,
                text=True,
            )
            for job_type in types
        ]
        return [reply(terminal.communicate(timeout=50)[0]) for terminal in terminals]

    def job(self, job_id: str) -> Any:
        found = self.ask(f"/api/jobs/{job_id}")
        assert found.status == 200
        return found.json

    def becomes(self, job_id: str, status: str) -> Any:
        """The job, once it is in this status."""
        return eventually(lambda: (job := self.job(job_id))["status"] == status and job)

    def ends(self, job_id: str) -> None:
        """Wait until it has, however."""
        eventually(lambda: self.job(job_id)["completedAt"])

    def slots(self, job_type: str) -> dict[str, Any]:
        types = self.ask("/api/status/concurrency").json
        (found,) = [each for each in types if each["jobType"] == job_type]
        assert found["inUse"] + found["available"] == found["maxConcurrency"]
        return dict(found)

    def ids(self, query: str) -> list[str]:
        """Of a page of the list, which holds all that there is."""
        page = self.ask(f"/api/jobs?{query}").json
        assert len(page["items"]) == page["totalCount"]
        return [job["id"] for job in page["items"]]


def run(command: list[str]) -> Reply:
    return reply(subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=50, check=True).stdout)


def reply(shown: str) -> Reply:
    head, _, body = shown.partition("\n\n")
    first, *lines = head.splitlines()
    pairs = (line.split(": ", 1) for line in lines)
    return Reply(int(first.split()[1]), {name.lower(): text for name, text in pairs}, json.loads(body))


@pytest.fixture
def rest(make_service: MakeService) -> Rest:
    """The job types that are shipped, most of them with shorter waits. Nothing runs yet."""
    assert shutil.which("curl"), MISSING
    text = (ROOT / "jobtypes.yaml").read_text()
    for shipped, short in SHORT.items():
        assert f"delay_milliseconds: {shipped}}}" in text
        text = text.replace(f"delay_milliseconds: {shipped}}}", f"delay_milliseconds: {short}}}")
    service = make_service(types={})
    service.config.write_text(text)
    return Rest(service)


def test_one_an_email_is_answered_at_once_with_pending_and_completed_after_its_time(rest: Rest) -> None:
    rest.serve()
    (answer,) = rest.submit("EmailJob")
    assert answer.status == 202
    assert answer.headers["location"] == f"/api/jobs/{answer.json['id']}"
    assert (answer.json["status"], answer.json["startedAt"]) == ("Pending", None)
    job = rest.becomes(answer.json["id"], "Completed")
    sent = json.loads(f'"{PAYLOAD}"')
    assert (job["payload"], job["result"]) == (sent, {"sent": sent})  # a string stays a string
    assert job["createdAt"] <= job["startedAt"] < job["completedAt"]
    summary = rest.ask("/api/status/summary").json
    assert (summary["completed"], summary["total"]) == (1, 1)


def test_two_of_ten_emails_at_once_never_more_than_three_are_in_progress(rest: Rest) -> None:
    rest.serve()
    with Observer(rest.service.state_dir) as seen:
        answers = rest.submit(*["EmailJob"] * 10)
        looks = [rest.slots("EmailJob")]
        while looks[-1]["inUse"] + looks[-1]["waiting"] > 0:
            assert len(rest.ids("status=InProgress&type=EmailJob&page=1&pageSize=20")) <= 3
            looks.append(rest.slots("EmailJob"))
    ids = {answer.json["id"] for answer in answers}
    assert [answer.status for answer in answers] == [202] * 10
    assert ("EmailJob", 3, 3, 0) in {
        (look["jobType"], look["maxConcurrency"], look["inUse"], look["available"]) for look in looks
    }
    assert max(look["inUse"] for look in looks) == 3
    assert seen.most(lambda _: "EmailJob")["EmailJob"] == 3
    assert set(rest.ids("status=Completed&type=EmailJob&page=1&pageSize=20")) == ids
    summary = rest.ask("/api/status/summary").json
    assert (summary["completed"], summary["total"]) == (10, 10)


def test_three_a_report_that_is_cancelled_is_cancelled_and_its_process_is_gone(rest: Rest) -> None:
    rest.serve()
    (answer,) = rest.submit("ReportJob")
    job = rest.becomes(answer.json["id"], "InProgress")
    process = Identity.of(job["pid"])
    assert process is not None
    cancel = f"/api/jobs/{job['id']}/cancel"
    answer = rest.ask(cancel, "-X", "DELETE")
    assert (answer.status, answer.json["id"]) == (202, job["id"])
    job = rest.becomes(job["id"], "Cancelled")
    assert not process.exists()
    assert rest.slots("ReportJob")["available"] == 2
    late = rest.ask(cancel, "-X", "DELETE")
    assert (late.status, late.headers["content-type"]) == (409, "application/problem+json")


def test_three_a_report_that_is_pending_is_cancelled_at_once(rest: Rest) -> None:
    rest.serve()
    running = rest.submit("ReportJob", "ReportJob")
    for each in running:
        rest.becomes(each.json["id"], "InProgress")
    (waiting,) = rest.submit("ReportJob")
    assert rest.ids("status=Pending&type=ReportJob&page=1&pageSize=20") == [waiting.json["id"]]
    answer = rest.ask(f"/api/jobs/{waiting.json['id']}/cancel", "-X", "DELETE")
    assert (answer.status, answer.json["status"], answer.json["startedAt"]) == (200, "Cancelled", None)


def test_four_after_a_sigkill_and_a_restart_the_job_is_failed_and_gone_and_pending_ones_run(
    rest: Rest,
) -> None:
    killed = rest.serve()
    ids = [answer.json["id"] for answer in rest.submit(*["DataProcessJob"] * 7)]
    eventually(lambda: rest.slots("DataProcessJob")["inUse"] == 5)
    lost = [rest.job(job) for job in rest.ids("status=InProgress&type=DataProcessJob&page=1&pageSize=20")]
    processes = [Identity.of(job["pid"]) for job in lost]
    dead = rest.ask("/api/status/process").json
    assert (dead["pid"], dead["state"], dead["others"]) == (killed.pid, "running", [])
    killed.signal(signal.SIGKILL)
    assert killed.ended() == -signal.SIGKILL
    alive = rest.serve()
    assert not any(process and process.is_running() for process in processes)
    for each in lost:
        job = rest.job(each["id"])
        assert (job["status"], job["failureKind"]) == ("Failed", "owner_died")
        assert all(str(dead[name]) in job["errorMessage"] for name in ("processInstanceId", "pid", "host"))
    found = rest.ask("/api/status/process").json
    assert (found["pid"], found["processInstanceId"]) == (alive.pid, alive.uuid)
    for job_id in set(ids) - {job["id"] for job in lost}:
        rest.becomes(job_id, "Completed")
    summary = rest.ask("/api/status/summary").json
    assert (summary["completed"], summary["failed"], summary["total"]) == (2, 5, 7)


def test_every_curl_command_of_the_readme_does_what_it_says(rest: Rest) -> None:
    rest.serve()
    answers: dict[str, Reply] = {}
    job_id = ""
    for command in re.findall(r"^curl .*$", (ROOT / "README.md").read_text(), re.MULTILINE):
        words = [word.replace("/ID", f"/{job_id}") for word in shlex.split(command)]
        (target,) = [word for word in words if word.startswith(README_URL)]
        if target.endswith("/retry"):  # it takes one that has ended
            rest.ends(job_id)
        answer = run([*(word.replace(README_URL, rest.url) for word in words), "-s", "-S", "-i"])
        assert answer.status in (200, 202), command
        job_id = job_id or answer.json["id"]
        answers[target.removeprefix(README_URL).replace(job_id, "ID")] = answer
    assert answers["/api/jobs"].json["payload"] == "hello"
    assert answers["/api/jobs/ID"].json["id"] == job_id
    listed = answers["/api/jobs?status=InProgress&type=EmailJob&page=1&pageSize=20"].json
    assert (listed["page"], listed["pageSize"]) == (1, 20)
    assert answers["/api/jobs/ID/cancel"].json["cancelRequestedAt"]
    assert answers["/api/status/process"].json["state"] == "running"
    types = [each["jobType"] for each in answers["/api/status/concurrency"].json]
    assert types == ["EmailJob", "DataProcessJob", "ReportJob"]
    assert answers["/api/status/summary"].json["total"] == 1
