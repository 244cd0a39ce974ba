"""The supervisors on record: which of them live, and what the dead have left."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.checkup.finding import Finding, failure, ok, warning
from cli.wording import span, when
from supervisor.liveness import Here, is_alive
from supervisor.store.examining import Content
from supervisor.store.records import Supervisor
from workers.identity import state_of

_SILENT = 30_000
"""Milliseconds without a heartbeat; there is one every five seconds."""


@dataclass(frozen=True, slots=True)
class Life:
    """A supervisor that has not ended on record."""

    record: Supervisor
    alive: bool | None
    """None where that cannot be judged from here."""
    stopped: bool = False
    """Whether somebody has stopped it (SIGSTOP)."""


def lives(content: Content, database: Path) -> list[Life]:
    here = Here.current(database)
    found = [(record, is_alive(record, here)) for record in content.living]
    return [
        Life(record, alive, stopped=bool(alive) and state_of(record.identity.pid) in ("T", "t"))
        for record, alive in found
    ]


def cannot_be_told() -> Finding:
    return warning(
        "service",
        "whether one runs cannot be told, because it is the database that tells",
        "See what is said of the database; look with: ps, or systemctl status.",
    )


def judge(found: list[Life], held: Mapping[str, int], now: int, version: str) -> Iterator[Finding]:
    """`held`: jobs InProgress by owner. `version`: of this installation."""
    living = [life for life in found if life.alive]
    for life in found:
        if life.alive:
            yield from _of_the_living(life, now, version)
        elif life.alive is None:
            yield warning(
                "service",
                f"supervisor {life.record.uuid} is in another container and cannot be judged from here",
                "If it is gone for good: docs/operations.md, owner_not_judged.",
            )
    known = {life.record.uuid for life in found if life.alive is not False}
    orphans = sum(number for owner, number in held.items() if owner not in known)
    dead = [life.record for life in found if life.alive is False]
    if dead or orphans:
        yield warning(
            "service",
            f"{_names(dead)} gone without having stopped, and {orphans} jobs InProgress are theirs",
            "The service settles this in a few seconds: look again."
            if living
            else "Start the service: it ends what is left of them and records their outcomes.",
        )
    if not living and not any(life.alive is None for life in found):
        yield warning("service", "no service is running", "Start one: asyncworker serve, or systemctl start.")


def _of_the_living(life: Life, now: int, version: str) -> Iterator[Finding]:
    record = life.record
    name = f"supervisor {record.uuid} (pid {record.identity.pid})"
    silent = now - record.heartbeat_at
    if life.stopped:
        yield failure("service", f"{name} is stopped", f"kill -CONT {record.identity.pid}")
    elif silent > _SILENT:
        yield failure(
            "service",
            f"{name} lives, and its last heartbeat is {span(silent)} old: it hangs, or cannot write",
            "Look at its log; kill -ABRT has it write where it is, and ends it.",
        )
    else:
        yield ok("service", f"{name} is {record.state} since {when(record.started_at)}")
    if record.version != version:
        yield warning(
            "service",
            f"{name} is AsyncWorker {record.version}, and {version} is installed",
            "Restart the service.",
        )


def _names(dead: list[Supervisor]) -> str:
    names = ", ".join(record.uuid for record in dead) or "that nobody remembers"
    return f"supervisor {names} is" if len(dead) == 1 else f"supervisors {names} are"
