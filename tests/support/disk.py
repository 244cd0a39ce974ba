"""A disk as a power cut leaves it: by what was written to files and folders, and what of it was synced.

Certain to be there is what POSIX promises and nothing more: the content of a file as it was when the last
fsync of it began, and a name in a folder as it was when the last fsync of that folder began. Of everything
else each piece may or may not be there: a sector of 512 bytes, a change of length, a name.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.strace import Call, decoded

TRACED = "openat,write,pwrite64,ftruncate,fsync,fdatasync,mkdir,unlink,rename,rmdir"
"""Every call by which the product changes files beside its database."""

SECTOR = 512

Keep = Callable[[], bool]
"""Asked for each piece that was not synced: whether it reached the disk."""


def nothing() -> bool:
    return False


def everything() -> bool:
    return True


@dataclass
class File:
    """What it held when it was last synced, and what came after that: (offset, bytes), or a length."""

    synced: bytes = b""
    since: list[tuple[int, bytes] | int] = field(default_factory=list)
    length: int = 0
    """As programs see it."""

    def write(self, data: bytes, offset: int | None = None) -> None:
        """At its end, where nothing else is said."""
        at = self.length if offset is None else offset
        self.since.append((at, data))
        self.length = max(self.length, at + len(data))

    def cut_to(self, length: int) -> None:
        self.since.append(length)
        self.length = length

    def content(self, keep: Keep) -> bytes:
        content = bytearray(self.synced)
        for change in self.since:
            if isinstance(change, int):
                if keep():
                    content[change:] = bytes(max(0, change - len(content)))
                continue
            offset, data = change
            for at in range(0, len(data), SECTOR):
                piece = data[at : at + SECTOR]
                if keep():
                    content.extend(bytes(max(0, offset + at - len(content))))
                    content[offset + at : offset + at + len(piece)] = piece
        return bytes(content)

    def settle(self, changes: int) -> None:
        """So many of the changes are certain; what came while it was synced is not."""
        self.synced = File(self.synced, self.since[:changes]).content(everything)
        del self.since[:changes]


@dataclass
class Folder:
    """Likewise: names, and what has happened to names since."""

    synced: dict[str, "File | Folder"] = field(default_factory=dict)
    since: list[tuple[str, "File | Folder | None"]] = field(default_factory=list)

    def entries(self, keep: Keep) -> dict[str, "File | Folder"]:
        entries = dict(self.synced)
        for name, what in self.since:
            if keep():
                if what is None:
                    entries.pop(name, None)
                else:
                    entries[name] = what
        return entries

    def settle(self, changes: int) -> None:
        """As above."""
        self.synced = Folder(self.synced, self.since[:changes]).entries(everything)
        del self.since[:changes]


class Disk:
    """Everything below one folder, which was there and synced before the first call."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._top = Folder()
        self._syncing: dict[int, tuple[File | Folder, int]] = {}

    def hear(self, call: Call) -> bool:
        """Take in one call; True where it may have changed what is certain, or what is possible."""
        if call.name in ("fsync", "fdatasync"):
            return self._sync(call)
        if call.result is None or call.failed:
            return False
        return self._change(call)

    def cut(self, keep: Keep, into: Path) -> None:
        """What is there when the power is back."""
        self._lay_down(self._top, keep, into)

    def _lay_down(self, folder: Folder, keep: Keep, into: Path) -> None:
        into.mkdir(mode=0o700)
        for name, what in folder.entries(keep).items():
            if isinstance(what, Folder):
                self._lay_down(what, keep, into / name)
            else:
                (into / name).write_bytes(what.content(keep))

    def _sync(self, call: Call) -> bool:
        if call.result is None:
            found = self._find(call.path())
            if found is not None:
                self._syncing[call.pid] = found, len(found.since)
            return False
        what, changes = self._syncing.pop(call.pid, (None, 0))
        if what is None or call.failed:
            return False
        what.settle(changes)
        return changes > 0

    def _change(self, call: Call) -> bool:
        match call.name:
            case "openat":
                return self._open(call)
            case "write" | "pwrite64" | "ftruncate":
                return self._write(call)
            case "mkdir":
                return self._name(call.path(), Folder())
            case "unlink" | "rmdir":
                return self._name(call.path(), None)
            case "rename":
                moved = self._find(call.path())
                return self._name(call.path(), None) and self._name(call.path(1), moved)
        raise NotImplementedError(call.name)

    def _open(self, call: Call) -> bool:
        flags, path = call.arguments[2], decoded(call.returned).decode(errors="surrogateescape")
        if self._below(path) is None or "O_CREAT" not in flags or "O_PATH" in flags:
            return False
        found = self._find(path)
        if found is None:
            return self._name(path, File())
        if "O_TRUNC" in flags and isinstance(found, File):
            found.cut_to(0)
        return "O_TRUNC" in flags

    def _write(self, call: Call) -> bool:
        file = self._find(call.path())
        if not isinstance(file, File):
            return False
        if call.name == "ftruncate":
            file.cut_to(call.number(1))
        else:
            assert call.result is not None
            file.write(call.data()[: call.result], call.number(3) if call.name == "pwrite64" else None)
        return True

    def _name(self, path: str, what: "File | Folder | None") -> bool:
        below = self._below(path)
        if below is None:
            return False
        *parents, name = below
        folder = self._walk(parents)
        assert isinstance(folder, Folder), path
        folder.since.append((name, what))
        return True

    def _find(self, path: str) -> "File | Folder | None":
        below = self._below(path)
        return None if below is None else self._walk(below)

    def _walk(self, parts: list[str]) -> "File | Folder | None":
        at: File | Folder | None = self._top
        for part in parts:
            if not isinstance(at, Folder):
                return None
            at = at.entries(everything).get(part)
        return at

    def _below(self, path: str) -> list[str] | None:
        """The names that lead to it; None where it is not below our folder."""
        if Path(path) == self._root:
            return []
        return (
            list(Path(path).relative_to(self._root).parts) if Path(path).is_relative_to(self._root) else None
        )
