"""What `doctor` says of what it has seen: each judgement in both directions, each look at something real."""

import dataclasses
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from cli.checkup import (
    clocks,
    database,
    disk,
    folder,
    holds,
    names,
    room,
    service,
    sockets,
    token,
    types,
    versions,
)
from cli.checkup.finding import CONFIGURATION, SERVICE, Finding, Level
from cli.checkup.sockets import Api, Ear
from supervisor.jobtypes.records import Env, JobType, JobTypes, Limits, RunAs, Sandbox
from supervisor.lifecycle import JobStatus
from supervisor.liveness import Here
from supervisor.settings import Locations
from supervisor.store import looking
from supervisor.store.census import Census
from supervisor.store.examining import Age, Content, Examined, State
from tests.support.builders import NOW, a_supervisor, an_identity
from workers.hierarchies import hierarchies
from workers.identity import Identity

OK, WARNING, FAILURE = Level.OK, Level.WARNING, Level.FAILURE


def levels(findings: Iterable[Finding]) -> list[tuple[str, Level]]:
    """Of each, after checking that what is wrong comes with what to do, and a failure with an exit code."""
    found = [*findings]
    for each in found:
        assert (each.advice is None) == (each.level is OK), each
        assert (each.exit_code in (CONFIGURATION, SERVICE)) == (each.level is FAILURE), each
    return [(each.check, each.level) for each in found]


def of_types(**each: dict[str, Any]) -> JobTypes:
    made = {
        name: JobType(name=name, **{"max_concurrency": 1, "handler": "a:b", **settings})
        for name, settings in each.items()
    }
    return JobTypes((Path("/code"),), MappingProxyType(made), Path("/jobtypes.yaml"))


# Versions and names


@pytest.mark.parametrize(
    "seen, wrong",
    [
        (versions.Versions("1", (3, 11, 0), (3, 37, 0), (5, 3)), None),
        (versions.Versions("1", (3, 10, 9), (3, 51, 3), (6, 18, 4)), "python"),
        (versions.Versions("1", (3, 13, 0), (3, 36, 9), (6, 1)), "sqlite"),
        (versions.Versions("1", (3, 13, 0), (3, 53, 0), (5, 2, 99)), "linux"),
    ],
)
def test_what_is_too_old_is_a_failure(seen: versions.Versions, wrong: str | None) -> None:
    found = dict(levels(versions.judge(seen)))
    assert {check for check, level in found.items() if level is FAILURE} == ({wrong} - {None})
    assert found.keys() == {"python", "sqlite", "linux"}


@pytest.mark.parametrize("sqlite, noted", [((3, 51, 2), True), ((3, 51, 3), False), ((3, 40, 1), True)])
def test_the_wal_reset_bug_is_mentioned_where_there_is_one(sqlite: tuple[int, ...], *, noted: bool) -> None:
    found = [*versions.judge(versions.Versions("1", (3, 13), sqlite, (6, 1)))]
    assert any("can lose commits" in each.text for each in found) is noted


def test_what_runs_these_tests_is_new_enough() -> None:
    assert {level for _, level in levels(versions.judge(versions.Versions.here(looking.SQLITE)))} == {OK}


def test_a_distribution_with_a_name_of_ours_is_a_failure() -> None:
    ours = {"supervisor": ["asyncworker", "asyncworker"], "cli": ["asyncworker"], "click": ["click"]}
    assert levels(names.judge(ours)) == [("names", OK)]
    assert levels(names.judge({**ours, "supervisor": ["supervisor", "asyncworker"]})) == [("names", FAILURE)]
    assert levels(names.judge(names.installed())) == [("names", OK)]


# State folder, permissions, token


def test_a_state_folder_is_there_or_can_be_made_or_is_a_failure(tmp_path: Path) -> None:
    def judged(path: Path) -> list[tuple[str, Level]]:
        way = folder.Entry.of(folder.nearest(path))
        return levels(folder.judge(path, folder.Entry.of(path), way))

    (tmp_path / "file").write_text("")
    assert judged(tmp_path) == [("state folder", OK)]
    assert judged(tmp_path / "not" / "yet") == [("state folder", OK)]
    assert judged(tmp_path / "file") == [("state folder", FAILURE)]
    assert judged(tmp_path / "file" / "below") == [("state folder", FAILURE)]
    assert judged(Path("/proc/none")) == [("state folder", OK if os.access("/proc", os.W_OK) else FAILURE)]
    theirs = folder.Entry(tmp_path, 0o40700, 12345, usable=False)
    assert levels(folder.judge(tmp_path, theirs, theirs)) == [("state folder", FAILURE)]


def test_what_others_can_use_is_named(tmp_path: Path) -> None:
    at = Locations.resolve(tmp_path / "state", tmp_path / "jobtypes.yaml", environ={})
    at.make_state_dir()
    database = at.state_dir / "jobs.db"
    secret = tmp_path / "token"
    for path in (database, secret):
        path.touch(0o600)

    def judged() -> list[Finding]:
        found = [*folder.judge_modes(folder.shared(at, database, secret), os.geteuid())]
        levels(found)
        return found

    assert [(each.level, each.text) for each in judged()] == [
        (OK, "5 files and folders, for their owner alone")
    ]
    for path, mode in ((at.state_dir, 0o750), (database, 0o604), (secret, 0o640)):
        before = path.stat().st_mode
        path.chmod(mode)
        (found,) = judged()
        assert (found.level, f"{path} has mode {mode:04o}" in found.text) == (WARNING, True)
        assert found.advice == f"chmod {'700' if path.is_dir() else '600'} {path}"
        path.chmod(before & 0o777)
    if os.geteuid() == 0:
        os.chown(database, 12345, -1)
        (found,) = judged()
        assert found.text == "files belong to several users: 0, 12345"


def test_a_folder_that_the_services_user_cannot_write_to_is_named(tmp_path: Path) -> None:
    state = folder.Entry(tmp_path, 0o40700, 7, usable=True)
    ours = folder.Entry(tmp_path / "logs", 0o40700, 7, usable=True)
    of_root = folder.Entry(tmp_path / "logs" / ".removed", 0o40700, 0, usable=True)
    shut = dataclasses.replace(of_root, usable=False)
    assert levels(folder.judge_inside(state, [ours], me=7)) == []
    for found in (
        [*folder.judge_inside(state, [ours, shut], me=7)],
        [*folder.judge_inside(state, [ours, of_root], me=0)],
    ):
        assert levels(found) == [("state folder", FAILURE)]
        assert (found[0].text.split()[0], found[0].advice) == (
            str(of_root.path),
            f"As root: chown 7 {of_root.path}",
        )
    of_roots_service = dataclasses.replace(state, owner=0)
    assert levels(folder.judge_inside(of_roots_service, [ours, of_root], me=0)) == []


def test_files_of_another_user_are_told_to_everybody_but_root(tmp_path: Path) -> None:
    entry = folder.Entry(tmp_path, 0o40700, 7, usable=False)
    assert levels(folder.judge_modes([entry, entry], me=8)) == [("permissions", WARNING)]
    assert levels(folder.judge_modes([entry], me=0)) == [("permissions", OK)]
    assert levels(folder.judge_modes([], me=0)) == [("permissions", OK)]


def test_a_token_file_holds_one_word(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("secret\n")
    assert levels(token.judge(file, token.problem_of(file))) == [("token file", OK)]
    file.write_text("two words")
    assert levels(token.judge(file, token.problem_of(file))) == [("token file", FAILURE)]
    file.unlink()
    assert levels(token.judge(file, token.problem_of(file))) == [("token file", FAILURE)]


# Disk


@pytest.mark.parametrize(
    "changed, expected",
    [
        ({}, (OK, OK)),
        ({"free": 500 * 2**20}, (WARNING, OK)),
        ({"free": 50 * 2**20}, (FAILURE, OK)),
        ({"files_left": 3}, (FAILURE, OK)),
        ({"files_left": 30_000}, (OK, OK)),
        ({"read_only": True}, (OK, FAILURE)),
        ({"kind": "nfs4"}, (OK, FAILURE)),
        ({"kind": "tmpfs"}, (OK, WARNING)),
        ({"kind": "overlay"}, (OK, WARNING)),
        ({"kind": None}, (OK, OK)),
    ],
)
def test_room_and_kind_of_a_disk(changed: dict[str, Any], expected: tuple[Level, Level]) -> None:
    plain = {"folder": Path("/var"), "free": 2**40, "files_left": None, "read_only": False, "kind": "ext4"}
    found = levels(disk.judge(disk.Disk(**{**plain, **changed})))
    assert found == [("disk space", expected[0]), ("file system", expected[1])]


def test_a_real_disk_is_looked_at(tmp_path: Path) -> None:
    seen = disk.Disk.of(tmp_path)
    assert seen.free > 0
    assert disk.Disk.of(Path("/proc")).kind == "proc"
    assert disk.Disk.of(Path("/sys")).kind == "sysfs"


# Database


def content(age: Age = Age.CURRENT) -> Content:
    census = Census("0005", {"jobs": 3, "attempts": 2}, dict.fromkeys(JobStatus, 0))
    return Content(census, age, (), {}, NOW)


@pytest.mark.parametrize(
    "state, level",
    [
        (State.MISSING, OK),
        (State.EMPTY, OK),
        (State.UNSETTLED, WARNING),
        (State.LOCKED, FAILURE),
        (State.DAMAGED, FAILURE),
        (State.UNUSABLE, FAILURE),
    ],
)
def test_a_database_that_cannot_be_used_is_a_failure(state: State, level: Level) -> None:
    assert levels(database.judge(Examined(Path("/jobs.db"), state, "why"))) == [("database", level)]


@pytest.mark.parametrize("age, level", [(Age.OLDER, OK), (Age.CURRENT, OK), (Age.NEWER, FAILURE)])
def test_a_schema_from_the_future_is_a_failure(age: Age, level: Level, tmp_path: Path) -> None:
    (tmp_path / "jobs.db").touch()
    seen = Examined(tmp_path / "jobs.db", State.WHOLE, content=content(age))
    assert levels(database.judge(seen)) == [("database", OK), ("schema", level)]


# Job types


def test_every_mistake_in_the_job_types_is_a_failure_of_its_own(tmp_path: Path) -> None:
    file = tmp_path / "jobtypes.yaml"
    assert levels(types.judge(file, types.read(file))) == [("job types", FAILURE)]
    file.write_text("job_types:\n  A: {handler: 'a:b', max_concurrency: 0}\n  B: {max_concurrency: 1}\n")
    assert levels(types.judge(file, types.read(file))) == [("job types", FAILURE)] * 2
    file.write_text("job_types:\n  A: {handler: 'a:b', max_concurrency: 1}\n")
    assert levels(types.judge(file, types.read(file))) == [("job types", OK)]


@pytest.mark.parametrize(
    "mode, secret, warned",
    [
        (0o644, False, 0),
        (0o600, True, 0),
        (0o640, True, 1),
        (0o664, False, 1),
        (0o602, True, 1),
        (0o666, True, 2),
    ],
)
def test_a_file_of_job_types_that_others_can_write_or_that_holds_a_secret_is_a_warning(
    mode: int, *, secret: bool, warned: int
) -> None:
    each = of_types(A={"env": Env(set={"TOKEN": "secret"})} if secret else {})
    found = [*types.judge_mode(Path("/jobtypes.yaml"), each, 0o100000 | mode)]
    assert levels(found) == [("job types", WARNING)] * warned
    assert not any("secret" in each.text for each in found)


def test_a_handler_of_several_types_is_imported_once() -> None:
    asked: list[str] = []

    def import_failure(target: str, _paths: object) -> str | None:
        asked.append(target)
        return "no" if target == "c:d" else None

    fine = of_types(A={}, B={}, C={"handler": None, "command": ("true",)})
    assert levels(types.judge_handlers(fine, import_failure)) == [("handlers", OK)]
    assert asked == ["a:b"]
    assert levels(types.judge_handlers(of_types(A={}, B={"handler": "c:d"}), import_failure)) == [
        ("handlers", FAILURE)
    ]


# Limits


ROOM = room.Room("this shell", 1024, 4096, 4096, 2**33, 2**32)


@pytest.mark.parametrize(
    "changed, need, warned",
    [
        ({}, room.Need(10, 10, 0), 0),
        ({"open_files": None, "processes": None, "threads_left": None}, room.Need(300, 300, 0), 0),
        ({"open_files": 90}, room.Need(10, 10, 0), 1),
        ({"processes": 15}, room.Need(10, 10, 0), 1),
        ({"threads_left": 15}, room.Need(10, 10, 0), 1),
        ({}, room.Need(10, 10, 2**34), 1),
        ({"available": 50 * 2**20}, room.Need(10, 10, 0), 1),
    ],
)
def test_what_may_not_be_enough_is_a_warning(changed: dict[str, Any], need: room.Need, warned: int) -> None:
    values = {name: getattr(ROOM, name) for name in ROOM.__dataclass_fields__}
    found = levels(room.judge(room.Room(**{**values, **changed}), need))
    assert found == ([("limits", WARNING)] * warned or [("limits", OK)])


def test_the_need_is_that_of_all_slots() -> None:
    need = room.Need.of(
        of_types(
            A={"max_concurrency": 3, "limits": Limits(memory=100)},
            B={"max_concurrency": 2, "sandbox": Sandbox(network=False)},
        )
    )
    assert need == room.Need(5, 9, 300)


def test_the_limits_of_a_real_process_are_read() -> None:
    mine = room.Room.of(None)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert mine.open_files == (None if soft == resource.RLIM_INFINITY else soft)
    assert mine.processes is None or os.geteuid() != 0
    assert 0 < mine.available <= 2**50
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (77, 77)); print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout
        child.stdout.readline()
        assert room.Room.of(child.pid).open_files == 77
        child.communicate(b"\n")


# Control groups and sandboxes


def test_what_a_type_asks_for_and_cannot_be_had_is_told() -> None:
    asking = of_types(A={"limits": Limits(memory=1, processes=1)}, B={})
    good = holds.Hold(whole=True, limits=frozenset({"memory", "pids"}), of_the_service=True)
    tried = holds.Hold(whole=False, limits=frozenset(), of_the_service=False)
    real = holds.Hold(whole=True, limits=frozenset({"memory"}), of_the_service=True)
    assert levels(holds.judge(good, asking)) == [("control groups", OK)]
    assert levels(holds.judge(tried, None)) == [("control groups", WARNING)]
    assert [level for _, level in levels(holds.judge(tried, asking))] == [WARNING] * 3
    assert [level for _, level in levels(holds.judge(real, asking))] == [OK, FAILURE]


def test_what_is_tried_here_leaves_no_group_behind() -> None:
    before = {child for each in hierarchies() for child in os.listdir(each.folder)}
    seen = holds.Hold.of(None)
    assert not seen.of_the_service
    after = {child for each in hierarchies() for child in os.listdir(each.folder)}
    assert not {name for name in after - before if name.startswith("asyncworker-") and name.endswith(".0")}


@pytest.mark.parametrize(
    "asking, why, expected",
    [
        ({}, None, OK),
        ({}, "it is forbidden", OK),
        ({"sandbox": Sandbox(network=False)}, None, OK),
        ({"sandbox": Sandbox(network=False)}, "it is forbidden", WARNING),
        ({"run_as": RunAs("somebody")}, "it takes root", WARNING),
    ],
)
def test_a_sandbox_that_cannot_be_had_is_a_warning_where_one_is_asked_for(
    asking: dict[str, Any], why: str | None, expected: Level
) -> None:
    found = levels(holds.judge_sandboxes(of_types(A=asking), lambda _what, _private: why))
    assert found == [("sandbox", expected)]


# Service


ALIVE = service.Life(a_supervisor(version="1"), alive=True)
DEAD = service.Life(a_supervisor(uuid="dead"), alive=False)


@pytest.mark.parametrize(
    "lives, held, later, expected",
    [
        ([ALIVE], {ALIVE.record.uuid: 2}, 5_000, [OK]),
        ([], {}, 0, [WARNING]),
        ([ALIVE], {}, 60_000, [FAILURE]),
        ([service.Life(ALIVE.record, alive=True, stopped=True)], {}, 0, [FAILURE]),
        ([service.Life(a_supervisor(version="0.9"), alive=True)], {}, 0, [OK, WARNING]),
        ([ALIVE, DEAD], {"dead": 1}, 0, [OK, WARNING]),
        ([DEAD], {"dead": 1}, 0, [WARNING, WARNING]),
        ([ALIVE], {"nobody": 1}, 0, [OK, WARNING]),
        ([service.Life(a_supervisor(), alive=None)], {}, 0, [WARNING]),
    ],
)
def test_a_service_that_hangs_is_a_failure_and_one_that_is_gone_a_warning(
    lives: list[service.Life], held: dict[str, int], later: int, expected: list[Level]
) -> None:
    found = levels(service.judge(lives, held, NOW + later, "1"))
    assert [level for _, level in found] == expected


def test_who_lives_is_seen_by_identity(tmp_path: Path) -> None:
    here = Here.current(tmp_path / "jobs.db")
    place = {"host": here.host, "boot_id": here.boot_id, "pid_namespace": here.pid_namespace}
    me, stranger = Identity.of(os.getpid()), an_identity(os.getpid())
    both = tuple(a_supervisor(identity=each, **place) for each in (me, stranger))
    found = service.lives(Content(content().census, Age.CURRENT, both, {}, NOW), tmp_path / "jobs.db")
    assert [(life.alive, life.stopped) for life in found] == [(True, False), (False, False)]


# Sockets


READER = """
import socket, sys
bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
bell.bind(sys.argv[1])
print(flush=True)
bell.recv(1)
input()
"""


def test_what_is_rung_is_heard_only_where_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "PATIENCE", 0.3)
    with (
        subprocess.Popen(
            [sys.executable, "-c", READER, tmp_path / "wake.sock"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as reader,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf,
    ):
        assert reader.stdout
        reader.stdout.readline()
        deaf.bind(str(tmp_path / "wake-2.sock"))
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as left:
            left.bind(str(tmp_path / "wake-3.sock"))
        assert sockets.nudged(tmp_path) == {
            "wake-2.sock": Ear.UNHEARD,
            "wake-3.sock": Ear.NOBODY,
            "wake.sock": Ear.HEARD,
        }
        reader.communicate(b"\n")
    assert sockets.nudged(tmp_path / "none") == {}


@pytest.mark.parametrize(
    "rung, served, expected",
    [
        ({"wake.sock": Ear.HEARD}, True, [OK]),
        ({}, True, [WARNING]),
        ({}, False, [OK]),
        ({"wake.sock": Ear.NOBODY}, False, [OK]),
        ({"wake.sock": Ear.NOBODY}, True, [WARNING]),
        ({"wake.sock": Ear.UNHEARD}, True, [WARNING]),
        ({"wake.sock": Ear.HEARD, "wake-2.sock": Ear.UNHEARD}, True, [WARNING, OK]),
    ],
)
def test_a_service_that_cannot_be_woken_is_a_warning(
    rung: dict[str, Ear], expected: list[Level], *, served: bool
) -> None:
    assert [level for _, level in levels(sockets.judge_wake(rung, served=served))] == expected


@pytest.mark.parametrize(
    "api, served, expected",
    [
        (Api(there=True, status=200, ours=True), True, OK),
        (Api(there=True, status=200, ours=False), True, WARNING),
        (Api(there=True, status=500), True, WARNING),
        (Api(there=True, why="refused"), True, WARNING),
        (Api(there=False), True, WARNING),
        (Api(there=False), False, OK),
        (Api(there=True, why="refused"), False, OK),
    ],
)
def test_rest_that_does_not_answer_is_a_warning_where_a_service_runs(
    api: Api, expected: Level, *, served: bool
) -> None:
    assert levels(sockets.judge_api(api, served=served)) == [("api.sock", expected)]


def test_a_socket_that_nobody_serves_is_asked_in_vain(tmp_path: Path) -> None:
    at = Locations.resolve(tmp_path, tmp_path / "jobtypes.yaml", environ={})
    assert sockets.asked(at) == Api(there=False)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "api.sock"))
    answer = sockets.asked(at)
    assert (answer.there, answer.status) == (True, None)


# Clock


@pytest.mark.parametrize(
    "now, latest, expected",
    [
        (1_790_000_000_000, 0, [OK]),
        (1_790_000_000_000, 1_790_000_000_500, [OK]),
        (1_790_000_000_000, 1_790_000_009_000, [WARNING]),
        (86_400_000, 0, [WARNING]),
        (86_400_000, 1_790_000_000_000, [WARNING, WARNING]),
    ],
)
def test_a_clock_that_was_set_back_is_a_warning(now: int, latest: int, expected: list[Level]) -> None:
    assert [level for _, level in levels(clocks.judge(now, latest))] == expected
