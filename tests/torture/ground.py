"""Where a run takes place: two services on one database, on a small disk of its own where that can be had."""

import shutil
import subprocess
from pathlib import Path

from tests.support.service import PROJECT, Service
from tests.torture import load

_DISK = "size=256m,mode=700"


class Ground:
    """The jobs' own notes lie beside the disk: they must not be lost when it is full."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disk = folder / "disk"
        self.disk.mkdir(mode=0o700, parents=True)
        self.has_disk = _mounted(self.disk)
        """Whether it can be filled without harm to others."""
        self.runs = folder / "runs.jsonl"
        self.runs.touch(mode=0o600)
        self.services = (self._service("one"), self._service("two"))

    @property
    def database(self) -> Path:
        return self.disk / "jobs.db"

    def _service(self, name: str) -> Service:
        place = self.folder / name
        place.mkdir(mode=0o700)
        return Service(
            place,
            types(self.database),
            state_dir=self.disk / name,
            database=self.database,
            runs=self.runs,
            code=(load.HERE, PROJECT),
        )

    def end(self, *, keep: bool = False) -> None:
        """Nothing of it is running or mounted afterwards. `keep` what was on the disk, beside it."""
        for service in self.services:
            service.end()
        if self.has_disk:
            if keep:
                shutil.copytree(self.disk, self.folder / "kept", ignore=_sockets)
            subprocess.run(["umount", "--lazy", self.disk], check=True)


def _sockets(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if Path(folder, name).is_socket()]


def types(database: Path, *, without: str | None = None) -> dict[str, dict[str, object]]:
    return {
        name: {**settings, "options": {"database": str(database)}}
        for name, settings in load.TYPES.items()
        if name != without
    }


def _mounted(folder: Path) -> bool:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", _DISK, "none", folder], capture_output=True, check=False
    )
    return done.returncode == 0
