"""A library under all of a service's processes, that steps their clock and fails their fsync (shim.c)."""

import mmap
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from supervisor import assigning

_SOURCE = Path(__file__).with_name("shim.c")
_VARIABLES = ("LD_PRELOAD", "SHIM_CONTROL")
EVERYWHERE = f"supervisor.assigning:_MINIMAL={(*assigning._MINIMAL, *_VARIABLES)!r}"
"""For altered.py: the keeper and the jobs, which get few variables, get these as well."""

_AHEAD, _SYNC_ERROR, _SYNCS_FAILED = 0, 8, 16


class Shim:
    """One service's: what its processes see of the machine."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "shim-control"
        self._path.write_bytes(bytes(24))
        with self._path.open("r+b") as file:
            self._control = mmap.mmap(file.fileno(), 24)
        self._lacking, library = _build(folder)
        self.environment = {"LD_PRELOAD": str(library), "SHIM_CONTROL": str(self._path)} if library else {}

    def step_clock(self, seconds: int) -> None:
        """From now on their clock is so much ahead of the machine's, or behind it."""
        self._set(_AHEAD, seconds)

    def fail_syncs(self, number: int) -> None:
        """Every fsync and fdatasync ends with this errno; 0: as the disk does."""
        self._set(_SYNC_ERROR, number)

    @property
    def syncs_failed(self) -> int:
        """How many have."""
        (number,) = struct.unpack_from("q", self._control, _SYNCS_FAILED)
        return int(number)

    def _set(self, place: int, value: int) -> None:
        """Skips the test where there is no such library."""
        if self._lacking:
            pytest.skip(f"there is nothing to put under the service's processes: {self._lacking}")
        struct.pack_into("q", self._control, place, value)


def _build(folder: Path) -> tuple[str, Path | None]:
    """What is lacking for it, and the library."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return "no C compiler is installed", None
    library = folder / "shim.so"
    done = subprocess.run(
        [compiler, "-shared", "-fPIC", "-O1", "-o", str(library), str(_SOURCE), "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    return ("", library) if done.returncode == 0 else (f"it does not compile: {done.stderr[-300:]}", None)
