"""The lives of supervisors: who owns jobs, and who has gone."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, insert, select, update

from supervisor.lifecycle import Isolation
from supervisor.store.engine import Transaction
from supervisor.store.records import ProcessIdentity, Supervisor
from supervisor.store.schema import ENDED_STATES, supervisors

_NOT_ENDED = supervisors.c.ended_at.is_(None)
_ALL = select(supervisors)
_GET = _ALL.where(supervisors.c.uuid == bindparam("the_uuid"))
_LIVING = _ALL.where(_NOT_ENDED).order_by(supervisors.c.started_at)
_RECENT = _ALL.order_by(supervisors.c.started_at.desc()).limit(bindparam("at_most"))
_LATEST = select(func.max(supervisors.c.heartbeat_at))
_REGISTER = insert(supervisors)
_ONE_NOT_ENDED = update(supervisors).where(supervisors.c.uuid == bindparam("the_uuid"), _NOT_ENDED)
_BEAT = _ONE_NOT_ENDED.values(heartbeat_at=bindparam("at"))
_SET_ISOLATION = _ONE_NOT_ENDED.values(isolation=bindparam("new_isolation"))
_SET_STATE = _ONE_NOT_ENDED.values(state=bindparam("new_state"), ended_at=bindparam("new_ended_at"))


def register(tx: Transaction, supervisor: Supervisor) -> None:
    values = {
        "uuid": supervisor.uuid,
        "host": supervisor.host,
        "boot_id": supervisor.boot_id,
        "pid_namespace": supervisor.pid_namespace,
        "pid": supervisor.identity.pid,
        "start_ticks": supervisor.identity.start_ticks,
        "pidfd_inode": supervisor.identity.pidfd_inode,
        "version": supervisor.version,
        "state": supervisor.state,
        "started_at": supervisor.started_at,
        "heartbeat_at": supervisor.heartbeat_at,
        "ended_at": supervisor.ended_at,
    }
    tx.execute(_REGISTER, values)


def beat(tx: Transaction, *, uuid: str, now: int) -> bool:
    """False where it is on record as stopped or lost: it is nobody's owner any more."""
    return tx.execute(_BEAT, {"the_uuid": uuid, "at": now}).rowcount == 1


def set_state(tx: Transaction, *, uuid: str, state: str, now: int) -> bool:
    """False where it is on record as stopped or lost, which nothing leaves."""
    ended_at = now if state in ENDED_STATES else None
    values = {"the_uuid": uuid, "new_state": state, "new_ended_at": ended_at}
    return tx.execute(_SET_STATE, values).rowcount == 1


def set_isolation(tx: Transaction, *, uuid: str, isolation: Isolation) -> None:
    tx.execute(_SET_ISOLATION, {"the_uuid": uuid, "new_isolation": isolation})


def get(tx: Transaction, uuid: str) -> Supervisor | None:
    row = tx.execute(_GET, {"the_uuid": uuid}).first()
    return None if row is None else _supervisor(row)


def not_ended(tx: Transaction) -> list[Supervisor]:
    return [_supervisor(row) for row in tx.execute(_LIVING)]


def latest_heartbeat(tx: Transaction) -> int | None:
    """When any of them was last known to live, by its clock then."""
    found: int | None = tx.scalar(_LATEST)
    return found


def recent(tx: Transaction, limit: int) -> list[Supervisor]:
    """Newest first."""
    return [_supervisor(row) for row in tx.execute(_RECENT, {"at_most": limit})]


def _supervisor(row: Sequence[Any]) -> Supervisor:
    uuid, host, boot_id, pid_namespace, pid, start_ticks, pidfd_inode, *rest = row
    return Supervisor(
        uuid, host, boot_id, pid_namespace, ProcessIdentity(pid, start_ticks, pidfd_inode), *rest
    )
