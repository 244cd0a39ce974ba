"""All that `doctor` looks at, in order; what goes wrong in one look spoils no other."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from cli.checkup import (
    clocks,
    database,
    disk,
    folder,
    holds,
    names,
    processes,
    room,
    service,
    sockets,
    token,
    types,
    versions,
)
from cli.checkup.finding import Finding, failure
from cli.harmless import one_line
from cli.rehearsal import import_failure
from supervisor.errors import StoreUnavailable
from supervisor.installed import installed_version
from supervisor.jobtypes.records import JobTypes
from supervisor.settings import Locations
from supervisor.store import looking
from supervisor.store.examining import Content, Examined, State, examine
from supervisor.store.records import Supervisor
from workers.abilities import obstacle
from workers.confinement import Confinement
from workers.visibility import hiding

Look = Callable[[], Iterable[Finding]]


class Examination:
    """One installation, looked at once. Each fact that several looks need is gathered once."""

    def __init__(self, at: Locations, token_file: Path | None) -> None:
        self._at = at
        self._token_file = token_file

    def findings(self) -> Iterator[Finding]:
        looks: dict[str, Look] = {
            "versions": self._versions,
            "processes": lambda: processes.judge(hiding()),
            "names": lambda: names.judge(names.installed()),
            "state folder": self._state_folder,
            "permissions": self._permissions,
            "token file": self._token,
            "disk": self._disks,
            "database": lambda: database.judge(self._examined),
            "job types": self._job_types,
            "handlers": self._handlers,
            "limits": self._room,
            "control groups": lambda: holds.judge(holds.Hold.of(self._living), self._types),
            "sandbox": lambda: holds.judge_sandboxes(self._types, _obstacle),
            "service": self._service,
            "wake-up": lambda: sockets.judge_wake(sockets.nudged(self._at.state_dir), served=self._served),
            "api.sock": lambda: sockets.judge_api(sockets.asked(self._at), served=self._served),
            "clock": lambda: clocks.judge(_now(), self._content.latest if self._content else 0),
        }
        for name, look in looks.items():
            yield from _guarded(name, look)

    @cached_property
    def _examined(self) -> Examined:
        try:
            return examine(self._at.database)
        except StoreUnavailable as error:
            return Examined(Path(self._at.database), State.UNUSABLE, str(error))

    @property
    def _content(self) -> Content | None:
        return self._examined.content

    @cached_property
    def _read(self) -> JobTypes | str:
        return types.read(self._at.config)

    @property
    def _types(self) -> JobTypes | None:
        return None if isinstance(self._read, str) else self._read

    @cached_property
    def _lives(self) -> list[service.Life]:
        return service.lives(self._content, self._examined.path) if self._content else []

    @property
    def _living(self) -> Supervisor | None:
        """One of them: several on one machine have the same limits, most likely."""
        return next((life.record for life in self._lives if life.alive), None)

    @property
    def _served(self) -> bool:
        return self._living is not None

    def _versions(self) -> Iterator[Finding]:
        return versions.judge(versions.Versions.here(looking.SQLITE))

    def _state_folder(self) -> Iterator[Finding]:
        path = self._at.state_dir
        entry = folder.Entry.of(path)
        closed = [*folder.judge_inside(entry, folder.inside(self._at), os.geteuid())]
        yield from closed or folder.judge(path, entry, folder.Entry.of(folder.nearest(path)))

    def _permissions(self) -> Iterator[Finding]:
        # What is no database of ours is nobody's to chmod on our advice.
        database_file = None if self._examined.state is State.UNUSABLE else self._examined.path
        entries = folder.shared(self._at, database_file, self._token_file)
        return folder.judge_modes(entries, os.geteuid())

    def _token(self) -> Iterator[Finding]:
        if self._token_file is not None:
            yield from token.judge(self._token_file, token.problem_of(self._token_file))

    def _disks(self) -> Iterator[Finding]:
        places = [folder.nearest(self._at.state_dir), folder.nearest(self._examined.path.parent)]
        for place in {os.stat(place).st_dev: place for place in reversed(places)}.values():
            yield from disk.judge(disk.Disk.of(place))

    def _job_types(self) -> Iterator[Finding]:
        config = self._at.config
        yield from types.judge(config, self._read)
        if config.exists():
            yield from types.judge_mode(config, self._read, config.stat().st_mode)

    def _handlers(self) -> Iterator[Finding]:
        return types.judge_handlers(self._types, import_failure) if self._types else iter(())

    def _room(self) -> Iterator[Finding]:
        if self._types is not None:
            living = self._living
            yield from room.judge(
                room.Room.of(living.identity.pid if living else None), room.Need.of(self._types)
            )

    def _service(self) -> Iterator[Finding]:
        if self._content is None and self._examined.state not in (State.MISSING, State.EMPTY):
            yield service.cannot_be_told()
            return
        held = self._content.held if self._content else {}
        yield from service.judge(self._lives, held, _now(), installed_version())


def _guarded(name: str, look: Look) -> Iterator[Finding]:
    try:
        yield from look()
    except Exception as error:  # noqa: BLE001  whatever it is, the others are still to be looked at
        why = one_line(f"{type(error).__name__}: {error}")
        yield failure(
            name, f"this could not be looked at: {why}", "Run this as the service's user, or as root."
        )


def _obstacle(what: Confinement, private: bool) -> str | None:  # noqa: FBT001  as holds.Obstacle calls it
    return obstacle(what, private=private)


def _now() -> int:
    return time.time_ns() // 1_000_000
