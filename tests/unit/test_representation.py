from types import MappingProxyType
from typing import Any

import pytest

from supervisor import representation
from supervisor.answers import Cancellation, Life, Page, slots_of
from supervisor.jobtypes.records import JobType
from supervisor.lifecycle import FailureKind, JobStatus
from supervisor.store.records import Attempt, CancelAnswer
from tests.support.builders import NOW, a_job, a_supervisor, an_identity

JOB_FIELDS = (
    "id type payload status priority attempt maxAttempts crashes processInstanceId pid createdAt runAt"
    " startedAt completedAt cancelRequestedAt progress result errorMessage failureKind exitCode signal"
).split()


def an_attempt(**other: Any) -> Attempt:
    values: dict[str, Any] = {
        "job_id": "10b",
        "number": 2,
        "owner": "5f0c",
        "child": an_identity(pid=77),
        "started_at": NOW,
        "ended_at": None,
        "status": None,
        "failure_kind": None,
        "exit_code": None,
        "signal": None,
        "error_message": None,
        "traceback": None,
        "termination": None,
        "user_seconds": None,
        "system_seconds": None,
        "max_rss_bytes": None,
        "peak_bytes": None,
        "isolation": None,
    }
    return Attempt(**values | other)


@pytest.mark.parametrize(
    "milliseconds, text",
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_768_910_400_123, "2026-01-20T12:00:00.123Z"),
        (1_768_910_400_007, "2026-01-20T12:00:00.007Z"),
        (1_768_910_400_999, "2026-01-20T12:00:00.999Z"),
        (2**31 * 1000, "2038-01-19T03:14:08.000Z"),
        (2**32 * 1000, "2106-02-07T06:28:16.000Z"),
    ],
)
def test_times_are_utc_with_all_their_milliseconds(milliseconds: int, text: str) -> None:
    assert representation.time(milliseconds) == text


def test_a_job_has_every_field_of_the_interface_even_where_nothing_is_known() -> None:
    document = representation.job(a_job())
    assert list(document) == JOB_FIELDS
    assert document["progress"] == {"fraction": None, "message": None}
    assert document["result"] is document["failureKind"] is document["processInstanceId"] is None


@pytest.mark.parametrize(
    "stored, payload", [('"a string"', "a string"), ("null", None), ('{"a":1}', {"a": 1})]
)
def test_payload_and_result_are_json_and_not_text_about_json(stored: str, payload: Any) -> None:
    document = representation.job(a_job(payload=stored, result=stored))
    assert document["payload"] == document["result"] == payload


def test_words_are_plain_text() -> None:
    document = representation.job(a_job(status=JobStatus.FAILED, failure_kind=FailureKind.OWNER_DIED))
    assert (type(document["status"]), document["failureKind"]) == (str, "owner_died")
    assert type(document["failureKind"]) is str


def test_an_attempt_has_its_usage_and_how_it_was_ended() -> None:
    how = {"reason": "cancel", "signals": [], "seconds": 0.1, "killed": 0}
    document = representation.attempt(
        an_attempt(termination=how, user_seconds=1.5, status=JobStatus.CANCELLED)
    )
    assert (document["number"], document["pid"], document["status"]) == (2, 77, "Cancelled")
    assert document["usage"] == {
        "userSeconds": 1.5,
        "systemSeconds": None,
        "maxRssBytes": None,
        "peakBytes": None,
    }
    assert document["termination"] == how


def test_a_page_says_where_it_stands() -> None:
    document = representation.page(Page((a_job(),), 2, 20, 21, 2))
    assert {**document, "items": len(document["items"])} == {
        "items": 1,
        "page": 2,
        "pageSize": 20,
        "totalCount": 21,
        "totalPages": 2,
    }


def test_a_cancellation_is_the_job_and_the_answer() -> None:
    document = representation.cancellation(Cancellation(CancelAnswer.REQUESTED, a_job()))
    assert [*document] == [*JOB_FIELDS, "answer", "termination"]
    assert document["answer"] == "requested"


def test_a_supervisor_is_named_by_its_process_instance_id() -> None:
    document = representation.supervisor(
        Life(a_supervisor(uuid="u", identity=an_identity(pid=9)), alive=None)
    )
    assert (document["processInstanceId"], document["pid"], document["alive"]) == ("u", 9, None)


def test_the_summary_counts_every_status_and_all_together() -> None:
    assert representation.summary({JobStatus.PENDING: 2, JobStatus.IN_PROGRESS: 1}) == {
        "pending": 2,
        "inProgress": 1,
        "completed": 0,
        "failed": 0,
        "cancelled": 0,
        "total": 3,
    }


def test_slots_follow_the_file_and_types_without_one_come_last() -> None:
    slots = slots_of({"B": 3, "A": 1}, {"B": 2, "Old": 1}, {"A": 5})
    assert [representation.slots(each) for each in slots] == [
        {"jobType": "B", "maxConcurrency": 3, "inUse": 2, "available": 1, "waiting": 0},
        {"jobType": "A", "maxConcurrency": 1, "inUse": 0, "available": 1, "waiting": 5},
        {"jobType": "Old", "maxConcurrency": None, "inUse": 1, "available": None, "waiting": 0},
    ]


def test_a_limit_lowered_below_what_runs_leaves_nothing_available_and_never_less() -> None:
    assert slots_of({"A": 1}, {"A": 3}, {})[0].available == 0


def test_a_job_type_is_in_camel_case_but_its_options_are_the_users_own() -> None:
    options = MappingProxyType({"some_key": 1})
    document = representation.job_type(JobType(name="A", handler="a:b", max_concurrency=2, options=options))
    assert (document["maxConcurrency"], document["options"]) == (2, {"some_key": 1})
    assert document["retries"]["maxAttempts"] == 1
