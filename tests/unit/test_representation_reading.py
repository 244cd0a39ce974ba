"""What representation writes, reading reads: nothing that a job or an attempt knows is lost on the way."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor import reading, representation
from supervisor.answers import Cancellation, Life, Overview, Page, Slots
from supervisor.lifecycle import FailureKind, Isolation, JobStatus
from supervisor.payload import compact
from supervisor.store.records import Attempt, CancelAnswer, Job, ProcessIdentity, Supervisor
from tests.support.builders import a_job

words = st.text(st.characters(codec="utf-8"), max_size=20)
times = st.integers(0, 253_402_300_799_999)  # to the end of the year 9999
numbers = st.integers(-(2**63), 2**63 - 1)
fractions = st.floats(0, 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | finite | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)
texts = json_values.map(compact)


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


identities = st.builds(ProcessIdentity, numbers, numbers, maybe(numbers))
running = st.builds(
    Job,
    seq=st.integers(1),
    id=words,
    type=words,
    payload=texts,
    status=st.sampled_from(JobStatus),
    priority=numbers,
    attempt=numbers,
    max_attempts=numbers,
    crashes=numbers,
    run_at=maybe(times),
    owner=maybe(words),
    pid=maybe(numbers),
    created_at=times,
    started_at=maybe(times),
    completed_at=maybe(times),
    cancel_requested_at=maybe(times),
    progress_fraction=maybe(fractions),
    progress_message=maybe(words),
    result=st.none(),
    error_message=maybe(words),
    failure_kind=maybe(st.sampled_from(FailureKind)),
    exit_code=maybe(numbers),
    signal=maybe(numbers),
)
jobs = st.builds(
    lambda job, text: replace(job, result=text if job.status is JobStatus.COMPLETED else None), running, texts
)
attempts = st.builds(
    Attempt,
    job_id=words,
    number=numbers,
    owner=words,
    child=identities,
    started_at=times,
    ended_at=maybe(times),
    status=maybe(st.sampled_from(JobStatus)),
    failure_kind=maybe(st.sampled_from(FailureKind)),
    exit_code=maybe(numbers),
    signal=maybe(numbers),
    error_message=maybe(words),
    traceback=maybe(words),
    termination=maybe(st.dictionaries(words, json_values, max_size=3)),
    user_seconds=maybe(st.floats(0, 1e9)),
    system_seconds=maybe(st.floats(0, 1e9)),
    max_rss_bytes=maybe(numbers),
    peak_bytes=maybe(numbers),
    isolation=maybe(st.sampled_from(Isolation)),
)
lives = st.builds(
    Life,
    st.builds(
        Supervisor,
        *(words, words, words, numbers, identities, words, words, times, times, maybe(times)),
        maybe(st.sampled_from(Isolation)),
    ),
    maybe(st.booleans()),
)
slots = st.builds(Slots, words, maybe(numbers), numbers, maybe(numbers), numbers)
counts = st.fixed_dictionaries({status: st.integers(0, 2**62) for status in JobStatus})


def sent(document: Any) -> Any:
    """As it arrives."""
    return json.loads(json.dumps(document))


@given(jobs)
def test_a_job_comes_back_as_it_was_but_for_its_order(job: Job) -> None:
    back = reading.job(sent(representation.job(job)))
    assert back == job
    assert back.seq == reading.NO_SEQ


@given(attempts)
def test_an_attempt_comes_back_as_it_was(attempt: Attempt) -> None:
    assert reading.attempt(sent(representation.attempt(attempt)), attempt.job_id) == attempt


@given(st.lists(jobs, max_size=3), st.tuples(numbers, numbers, numbers, numbers))
def test_a_page_comes_back_as_it_was(items: list[Job], where: tuple[int, int, int, int]) -> None:
    page = Page(tuple(items), *where)
    assert reading.page(sent(representation.page(page))) == page


@given(jobs, st.sampled_from(CancelAnswer))
def test_a_cancellation_comes_back_as_it_was(job: Job, answer: CancelAnswer) -> None:
    cancellation = Cancellation(answer, job)
    assert reading.cancellation(sent(representation.cancellation(cancellation))) == cancellation


@given(st.lists(lives, max_size=2), st.lists(slots, max_size=2), counts, maybe(words), st.lists(words))
def test_an_overview_comes_back_as_it_was(
    supervisors: list[Life],
    limits: list[Slots],
    number: dict[JobStatus, int],
    problem: str | None,
    unkillable: list[str],
) -> None:
    overview = Overview(tuple(supervisors), tuple(limits), number, problem, tuple(unkillable))
    assert reading.overview(sent(representation.overview(overview))) == overview


def test_a_job_that_completed_without_a_result_has_null() -> None:
    job = a_job(status=JobStatus.COMPLETED, result=None)
    assert reading.job(representation.job(job)).result == "null"


@given(json_values)
def test_what_is_no_representation_is_one_of_three_errors(document: Any) -> None:
    for read in (reading.job, reading.page, reading.supervisor, reading.overview, reading.summary):
        with pytest.raises((LookupError, TypeError, ValueError)):
            read(document)
