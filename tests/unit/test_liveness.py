import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from supervisor.lifeline import Lifeline
from supervisor.liveness import FRESH, Here, any_alive, is_alive
from tests.support.builders import NOW, a_supervisor
from workers.identity import Identity

HERE = Here.current(Path("/nowhere/jobs.db"))


def me() -> Identity:
    identity = Identity.of(os.getpid())
    assert identity is not None
    return identity


def ours(**other: object) -> dict[str, object]:
    return {"host": HERE.host, "boot_id": HERE.boot_id, "pid_namespace": HERE.pid_namespace, **other}


def test_a_running_process_with_the_recorded_identity_is_alive() -> None:
    assert is_alive(a_supervisor(**ours(identity=me())), HERE) is True


def test_a_reused_pid_is_not_alive() -> None:
    reused = Identity(os.getpid(), me().start_ticks - 1, me().pidfd_inode)
    assert is_alive(a_supervisor(**ours(identity=reused)), HERE) is False


def test_a_process_that_has_ended_is_not_alive_even_before_it_is_reaped() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        identity = Identity.of(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_alive(a_supervisor(**ours(identity=identity)), HERE) is False


def test_one_that_is_on_record_as_ended_is_not_alive_whatever_runs_there() -> None:
    assert is_alive(a_supervisor(**ours(identity=me(), state="stopped", ended_at=NOW)), HERE) is False


def test_a_reboot_has_ended_everything_on_this_host() -> None:
    assert is_alive(a_supervisor(**ours(identity=me(), boot_id="before")), HERE) is False


def test_an_owner_in_a_container_without_a_lifeline_cannot_be_judged() -> None:
    assert is_alive(a_supervisor(**ours(identity=me(), pid_namespace=1)), HERE) is None


def test_an_owner_in_a_container_lives_for_as_long_as_its_lifeline_is_held(tmp_path: Path) -> None:
    here = replace(HERE, lifelines=tmp_path)
    record = a_supervisor(**ours(identity=me(), pid_namespace=1))
    with Lifeline(tmp_path, record.uuid):
        assert is_alive(record, here) is True
    assert is_alive(record, here) is False


@pytest.mark.parametrize("age, expected", [(FRESH - 1, True), (FRESH, False)])
def test_what_cannot_be_judged_is_believed_for_as_long_as_it_beats(age: int, *, expected: bool) -> None:
    elsewhere = a_supervisor(**ours(pid_namespace=1, heartbeat_at=NOW))
    assert any_alive([elsewhere], HERE, NOW + age) is expected


def test_a_supervisor_of_this_host_needs_no_heartbeat() -> None:
    assert any_alive([a_supervisor(**ours(identity=me(), heartbeat_at=0))], HERE, NOW)


def test_nobody_is_alive_where_nobody_is_on_record() -> None:
    assert not any_alive([], HERE, NOW)
