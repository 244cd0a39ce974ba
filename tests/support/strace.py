"""What strace(1) shows of processes: whether it may, and its lines as calls."""

import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

WHOLE = ("-qq", "-y", "-xx", "-s", "4194304", "-e", "signal=none")
"""Options for `calls`: every string as it is, every descriptor with its path, and nothing else."""

_BEGINS = re.compile(r"(\d+) +(\w+)\((.*)", re.DOTALL)
_RESUMES = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)", re.DOTALL)
_ENDS = re.compile(r"(.*)\) += (-?\d+|0x[0-9a-f]+|\?)(.*)", re.DOTALL)
_UNFINISHED = " <unfinished ...>"
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


@cache
def refused() -> str | None:
    """Why nothing can be traced here; None where it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    tried = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    return None if tried.returncode == 0 else f"strace may not trace here: {tried.stderr.strip()}"


def needs_strace() -> None:
    if reason := refused():
        pytest.skip(reason)


@dataclass(frozen=True, slots=True)
class Call:
    """One system call, at its beginning (`result` is None) or at its end."""

    pid: int
    name: str
    arguments: tuple[str, ...]
    result: int | None
    returned: str = ""
    """What stands behind the result: the path of a new descriptor, or an error's name."""

    @property
    def failed(self) -> bool:
        return self.result is not None and self.result < 0

    def path(self, number: int = 0) -> str:
        """The path of a descriptor, or a path as it was given."""
        argument = self.arguments[number]
        text = (
            argument[argument.index("<") + 1 : argument.rindex(">")]
            if "<" in argument
            else argument.strip('"')
        )
        return decoded(text).decode(errors="surrogateescape")

    def data(self, number: int = 1) -> bytes:
        return decoded(self.arguments[number].strip('"'))

    def number(self, number: int) -> int:
        return int(self.arguments[number], 0)


def calls(log: Path) -> Iterator[Call]:
    """Beginning and end of each call, in order. Of a process that was killed in one there is no end."""
    begun: dict[int, str] = {}
    with log.open() as lines:
        for line in lines:
            yield from _read(line.rstrip("\n"), begun)


def _read(line: str, begun: dict[int, str]) -> Iterable[Call]:
    if resumes := _RESUMES.match(line):
        pid, name, rest = resumes.groups()
        return [_ended(int(pid), name, begun.pop(int(pid)) + rest)]
    begins = _BEGINS.match(line)
    if begins is None:
        return []
    pid, name, rest = begins.groups()
    if rest.endswith(_UNFINISHED):
        begun[int(pid)] = rest.removesuffix(_UNFINISHED)
        return [Call(int(pid), name, _split(begun[int(pid)]), None)]
    ended = _ended(int(pid), name, rest)
    return [Call(ended.pid, name, ended.arguments, None), ended]


def _ended(pid: int, name: str, text: str) -> Call:
    ends = _ENDS.fullmatch(text)
    if ends is None or ends[2] == "?":
        return Call(pid, name, _split(text), -1, "?")
    return Call(pid, name, _split(ends[1]), int(ends[2], 0), ends[3].strip())


def _split(arguments: str) -> tuple[str, ...]:
    """Every string is in hexadecimal, so a comma is always one between arguments."""
    return tuple(arguments.rstrip(", ").split(", "))


def decoded(text: str) -> bytes:
    return bytes(int(pair, 16) for pair in _ESCAPE.findall(text))
