"""Keepers that die or are given up, and children that are asked of them, with a scripted clock and keeper."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from supervisor.jobtypes.records import JobType
from supervisor.store import jobs
from tests.support.scripted import HELD, Scripted, ScriptedKeeper, scripted


@pytest.fixture
def it(tmp_path: Path) -> Iterator[Scripted]:
    with scripted(tmp_path, JobType(name="Mail", handler="a:b", max_concurrency=1000)) as one:
        yield one


def die(keeper: ScriptedKeeper) -> None:
    keeper.lost = True


def never_get_ready(it: Scripted) -> None:
    """The keeper preloads for longer than it may and is killed, and the next one starts."""
    it.tick(91)
    die(it.keeper)
    it.tick(1)
    it.tick(1)


def test_after_two_keepers_that_preloaded_for_too_long_nothing_is_preloaded(it: Scripted) -> None:
    it.tick()
    never_get_ready(it)
    assert it.keeper.of("preload") == [{"op": "preload", "targets": ["a:b"]}]
    never_get_ready(it)
    assert it.keeper.of("preload") == [{"op": "preload", "targets": []}]


def test_keepers_that_die_soon_after_a_long_preload_die_in_a_row(it: Scripted) -> None:
    it.tick()
    for _ in range(2):
        it.tick(60)
        it.keeper.said(op="ready", pid=1, preloaded=["a:b"], refused={}, **HELD)
        it.tick(1)
        die(it.keeper)
        it.tick(1)
        it.tick(1)
    assert len(it.keepers) == 3
    assert it.keeper.of("preload") == [{"op": "preload", "targets": []}]


def test_a_keeper_that_has_served_for_a_while_does_not_die_in_a_row(it: Scripted) -> None:
    for _ in range(3):
        it.get_ready()
        it.tick(10)
        die(it.keeper)
        it.tick(1)
        it.tick(1)
    assert len(it.keepers) == 4
    assert it.keeper.of("preload") == [{"op": "preload", "targets": ["a:b"]}]


def test_that_a_keeper_is_slow_is_said_once(it: Scripted) -> None:
    it.tick()
    for _ in range(2):
        never_get_ready(it)
    assert it.log.getvalue().count("keeper_slow") == 2


def test_children_are_asked_for_as_fast_as_they_come_and_not_all_at_once(it: Scripted) -> None:
    it.get_ready()
    with it.store.write() as tx:
        for number in range(100):
            jobs.insert(
                tx,
                id=f"job-{number}",
                type="Mail",
                payload="1",
                priority=0,
                max_attempts=1,
                created_at=1,
            )
    it.tick()
    assert len(it.s.children.starting()) == 32
    first = it.s.children.starting()[0]
    it.keeper.said(op="started", child=first.number, pid=500 + first.number, ticks=7, inode=None)
    it.tick(0)
    assert len(it.s.children.starting()) == 32
    for _ in range(5):
        it.keeper.said(op="pong")
        it.start_children()
    assert len(it.keeper.of("assign")) == 100
    assert len(it.s.children.idle()) + len(it.s.children.starting()) == it.s.settings.spares
