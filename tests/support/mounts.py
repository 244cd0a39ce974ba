"""File systems of a test's own, small or strange."""

import contextlib
import errno
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def mounted(kind: str, folder: Path, options: str, source: str | Path | None = None) -> Iterator[None]:
    """Skips the test where that is refused: it wants root."""
    folder.mkdir(exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", kind, "-o", options, source or kind, folder],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip(f"{kind} cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        # Lazily: what was killed a moment ago may not have closed its files yet.
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextlib.contextmanager
def full(folder: Path) -> Iterator[None]:
    """Meanwhile there is no room on its disk: whatever becomes free is taken at once."""
    ballast = folder / "ballast"
    over, is_full = threading.Event(), threading.Event()

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file:
            while not over.is_set():
                try:
                    file.write(bytes(4096))
                except OSError as error:
                    assert error.errno == errno.ENOSPC  # noqa: PT017  (in a thread, and on every turn)
                    is_full.set()
                    over.wait(0.001)

    filler = threading.Thread(target=fill, name="filler")
    filler.start()
    try:
        assert is_full.wait(20.0)
        yield
    finally:
        over.set()
        filler.join()
        ballast.unlink()
