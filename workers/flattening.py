"""Emptying a folder of a tree of any depth, piece by piece and following no link.

Folders in folders are moved up to the first level until there are none: shutil.rmtree needs a
call, a descriptor and a longer path for each level, and a job can make more than there are.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator

Unlink = Callable[[int, str], Iterator[None]]
"""Removes a file of a folder, by its descriptor and by name, in one step or in more."""


def _unlink(folder: int, name: str) -> Iterator[None]:
    os.unlink(name, dir_fd=folder)
    yield


class Flattening:
    """Iterate over it: each step removes or moves one thing, as far as we may."""

    def __init__(self, top: int, unlink: Unlink = _unlink) -> None:
        """`top`: the descriptor of the folder, which stays."""
        self._top = top
        self._unlink = unlink
        self._numbers = itertools.count()
        self._changed = False
        self.problem: tuple[str, OSError] | None = None
        """The first thing that is left at the end, and why."""

    def __iter__(self) -> Iterator[None]:
        self._changed = True
        while self._changed:
            self._changed, self.problem = False, None
            for name, is_folder in _entries(self._top):
                if is_folder:
                    yield from self._dissolve(name)
                else:
                    yield from self._remove(self._top, name, name)

    def _dissolve(self, name: str) -> Iterator[None]:
        """Move the folders in a folder up, remove the rest, then itself."""
        _open_up(name, self._top)
        with self._noting(name):
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=self._top)
            try:
                for inner, is_folder in _entries(folder):
                    if is_folder:
                        self._move_up(folder, inner, f"{name}/{inner}")
                        yield
                    else:
                        yield from self._remove(folder, inner, f"{name}/{inner}")
            finally:
                os.close(folder)
            os.rmdir(name, dir_fd=self._top)
            self._changed = True
        yield

    def _move_up(self, folder: int, name: str, path: str) -> None:
        _open_up(name, folder)
        with self._noting(path):
            os.rename(name, self._free_name(), src_dir_fd=folder, dst_dir_fd=self._top)
            self._changed = True

    def _free_name(self) -> str:
        """The job may have used such names, and so may one before us that did not come to its end."""
        while True:
            name = f".removed-{next(self._numbers)}"
            try:
                os.lstat(name, dir_fd=self._top)
            except FileNotFoundError:
                return name

    def _remove(self, folder: int, name: str, path: str) -> Iterator[None]:
        with self._noting(path):
            yield from self._unlink(folder, name)
            self._changed = True

    @contextlib.contextmanager
    def _noting(self, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            return  # another one removes it as well
        except OSError as error:
            self.problem = self.problem or (path, error)


def _entries(folder: int) -> list[tuple[str, bool]]:
    """Names, and whether each is a folder."""
    with os.scandir(folder) as entries:
        return [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]


def _open_up(name: str, folder: int) -> None:
    """A folder without write permission, as some caches make them, gives up nothing to its owner.

    Root needs no permission, and this follows a link that somebody may have put there since.
    """
    if os.geteuid() != 0:
        with contextlib.suppress(OSError):  # what is done to it next says why
            os.chmod(name, 0o700, dir_fd=folder)
