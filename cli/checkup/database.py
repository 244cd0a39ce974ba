"""The database: whether it is whole, and whether this version can use it."""

from collections.abc import Iterator

from cli.checkup.finding import Finding, failure, ok, warning
from cli.wording import size
from supervisor.store.examining import Age, Content, Examined, State

_RESTORE = (
    "Stop the service, keep a copy of the files as they are, and restore a backup:"
    " docs/operations.md, Back up and restore."
)


def judge(seen: Examined) -> Iterator[Finding]:
    path = seen.path
    if seen.state is State.MISSING:
        yield ok("database", f"{path} does not exist; the first start makes it")
    elif seen.state is State.EMPTY:
        yield ok("database", f"{path} is empty; the first start fills it")
    elif seen.state is State.UNSETTLED:
        yield warning(
            "database",
            f"{path}: its first migration was interrupted, or its journal mode was changed",
            "Start the service: it settles this.",
        )
    elif seen.state is State.LOCKED:
        yield failure(
            "database",
            f"{path} could not be read in ten seconds: {seen.problem}",
            "Look for who has it open, another program or a backup tool: fuser -v FILE.",
        )
    elif seen.state is State.DAMAGED:
        yield failure("database", f"{path} is damaged: {seen.problem}", _RESTORE)
    elif seen.state is State.UNUSABLE:
        yield failure("database", seen.problem, "Name the right file with --database, or correct its mode.")
    elif seen.content is not None:
        yield ok("database", f"{path} is whole: {_inventory(seen, seen.content)}")
        yield _schema(seen.content)


def _inventory(seen: Examined, content: Content) -> str:
    rows = content.census.rows
    return f"{rows['jobs']} jobs, {rows['attempts']} attempts, {size(seen.path.stat().st_size)}"


def _schema(content: Content) -> Finding:
    schema = content.census.schema
    if content.age is Age.NEWER:
        return failure(
            "schema",
            f"schema {schema} was made by a newer AsyncWorker",
            "Install that version again, or restore a backup from before.",
        )
    if content.age is Age.OLDER:
        return ok("schema", f"schema {schema} is older; the next start migrates it: make a backup before")
    return ok("schema", f"schema {schema}, the newest")
