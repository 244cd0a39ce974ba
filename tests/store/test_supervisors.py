import pytest

from supervisor.store import Store, supervisors
from tests.support.builders import NOW, a_supervisor, an_identity


@pytest.mark.parametrize("inode", [None, 5, 2**64 - 1])
def test_a_supervisor_reads_back_as_it_was_registered(store: Store, inode: int | None) -> None:
    registered = a_supervisor(state="starting", identity=an_identity(pidfd_inode=inode))
    with store.write() as tx:
        supervisors.register(tx, registered)
    with store.read() as tx:
        assert supervisors.get(tx, registered.uuid) == registered
        assert supervisors.get(tx, "none") is None


def test_a_beat_is_recorded_while_it_lives(store: Store) -> None:
    with store.write() as tx:
        supervisors.register(tx, a_supervisor(uuid="a"))
        assert supervisors.beat(tx, uuid="a", now=NOW + 7)
        assert not supervisors.beat(tx, uuid="none", now=NOW + 7)
        found = supervisors.get(tx, "a")
        assert found is not None
        assert found.heartbeat_at == NOW + 7


@pytest.mark.parametrize("end", ["stopped", "lost"])
@pytest.mark.parametrize("state", ["starting", "running", "stopping", "stopped", "lost"])
def test_nothing_leaves_stopped_or_lost(store: Store, end: str, state: str) -> None:
    with store.write() as tx:
        supervisors.register(tx, a_supervisor(uuid="a"))
        assert supervisors.set_state(tx, uuid="a", state=end, now=NOW + 1)
        ended = supervisors.get(tx, "a")
        assert ended is not None
        assert (ended.state, ended.ended_at) == (end, NOW + 1)
        assert not supervisors.set_state(tx, uuid="a", state=state, now=NOW + 2)
        assert not supervisors.beat(tx, uuid="a", now=NOW + 2)
        assert supervisors.get(tx, "a") == ended


def test_lists_tell_the_living_and_the_most_recent(store: Store) -> None:
    with store.write() as tx:
        for number in range(4):
            supervisors.register(tx, a_supervisor(uuid=f"s{number}", started_at=NOW + number))
        supervisors.set_state(tx, uuid="s1", state="lost", now=NOW)
        supervisors.set_state(tx, uuid="s2", state="stopping", now=NOW)
        assert [found.uuid for found in supervisors.not_ended(tx)] == ["s0", "s2", "s3"]
        assert [found.uuid for found in supervisors.recent(tx, 2)] == ["s3", "s2"]
