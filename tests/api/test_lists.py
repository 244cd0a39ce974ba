"""Pages of jobs: filters, order, counts, and what they cost."""

import re
from collections.abc import Iterator

import pytest
from sqlalchemy import event, text

from supervisor.lifecycle import JobStatus
from supervisor.store import Store, Transaction, changes, listing, open_store, tallies
from supervisor.store.listing import Choice
from tests.api.server import HttpServer
from tests.cli.commandline import Installation, PlayedService

HISTORY = 20_000
FEW_STEPS = 6_000
"""Instructions of SQLite's virtual machine; reading the history takes three for each job at least."""


@pytest.fixture(scope="module")
def known(server: HttpServer, service: PlayedService) -> list[str]:
    """Ids, oldest first: three Pending EmailJobs, a running, a completed and a cancelled ReportJob."""
    emails = [server.submit()["id"] for _ in range(3)]
    reports = [server.submit("ReportJob")["id"] for _ in range(3)]
    for job_id in reports[:2]:
        service.start(job_id)
    service.end(reports[1], JobStatus.COMPLETED, result="[1]")
    server.ask("DELETE", f"/api/jobs/{reports[2]}/cancel")
    return emails + reports


def ids(server: HttpServer, query: str) -> list[str]:
    return [each["id"] for each in server.get(f"/api/jobs{query}").json["items"]]


def test_the_list_is_newest_first_with_its_counts(server: HttpServer, known: list[str]) -> None:
    page = server.get("/api/jobs").json
    assert [each["id"] for each in page["items"]] == known[::-1]
    assert {name: page[name] for name in page if name != "items"} == {
        "page": 1,
        "pageSize": 20,
        "totalCount": 6,
        "totalPages": 1,
    }
    assert page["items"][0] == server.get(f"/api/jobs/{known[-1]}").json


@pytest.mark.parametrize(
    "query, places",
    [
        ("?status=Pending", [2, 1, 0]),
        ("?status=InProgress", [3]),
        ("?status=Completed&type=ReportJob", [4]),
        ("?status=Completed&type=EmailJob", []),
        ("?type=ReportJob", [5, 4, 3]),
        ("?type=NoSuchJob", []),
        ("?status=&type=", [5, 4, 3, 2, 1, 0]),
        ("?status=Failed", []),
        ("?pageSize=4", [5, 4, 3, 2]),
        ("?page=2&pageSize=4", [1, 0]),
        ("?page=3&pageSize=4", []),
        ("?page=2147483647&pageSize=100", []),
    ],
)
def test_filters_and_pages_choose(
    server: HttpServer, known: list[str], query: str, places: list[int]
) -> None:
    assert ids(server, query) == [known[place] for place in places]


def test_the_count_of_a_filter_is_that_of_all_its_pages(server: HttpServer, known: list[str]) -> None:
    page = server.get("/api/jobs?type=EmailJob&pageSize=2&page=2").json
    assert (page["totalCount"], page["totalPages"], len(page["items"])) == (3, 2, 1)


def test_a_job_is_found_by_the_beginning_of_its_id(server: HttpServer, known: list[str]) -> None:
    page = server.get(f"/api/jobs?id={known[0][:13].upper()}&pageSize=2").json
    assert [each["id"] for each in page["items"]] == [known[0]]
    assert page["totalCount"] == 1
    assert ids(server, "?id=ffffffff-ffff") == []


@pytest.mark.parametrize(
    "query, fields",
    [
        ("?page=0", ["page"]),
        ("?page=-1&pageSize=101", ["page", "pageSize"]),
        ("?page=1.0", ["page"]),
        ("?page=", ["page"]),
        ("?page=%D9%A1", ["page"]),
        ("?pageSize=0", ["pageSize"]),
        ("?pageSize=99999999999999999999", ["pageSize"]),
        ("?status=pending", ["status"]),
        ("?status=InProgress&status=Failed", ["status"]),
        ("?stauts=Failed", ["stauts"]),
        ("?id=abc", ["id"]),
        ("?id=%25%25%25%25", ["id"]),
    ],
)
def test_every_wrong_parameter_is_named(server: HttpServer, query: str, fields: list[str]) -> None:
    reply = server.get(f"/api/jobs{query}")
    assert (reply.status, reply.fields) == (400, fields)


def test_jobs_of_a_megabyte_are_listed_without_having_them_in_memory(server: HttpServer) -> None:
    payload = "x" * (2**20 - 2)
    for _ in range(30):
        server.submit("ReportJob", payload)
    before = server.memory()
    reply = server.get("/api/jobs?type=ReportJob&pageSize=30")
    assert [each["payload"] for each in reply.json["items"]] == [payload] * 30
    assert server.memory() - before < 20 * 2**20


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A long history and a few jobs that wait."""
    made = Installation(tmp_path_factory.mktemp("old"))
    made.locations.make_state_dir()
    with open_store(made.locations.database) as store:
        with store.write() as tx:
            tx.execute(
                text(
                    f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {HISTORY})"
                    " INSERT INTO jobs (id, type, payload, status, priority, attempt, max_attempts,"
                    " crashes, owner, pid, created_at, started_at, completed_at)"
                    " SELECT 'old-' || i, iif(i % 2, 'A', 'B'), '{}', 'Completed', 0, 1, 1, 0, 'o', 5, 1, 2,"
                    " 3"
                    " FROM n UNION ALL"
                    " SELECT 'new-' || i, 'A', '{}', 'Pending', 0, 0, 1, 0, NULL, NULL, 1, NULL, NULL"
                    " FROM n WHERE i < 5"
                )
            )
        yield store


CHOICES = {
    "all": Choice(),
    "a status": Choice(JobStatus.COMPLETED),
    "a rare status": Choice(JobStatus.PENDING),
    "a type": Choice(type="A"),
    "both": Choice(JobStatus.COMPLETED, "B"),
    "a beginning": Choice(beginning="new-"),
}


def read(tx: Transaction, choice: Choice) -> None:
    listing.count(tx, choice)
    assert listing.read(tx, [job_id for job_id, _ in listing.page(tx, choice, offset=0, limit=20)])


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_a_front_page_and_its_count_cost_the_same_however_long_the_history_is(
    old: Store, choice: Choice
) -> None:
    assert steps(old, lambda tx: read(tx, choice)) < FEW_STEPS


def test_counts_ages_and_changes_cost_the_same_however_long_the_history_is(old: Store) -> None:
    def use(tx: Transaction) -> None:
        assert sum(sum(each.values()) for each in tallies.counts(tx).values()) == HISTORY + 4
        tallies.tallies(tx)
        tallies.oldest_pending(tx, "A")
        _, newest = changes.kept(tx)
        assert len(changes.after(tx, newest - 10, 500)) == 10

    assert steps(old, use) < FEW_STEPS


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES.keys())
def test_no_statement_of_a_list_sorts_and_none_but_that_of_all_jobs_scans(old: Store, choice: Choice) -> None:
    statements: list[tuple[str, object]] = []

    def hear(_c: object, _k: object, statement: str, parameters: object, *_: object) -> None:
        statements.append((statement, parameters))

    event.listen(old._engine, "before_cursor_execute", hear)
    try:
        with old.read() as tx:
            read(tx, choice)
            steps = [
                step
                for statement, parameters in statements
                for *_, step in tx.connection.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            ]
    finally:
        event.remove(old._engine, "before_cursor_execute", hear)
    scans = [step for step in steps if re.match(r"SCAN jobs|USE TEMP B-TREE", step)]
    allowed = 1 if choice in (Choice(), Choice(beginning="new-")) else 0  # the newest of all; a few, sorted
    assert len(scans) <= allowed, steps


def steps(store: Store, use: object) -> int:
    taken = 0

    def count() -> int:
        nonlocal taken
        taken += 10
        return 0

    with store.read() as tx:
        tx.connection.dbapi_connection.set_progress_handler(count, 10)  # type: ignore[union-attr]
        use(tx)  # type: ignore[operator]
    return taken


@pytest.mark.parametrize(
    "query",
    [
        "&".join(f"{n}=" for n in range(3000)),
        "&".join(["page=1"] * 3000),
        "&".join(["a=1"] * 3000),
        "x" * 30_000,
    ],
    ids=["many names", "one name often", "one unknown name often", "a long name"],
)
def test_a_refusal_of_parameters_does_not_grow_with_what_was_asked(server: HttpServer, query: str) -> None:
    for target in ("/api/jobs", "/api/status"):
        reply = server.get(f"{target}?{query}")
        assert reply.status == 400
        assert 1 <= len(reply.fields) <= 20
        assert len(reply.body) < 10_000
    assert server.get("/api/jobs?page=0&" + "&".join(f"x{n}" for n in range(30))).fields[-1] == "page"
