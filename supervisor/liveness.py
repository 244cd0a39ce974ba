"""Whether a supervisor on record is alive, as far as that can be known from where we are."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from supervisor import lifeline
from supervisor.store.records import Supervisor
from workers.identity import boot_id, pid_namespace

FRESH = 60_000
"""Milliseconds for which a heartbeat speaks for a supervisor that cannot be judged from here."""


@dataclass(frozen=True, slots=True)
class Here:
    """The place we judge from."""

    host: str
    boot_id: str
    pid_namespace: int
    lifelines: Path
    """The folder of the supervisors' lifelines."""

    @classmethod
    def current(cls, database: Path) -> Self:
        return cls(os.uname().nodename, boot_id(), pid_namespace(), lifeline.folder_of(database))


def is_alive(record: Supervisor, here: Here) -> bool | None:
    """Whether a process with this supervisor's identity runs; None where that cannot be judged from here.

    The database lies on a disk of this machine, so an owner of another boot is gone, whatever the host
    was called then. In another PID namespace of this boot (a container) its pid means another process:
    there its lifeline tells.
    """
    if record.ended_at is not None or record.boot_id != here.boot_id:
        return False
    if record.pid_namespace != here.pid_namespace:
        cut = lifeline.is_cut(here.lifelines, record.uuid)
        return None if cut is None else not cut
    return record.identity.is_running()


def any_alive(records: Iterable[Supervisor], here: Here, now: int) -> bool:
    """Whether one of them can be expected to run jobs.

    Only for what to tell people: where identity cannot be judged, a recent heartbeat is believed.
    Nobody's death is recorded because of this.
    """
    return any(_speaks(record, here, now) for record in records)


def _speaks(record: Supervisor, here: Here, now: int) -> bool:
    alive = is_alive(record, here)
    return now - record.heartbeat_at < FRESH if alive is None else alive
