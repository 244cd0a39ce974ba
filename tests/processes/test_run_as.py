"""A job with `run_as`: that user in everything, at home in its directory, and nowhere else of ours."""

import grp
import os
import pwd
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from supervisor.assigning import environment
from supervisor.confining import confinement, needs_pids_controller, service_files
from supervisor.jobtypes.records import Env, JobType, Limits, RunAs, Sandbox
from tests.escapes.ground import OTHER, Ground, ground_of
from tests.support.eventually import eventually
from tests.support.keeper import RunningJob
from tests.support.processes import gone
from workers.confinement import Confinement

LOOK = """
import os, stat
def handler(payload, job):
    status = dict(line.split(":\\t", 1) for line in open("/proc/self/status") if ":\\t" in line)
    here = os.stat(job.directory)
    (job.directory / "made").touch()
    open("/dev/stderr", "a").write("by name\\n")
    return {
        "ids": [*os.getresuid(), *os.getresgid()], "groups": os.getgroups(),
        "capabilities": sum(int(status[name], 16) for name in status if name.startswith("Cap")),
        "place": [here.st_uid, here.st_gid, stat.S_IMODE(here.st_mode), os.getcwd() == str(job.directory)],
        "environment": {name: os.environ.get(name) for name in ("HOME", "USER", "LOGNAME", "MODE")},
        "beside": os.listdir(job.directory.parent),
        "files": os.listdir(job.directory),
    }
"""


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    if os.getuid() != 0:
        pytest.skip("only root may change the user")
    with ground_of(root=True) as ground:
        ground.skip_without_namespaces()
        yield ground


def run(ground: Ground, source: str, what: Confinement, **other: Any) -> RunningJob:
    name, state = os.urandom(4).hex(), ground.facts["state"]
    places = {"log": f"{state}/logs/{name}.log", "directory": f"{state}/work/{name}"}
    return ground.keeper.run(source, confinement=what, **places | other)


@pytest.mark.parametrize("sandboxed", [False, True])
def test_it_is_that_user_in_everything(ground: Ground, *, sandboxed: bool) -> None:
    user = pwd.getpwnam("nobody")
    what = Confinement(user="nobody", hidden=ground.hidden, private_tmp=sandboxed)
    job = run(ground, LOOK, what)
    ended = job.ended()
    found = ended.value
    assert found["ids"] == [user.pw_uid] * 3 + [user.pw_gid] * 3
    assert found["groups"] == os.getgrouplist("nobody", user.pw_gid)
    assert found["capabilities"] == 0
    assert found["place"] == [user.pw_uid, user.pw_gid, 0o700, True]
    names = {"HOME": user.pw_dir, "USER": "nobody", "LOGNAME": "nobody", "MODE": None}
    assert found["environment"] == names
    assert (found["beside"], found["files"]) == ([job.directory.name], ["made"])
    assert ended.log == "by name\n"
    ground.keeper.until(lambda: not job.directory.exists())


def test_a_group_and_a_user_by_number_may_be_given(ground: Ground) -> None:
    group = grp.getgrgid(pwd.getpwnam("nobody").pw_gid).gr_name
    what = Confinement(user=str(OTHER), group=group, hidden=ground.hidden)
    found = run(ground, LOOK, what, environment={"HOME": "/set", "MODE": "fast"}).ended().value
    assert found["ids"] == [OTHER] * 3 + [grp.getgrnam(group).gr_gid] * 3
    assert found["environment"] == {"HOME": "/set", "USER": str(OTHER), "LOGNAME": str(OTHER), "MODE": "fast"}


def test_its_folder_is_removed_after_the_death_of_its_process_too(ground: Ground) -> None:
    source = "import os\ndef handler(payload): open('made', 'w').close(); os.kill(os.getpid(), 9)"
    job = run(ground, source, Confinement(user="nobody", hidden=ground.hidden))
    job.ended()
    ground.keeper.until(lambda: not job.directory.exists())


def test_it_dies_with_its_keeper() -> None:
    """The change of user takes away what was asked of the kernel for that: it is asked again."""
    if os.getuid() != 0:
        pytest.skip("only root may change the user")
    with ground_of(root=True) as ground:
        source = "import time\ndef handler(payload): print('here'); time.sleep(60)"
        job = run(ground, source, Confinement(user="nobody", hidden=ground.hidden))
        job.says("here")
        ground.keeper.process.kill()
        ground.keeper.process.wait()
        eventually(lambda: gone(job.who))


def test_code_that_its_user_may_not_read_is_told(ground: Ground) -> None:
    folder = ground.folder / "closed"
    folder.mkdir(mode=0o700, exist_ok=True)
    what = Confinement(user="nobody", hidden=ground.hidden)
    job = run(ground, "", what, handler="closed:handler", import_paths=[str(folder)])
    assert f"{folder}, which cannot be read" in (job.ended().outcome.error_message or "")


# What the supervisor says


OURS = {"HOME": "/home/service", "USER": "service", "LOGNAME": "service", "LANG": "C", "TOKEN": "x"}


def test_nothing_of_the_services_user_is_passed_on_to_another() -> None:
    one = JobType(
        name="J", handler="a:b", max_concurrency=1, run_as=RunAs("other"), env=Env("all", {"A": "b"})
    )
    assert environment(one, OURS) == {"LANG": "C", "TOKEN": "x", "A": "b"}
    assert confinement(one, []) == Confinement(user="other")


def test_what_is_hidden_is_the_state_folder_and_what_lies_elsewhere(tmp_path: Any) -> None:
    state = tmp_path / "state"
    inside = service_files(state, state / "jobs.db-owners", str(state / "token"))
    assert inside == (state,)
    outside = service_files(state, tmp_path / "d" / "j.db-owners", str(tmp_path / "t"))
    assert {tmp_path / "t", tmp_path / "d" / "j.db", tmp_path / "d" / "j.db-wal"} < {*outside}


@pytest.mark.parametrize(
    "asked,uid,needed", [(False, 0, True), (False, 5, True), (True, 0, True), (True, 5, False)]
)
def test_only_an_ordinary_users_sandbox_counts_processes_without_a_controller(
    monkeypatch: pytest.MonkeyPatch, *, asked: bool, uid: int, needed: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    one = JobType(
        name="J",
        handler="a:b",
        max_concurrency=1,
        limits=Limits(processes=5),
        sandbox=Sandbox(network=not asked),
    )
    assert needs_pids_controller(one) is needed
    assert not needs_pids_controller(replace(one, limits=Limits()))
