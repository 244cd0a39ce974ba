"""Every promise that a history breaks, one sentence each. Pure: no clock, no process, no database."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from supervisor.lifecycle import ENDED, NEXT, OWNER_DEATHS, JobStatus
from tests.torture.history import OF_OTHERS, History, Row, Told, token_of

ENDED_BY_SUPERVISOR = ("stopped", "lost")
MISTAKEN = (2, 4)
"""Exit codes with which a service may refuse to start: its configuration, its database."""


def violations(h: History) -> list[str]:
    """Nothing, where all is well."""
    found = [*_accounted(h), *_slots_by_record(h), *_slots_by_notes(h), *_slots_seen(h), *_lives(h)]
    found += [f"{each} is alive, and nothing should be" for each in h.alive]
    found += [f"{note} is of no job on record" for note in h.notes if note["job"] not in h.jobs]
    for job in h.jobs.values():
        found += [f"{job['id']} ({job['type']}, {job['status']}): {what}" for what in _of_job(h, job)]
    return found


def unended(h: History) -> list[str]:
    """Where everything was given the time to end."""
    return [
        f"{job['id']} ({job['type']}) is still {job['status']}: {job}"
        for job in h.jobs.values()
        if job["status"] not in ENDED
    ]


def _of_job(h: History, job: Row) -> Iterator[str]:
    for judge in (_executions, _silence, _attempts, _last, _edges, _budgets, _outcomes, _answers, _cancels):
        yield from judge(h, job)


# P1: whatever was acknowledged is there, once, and nothing else is.


def _accounted(h: History) -> Iterator[str]:
    for name in h.acknowledged:
        if name not in h.jobs:
            yield f"{name} was acknowledged and is lost"
    asked: dict[str, list[Told]] = defaultdict(list)
    for told in h.told:
        if told.verb == "submit" and told.token is not None:
            asked[told.token].append(told)
    there: dict[str, list[str]] = defaultdict(list)
    for job in h.jobs.values() if h.told else ():
        token = token_of(job)
        if token is None or token not in asked:
            yield f"{job['id']} was never asked for"
        else:
            there[token].append(job["id"])
    for token, submits in asked.items():
        yield from _of_submit(token, submits, there[token])


def _of_submit(token: str, submits: list[Told], jobs: list[str]) -> Iterator[str]:
    answers = {told.job for told in submits if told.answer == "done"}
    for lost in answers - {*jobs}:
        yield f"{lost} was acknowledged (token {token}) and is lost"
    if len(jobs) > 1:
        yield f"one submit (token {token}) gave {len(jobs)} jobs: {jobs}"
    if jobs and not any(told.may_be_done for told in submits):
        yield f"{jobs} is there, and its submit (token {token}) was refused"


# P2, P5, P9: who ran is on record, and an attempt runs once, after the one before.


def _executions(h: History, job: Row) -> Iterator[str]:
    executions = h.executions(job["id"])
    numbers = [note["attempt"] for note in executions]
    if len(numbers) > 1 and not h.began_again(job["id"]):
        yield f"it began {len(numbers)} times: {executions}"
    if numbers != sorted(set(numbers)):
        yield f"it began more than once in one attempt, or in a wrong order: {executions}"
    words = [note["attempt"] for note in h.notes_of.get(job["id"], [])]
    if words != sorted(words):
        yield f"an attempt was still at work when the next had begun: {words}"
    attempts = {row["number"]: row for row in h.attempts.get(job["id"], [])}
    for note in h.notes_of.get(job["id"], []):
        row = attempts.get(note["attempt"])
        if row is None:
            yield f"it ran without a record: {note}"
        elif note["event"] not in OF_OTHERS and _who(row, "start_ticks") != _who(note, "ticks"):
            yield f"another process than the one on record ran it: {note}, {row}"
        elif row["status"] == "Pending":
            yield f"an attempt that was given back had begun: {note}"
        elif note.get("seen", row["number"]) != row["number"]:
            yield f"when it began there was no record of that: {note}"


def _who(row: Row, ticks: str) -> tuple[int, int]:
    return row["pid"], row[ticks]


# P3, P6: an attempt that has ended on record has ended in fact, and all that it started.


def _silence(h: History, job: Row) -> Iterator[str]:
    ended = {row["number"]: row["ended_at"] for row in h.attempts.get(job["id"], [])}
    for note in h.notes_of.get(job["id"], []):
        end = ended.get(note["attempt"])
        if end is not None and note.get("wall", end) > end:
            yield f"it, or what it left, was alive {note['wall'] - end} ms after its end on record: {note}"
    notes = h.notes_of.get(job["id"], [])
    for told in h.told_of.get(job["id"], []):
        if told.status in ENDED and told.attempt is not None:
            late = [note for note in notes if note["attempt"] <= told.attempt and note["at"] > told.ended]
            if late:
                yield f"a client was told that it had ended, and it was alive: {told}, {late[0]}"


# P5: attempts follow one another, and the last says what the job says.


def _attempts(h: History, job: Row) -> Iterator[str]:
    attempts = h.attempts.get(job["id"], [])
    if [row["number"] for row in attempts] != list(range(1, job["attempt"] + 1)):
        yield f"its attempts are {[row['number'] for row in attempts]}, and it says {job['attempt']}"
    again: tuple[str, ...] = ("Failed",) if h.began_again(job["id"]) else ()
    for row, following in pairwise(attempts):
        if row["status"] not in ("Pending", *again, *(ENDED if h.was_retried(job["id"]) else ())):
            yield f"it went on after an attempt that was {row['status']}"
        if row["ended_at"] is None or row["ended_at"] > following["started_at"]:
            yield f"an attempt began before the one before had ended: {row}, {following}"
    for row in attempts:
        if h.supervisors and row["owner"] not in h.supervisors:
            yield f"its owner is not on record: {row}"
    if job["attempt"] > job["max_attempts"]:
        yield f"it has had {job['attempt']} attempts of {job['max_attempts']}"


def _last(h: History, job: Row) -> Iterator[str]:
    attempts = h.attempts.get(job["id"], [])
    if not attempts:
        if job["status"] not in ("Pending", "Cancelled"):
            yield "it has no attempt"
        return
    last = attempts[-1]
    same = ("status", "failure_kind", "exit_code", "signal", "error_message")
    given_back = last["status"] == "Pending"
    waits = last["status"] == "Failed" and h.began_again(job["id"])  # for its next attempt, or did
    asked_again = h.was_retried(job["id"]) and last["status"] in ENDED
    if job["status"] == "InProgress":
        if (job["owner"], job["pid"], None) != (last["owner"], last["pid"], last["ended_at"]):
            yield f"its attempt has ended, or is another's: {last}"
    elif (waits or asked_again) and job["status"] in ("Pending", "Cancelled"):
        pass  # the attempt is over, and the job was to have another
    elif not given_back and any(job[name] != last[name] for name in same):
        yield f"its last attempt says otherwise: {last}"
    elif given_back and job["status"] not in ("Pending", "Cancelled"):
        yield "its last attempt was given back"


# P5: statuses change along the edges only, and each attempt ends once.


def _edges(h: History, job: Row) -> Iterator[str]:
    changes = h.changes_of.get(job["id"], [])
    if not changes:
        return
    first, last = changes[0], changes[-1]
    if h.told and (first["status"], first["attempt"]) != ("Pending", 0):
        yield f"its first status was {first['status']}, in attempt {first['attempt']}"
    if (last["status"], last["attempt"]) != (job["status"], job["attempt"]):
        yield f"its last change says {last['status']}, attempt {last['attempt']}"
    ends: Counter[int] = Counter()
    revived = 0
    for old, new in pairwise(changes):
        before, after = JobStatus(old["status"]), JobStatus(new["status"])
        if before is not after and after not in NEXT[before]:
            yield f"there is no edge from {before} to {after}"
        claimed = before is JobStatus.PENDING and after is JobStatus.IN_PROGRESS
        if new["attempt"] != old["attempt"] + claimed:
            yield f"from {before} to {after} its attempt went from {old['attempt']} to {new['attempt']}"
        ends[old["attempt"]] += before is JobStatus.IN_PROGRESS and after is not before
        revived += before in ENDED and after is JobStatus.PENDING
    yield from (f"attempt {number} ended {times} times" for number, times in ends.items() if times > 1)
    if h.told and revived > len(h.retries(job["id"])):
        yield f"it came back from its end {revived} times: {h.retries(job['id'])}"


# P9: no more attempts than its type pays for.


def _budgets(h: History, job: Row) -> Iterator[str]:
    budget = h.rules_of(job).budget
    attempts = h.attempts.get(job["id"], [])
    if budget is None or h.was_retried(job["id"]):
        return
    deaths = [row for row in attempts if row["failure_kind"] in OWNER_DEATHS]
    crashes = [row for row in attempts if row["failure_kind"] in ("signalled", "out_of_memory")]
    counted = [row for row in attempts if row["status"] == "Failed" and row not in deaths]
    free = [row for row in attempts if row in deaths or row["status"] == "Pending"]
    if job["status"] == "Failed" and free and free[-1] is attempts[-1]:
        free.pop()  # that death was its end
    if len(counted) > budget.attempts:
        yield f"{len(counted)} of its attempts failed by their own doing, of {budget.attempts}"
    if len(crashes) > budget.crashes or job["crashes"] > budget.crashes:
        yield f"it has crashed {len(crashes)} times, {job['crashes']} by its own count, of {budget.crashes}"
    if not budget.survives_owner and any(row in deaths for row in attempts[:-1]):
        yield f"it went on after the death of its owner: {deaths}"
    if job["max_attempts"] - budget.attempts != len(free):
        yield f"max_attempts is {job['max_attempts']}; {len(free)} attempts of it did not count: {attempts}"


# The record says what happened.


def _outcomes(h: History, job: Row) -> Iterator[str]:
    if job["status"] == "Completed" and not h.wrote(job["id"], "end"):
        yield "its handler did not come to its end"
    if job["status"] == "Cancelled" and job["cancel_requested_at"] is None:
        yield "nobody asked for that"
    own = h.may_end.get(token_of(job) or "")
    if own is None:
        return
    for row in h.attempts.get(job["id"], []):
        if row["status"] in ("Completed", "Failed"):
            what = row["failure_kind"] or row["status"]
            if what not in own and what not in OWNER_DEATHS:
                yield f"attempt {row['number']} is {what}, and could only be {sorted(own)}: {row}"
    expected = f'"{token_of(job)}.{job["attempt"]}"'
    if job["status"] == "Completed" and h.rules_of(job).returns and job["result"] != expected:
        yield f"its result is not its own: {job['result']}"


# P5, P6: what clients were told is true.


def _answers(h: History, job: Row) -> Iterator[str]:
    were = {(change["status"], change["attempt"]) for change in h.changes_of.get(job["id"], [])}
    for told in h.told_of.get(job["id"], []):
        if told.status is not None and were and (told.status, told.attempt) not in were:
            yield f"a client was told what it never was: {told}"


def _cancels(h: History, job: Row) -> Iterator[str]:
    cancels = [told for told in h.told_of.get(job["id"], []) if told.verb == "cancel"]
    if h.told and job["status"] == "Cancelled" and not any(told.may_be_done for told in cancels):
        yield "no client has asked for its end"
    for told in cancels:
        if told.answer != "done" or told.said == "already_ended" or told.attempt is None:
            continue
        revived = any(retry.ended > told.began for retry in h.retries(job["id"]))
        if job["attempt"] > told.attempt and not revived and job["id"] not in h.by_hand:
            yield f"it went on after a cancel: {told}, {h.attempts.get(job['id'], [])[told.attempt :]}"
        if job["status"] not in ENDED and not revived:
            yield f"its cancel has not come about: {told}"


# P4: slots.


def _slots_by_record(h: History) -> Iterator[str]:
    """In the order of the commits: exact."""
    running: dict[str, set[int]] = defaultdict(set)
    most: Counter[str] = Counter()
    for change in h.changes:
        job = h.job_of.get(change["job_seq"])
        if job is not None:
            if change["status"] == "InProgress":
                running[job["type"]].add(change["job_seq"])
            else:
                running[job["type"]].discard(change["job_seq"])
            most[job["type"]] = max(most[job["type"]], len(running[job["type"]]))
    yield from _over(h, most, "on record at once")


def _slots_by_notes(h: History) -> Iterator[str]:
    """By the clock that all processes share: between its first note and its last an attempt was alive."""
    spans: dict[tuple[str, int], list[float]] = defaultdict(list)
    for note in h.notes:
        if note["job"] in h.jobs:
            spans[note["job"], note["attempt"]].append(note["at"])
    edges = [
        edge
        for (job, _), times in spans.items()
        if min(times) < max(times)
        for kind in [h.jobs[job]["type"]]
        for edge in ((min(times), 1, kind), (max(times), 0, kind))
    ]
    alive: Counter[str] = Counter()
    most: Counter[str] = Counter()
    for _, begins, kind in sorted(edges):
        alive[kind] += 1 if begins else -1
        most[kind] = max(most[kind], alive[kind])
    yield from _over(h, most, "at work at once")


def _slots_seen(h: History) -> Iterator[str]:
    yield from _over(h, Counter(h.together), "seen at once")


def _over(h: History, most: Counter[str], how: str) -> Iterator[str]:
    for kind, number in most.items():
        limit = h.rules[kind].limit if kind in h.rules else None
        if limit is not None and number > limit:
            yield f"{number} {kind} {how}, of {limit}"


# P8: a supervisor ends because it is told to, or refuses to begin.


def _lives(h: History) -> Iterator[str]:
    for life in h.lives:
        if not life.asked and (life.was_ready or life.code not in MISTAKEN):
            yield f"supervisor {life.uuid} ended by itself, with {life.code}: {life.last_words}"
        elif life.last_words:
            yield f"supervisor {life.uuid} or a process of its wrote a traceback: {life.last_words}"
        row = h.supervisors.get(life.uuid)
        if row is not None and (row["state"] in ENDED_BY_SUPERVISOR) == (life.code is None):
            yield f"supervisor {life.uuid} is {row['state']} on record, and its exit code is {life.code}"
