"""What docs/isolation.md says that a job can and cannot do, tried by hostile jobs at each level."""

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from supervisor.lifecycle import FailureKind, Isolation
from tests.escapes import attempts
from tests.escapes.ground import OTHER, Ground
from tests.support.eventually import eventually
from tests.support.processes import gone
from tests.tree import ROOT
from workers.confinement import Confinement
from workers.trees import left_by, tree_of

LEVELS = ("ordinary", "root", "run_as", "sandbox", "landlock")
KEYS: dict[str, dict[str, Any]] = {
    "network: false": {"network": False},
    "private_tmp": {"private_tmp": 2**20},
    "read_only: true": {"read_only": True},
}
"""What a cell of the table may name."""
AT_LEAST = {"writable": ["/var/tmp"]}
"""A sandbox for which nothing else is asked."""
SIX_KINDS = 7
"""Processes that `descend` starts and that stay who they are: seven, of six kinds."""
DEADLY = {"kill_everything"}
"""Never tried where nothing is said to stop it."""
NEEDED = {
    "open_a_disk": "disk",
    "take_a_key_of_the_service": "key",
    "reach_the_host_of_the_virtual_machine": "vsock",
    "make_sockets_past_the_filter": "io_uring",
    "connect_to_a_socket_of_the_host": "run_socket",
    "move_to_another_control_group": "control_group",
}
"""What not every host has."""


def table() -> dict[str, dict[str, str]]:
    page = (ROOT / "docs" / "isolation.md").read_text()
    text = page.partition("## What each level stops\n")[2].partition("\n## ")[0]
    found = re.findall(r"^\| `(\w+)` \|[^|]*\|" + r"([^|]*)\|" * len(LEVELS) + r"$", text, re.MULTILINE)
    return {
        name: dict(zip(LEVELS, (cell.strip(" `") for cell in cells), strict=True)) for name, *cells in found
    }


TABLE = table()


def test_every_attempt_has_its_row() -> None:
    tried = {
        name
        for name, value in vars(attempts).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", "") == attempts.__name__
    }
    assert TABLE.keys() == tried - {"try_all", "stay", "descend", "any_of", "Facts"}
    assert {cell for row in TABLE.values() for cell in row.values()} == {"●", "○", "-", *KEYS}


def confinement(ground: Ground, level: str, **keys: Any) -> Confinement:
    user = str(OTHER) if level == "run_as" else None
    return Confinement(user=user, group=user, hidden=ground.hidden, **keys)


@cache
def answers(ground: Ground, level: str, key: str) -> dict[str, str]:
    """How all attempts came out, by one job at this level, with a sibling at the same one."""
    keys = KEYS.get(key, AT_LEAST) if level in ("sandbox", "landlock") else {}
    what = confinement(ground, level, **keys)
    sibling = ground.run("stay", "null", what)
    sibling.says("here\n")
    facts = ground.facts | {"sibling": _pid_of_the_job(sibling.who.pid)}
    names = [name for name in TABLE if name not in DEADLY or TABLE[name][level] == "●"]
    job = ground.run("try_all", json.dumps({"facts": facts, "names": names}), what)
    said: dict[str, str] = job.ended().value
    assert sibling.who.is_running()
    sibling.terminate()
    sibling.ended()
    return said


def _pid_of_the_job(child: int) -> int:
    """The deepest of the processes that a child consists of: stand-in, init, job."""
    below = Path(f"/proc/{child}/task/{child}/children").read_text().split()
    return _pid_of_the_job(int(below[0])) if below else child


def grounds() -> list[tuple[str, str]]:
    both = [("sandbox", "of_root"), ("sandbox", "of_ordinary")]
    plain = [("ordinary", "of_ordinary"), ("root", "of_root"), ("run_as", "of_root")]
    return [*plain, *both, ("landlock", "of_ordinary_without_namespaces")]


CASES = [
    pytest.param(level, whose, name, TABLE[name][level], id=f"{name}-{level}-{whose}")
    for level, whose in grounds()
    for name in TABLE
    if TABLE[name][level] != "-"
]


@pytest.mark.parametrize("level,whose,name,cell", CASES)
def test_it_comes_out_as_the_table_says(
    level: str, whose: str, name: str, cell: str, request: pytest.FixtureRequest
) -> None:
    ground: Ground = request.getfixturevalue(whose)
    if name in NEEDED and not ground.facts[NEEDED[name]]:
        pytest.skip(f"here is nothing to try it on: {NEEDED[name]}")
    said = answers(ground, level, cell if cell in KEYS else "")[name]
    assert said.startswith("got through" if cell == "○" else "stopped"), said


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if row["sandbox"] in KEYS])
def test_without_the_key_that_the_table_names_it_gets_through(of_ordinary: Ground, name: str) -> None:
    if name in NEEDED and not of_ordinary.facts[NEEDED[name]]:
        pytest.skip(f"here is nothing to try it on: {NEEDED[name]}")
    assert answers(of_ordinary, "sandbox", "")[name] == "got through"


@pytest.mark.parametrize("returns", [True, False], ids=["returns", "is killed"])
@pytest.mark.parametrize("level,whose", grounds())
def test_no_descendant_outlives_its_job(
    level: str, whose: str, request: pytest.FixtureRequest, *, returns: bool
) -> None:
    ground: Ground = request.getfixturevalue(whose)
    keys = AT_LEAST if level in ("sandbox", "landlock") else {}
    before = set(left_by(ground.keeper.owner, []))
    job = ground.run("descend", "null", confinement(ground, level, **keys))
    job.says("here\n")
    there = list(tree_of(job.who))
    assert len(there) > SIX_KINDS
    if returns:
        (job.directory / "go").touch()
    else:
        job.terminate()
    ended = job.ended()
    assert gone(*there)
    # What removes its folder ends soon; what the job left would not.
    eventually(lambda: set(left_by(ground.keeper.owner, [])) <= before)
    # With a PID namespace the kernel kills what is in it, and counts nothing.
    assert (ended.outcome.termination or {})["killed"] > (SIX_KINDS if returns else 0)


def test_a_set_uid_program_makes_root_of_a_job_that_may_gain_privileges(of_root: Ground) -> None:
    """So that the attempt is known to be one."""
    what = Confinement(user=str(OTHER), group=str(OTHER), hidden=of_root.hidden, no_new_privileges=False)
    names = ["become_root_by_a_set_uid_program"]
    job = of_root.run("try_all", json.dumps({"facts": of_root.facts, "names": names}), what)
    assert job.ended().value == {names[0]: "got through"}


@pytest.mark.parametrize("whose", ["of_root", "of_ordinary"])
def test_whoever_kills_everything_in_a_sandbox_hits_nobody_else(
    whose: str, request: pytest.FixtureRequest
) -> None:
    ground: Ground = request.getfixturevalue(whose)
    assert answers(ground, "sandbox", "")["kill_everything"] == "stopped: AssertionError: only its own"
    for pid in ground.facts["service"]:
        os.kill(pid, 0)


@pytest.mark.parametrize(
    "keys,why",
    [
        ({"private_tmp": True}, "and without namespaces there is no private /tmp"),
        ({"network": False, "no_new_privileges": False}, "no_new_privileges cannot be switched off"),
    ],
)
def test_what_landlock_cannot_do_is_a_job_that_is_not_started(
    of_ordinary_without_namespaces: Ground, keys: dict[str, Any], why: str
) -> None:
    job = of_ordinary_without_namespaces.run("stay", "null", Confinement(**keys))
    outcome = job.ended().outcome
    assert outcome.failure_kind is FailureKind.NOT_STARTED
    assert "a user and PID namespace of its own is refused: No space left on device" in (
        outcome.error_message or ""
    )
    assert why in (outcome.error_message or "")


@pytest.mark.parametrize(
    "whose, alone",
    [("of_root", True), ("of_ordinary", True), ("of_ordinary_without_namespaces", False)],
)
def test_what_holds_its_processes_is_on_record(
    whose: str, request: pytest.FixtureRequest, *, alone: bool
) -> None:
    ground: Ground = request.getfixturevalue(whose)
    what = Confinement(network=False, read_only=True, hidden=ground.hidden)
    confined = ground.run("stay", "null", what)
    confined.says("here")
    confined.terminate(grace=0)
    assert (confined.ended().outcome.isolation is Isolation.NAMESPACE) == alone
    free = ground.run("stay", "null", Confinement())
    free.says("here")
    free.terminate(grace=0)
    assert free.ended().outcome.isolation in (Isolation.CGROUP, Isolation.TREE)


def test_under_landlock_python_goes_on_working(of_ordinary_without_namespaces: Ground) -> None:
    """Modules imported late, pools of processes, loops, programs, the log by its name."""
    source = """
    import asyncio, multiprocessing, subprocess
    def double(n): return 2 * n
    async def twice(): return await asyncio.to_thread(double, 21)
    def handler(payload, job):
        import sqlite3
        (job.directory / "made").write_text("a")
        open("/dev/stdout", "a").write("by name\\n")
        with multiprocessing.Pool(1) as pool:
            said = subprocess.check_output(["echo", "said"], text=True)
            return [pool.map(double, [21]), asyncio.run(twice()), said, sqlite3.connect("db").total_changes]
    """
    ground, name = of_ordinary_without_namespaces, "late"
    places: dict[str, Any] = {
        "log": f"{ground.facts['state']}/logs/{name}",
        "directory": f"{ground.facts['state']}/work/{name}",
    }
    what = Confinement(network=False, read_only=True, hidden=ground.hidden)
    ended = ground.keeper.run(source, confinement=what, **places).ended()
    assert ended.value == [[42], 42, "said\n", 0]
    assert ended.log.startswith("by name\n")
