"""Everything that a hostile job could want: a service's files, sockets, processes; a set-uid program."""

import contextlib
import ctypes
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.escapes.attempts import SESSION_KEYRING, SYS_ADD_KEY, SYS_KEYCTL
from tests.support.keeper import RunningJob, TestKeeper, keeper_in
from tests.support.ordinary import UID
from workers.confinement import Confinement

HERE = Path(__file__).parent
_ORDINARY = str(HERE.parent / "support" / "ordinary.py")
OTHER = UID - 1
"""The user of jobs with `run_as`, where the service is root's."""

_GUARDED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from workers.guard import guard_the_service
database = open(sys.argv[2], "rb")
guard_the_service()
print("ready", flush=True)
sys.stdin.read()
"""
_IPC_RMID, _IPC_CREAT = 0, 0o1000


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """One service: its keeper, its state folder, and what else there is to get at."""

    folder: Path
    keeper: TestKeeper
    facts: dict[str, Any]

    @property
    def mark(self) -> str:
        return str(self.facts["mark"])

    @property
    def hidden(self) -> list[str]:
        return [self.facts["state"], self.facts["token"]]

    def skip_without_namespaces(self) -> None:
        """Where this host refuses them to this user, with what it says."""
        empty = json.dumps({"facts": {}, "names": []})
        refusal = self.run("try_all", empty, Confinement(private_tmp=True)).ended().outcome.error_message
        if refusal:
            pytest.skip(refusal)

    def run(self, handler: str, payload: str, confinement: Confinement) -> RunningJob:
        number = secrets.token_hex(4)
        return self.keeper.run(
            payload=payload,
            handler=f"attempts:{handler}",
            import_paths=[str(HERE)],
            log=f"{self.facts['state']}/logs/{number}.log",
            directory=f"{self.facts['state']}/work/{number}",
            confinement=confinement,
        )


@contextlib.contextmanager
def ground_of(*, root: bool, namespaces: bool = True) -> Iterator[Ground]:
    """Of a service that is root's, or an ordinary user's who may have namespaces, or may not."""
    with ExitStack() as undo:
        folder = Path(tempfile.mkdtemp(dir="/tmp"))
        undo.callback(shutil.rmtree, folder)
        folder.chmod(0o755)
        through = () if root else ordinary(namespaces=namespaces)
        facts = _files(folder, undo) | _sockets(folder, undo) | _set_uid_program(folder)
        for path in [*folder.rglob("*"), folder]:
            if through and path.name != "id":
                os.chown(path, UID, UID, follow_symlinks=False)
        facts |= _shared_memory(facts["mark"], undo) | _key(facts["mark"])
        keeper = undo.enter_context(keeper_in(folder, through=through))
        service = subprocess.Popen(
            [*through, sys.executable, "-c", _GUARDED, str(HERE.parent.parent), facts["database"]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        undo.callback(_end, service)
        assert service.stdout is not None
        assert service.stdout.readline() == b"ready\n"
        keeper.start()
        facts["uid"] = folder.stat().st_uid
        yield Ground(folder, keeper, facts | {"service": [service.pid, keeper.pid]})


def ordinary(*, namespaces: bool) -> tuple[str, ...]:
    """What to put before a command so that an ordinary user executes it; nothing where we are one."""
    mode = f"with{'' if namespaces else 'out'}-namespaces"
    return () if os.getuid() != 0 else (sys.executable, _ORDINARY, mode, str(UID))


def _files(folder: Path, undo: ExitStack) -> dict[str, Any]:
    mark = f"escape-{secrets.token_hex(6)}"
    state, elsewhere = folder / "state", folder / "elsewhere"
    for made in (state, state / "logs", state / "work"):
        made.mkdir(mode=0o700)
    elsewhere.mkdir()
    elsewhere.chmod(0o777)
    for name in ("state/jobs.db", "state/logs/other.log", "token"):
        (folder / name).touch(0o600)
        (folder / name).write_text("secret")
    common = Path("/tmp", mark)
    common.write_text("of another")
    undo.callback(common.unlink)
    undo.callback(_remove_marked, mark)
    hierarchies = [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]
    groups = [str(path / "cgroup.procs") for path in hierarchies if (path / "cgroup.procs").exists()]
    disks = [name for name in sorted(os.listdir("/sys/block")) if Path("/dev", name).is_block_device()]
    return {
        "mark": mark,
        "state": str(state),
        "database": str(state / "jobs.db"),
        "token": str(folder / "token"),
        "output": str(state / "logs" / "other.log"),
        "elsewhere": str(elsewhere),
        "in_tmp": str(common),
        "control_group": groups[0] if groups else "",
        "vsock": _can(lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()),
        "io_uring": _can(lambda: os.close(_ring())),
        "disk": f"/dev/{disks[0]}" if disks else "",
    }


def _sockets(folder: Path, undo: ExitStack) -> dict[str, Any]:
    name = secrets.token_hex(6)
    in_run = f"/run/{name}.sock" if os.access("/run", os.W_OK) else ""
    addresses: dict[str, tuple[int, int, Any]] = {
        "api_socket": (socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "state" / "api.sock")),
        "wake_socket": (socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "state" / "wake.sock")),
        "abstract_socket": (socket.AF_UNIX, socket.SOCK_STREAM, f"\0{name}"),
        "tcp_port": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
        "udp_port": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
    }
    if in_run:
        addresses["run_socket"] = (socket.AF_UNIX, socket.SOCK_STREAM, in_run)
        undo.callback(Path(in_run).unlink)
    facts: dict[str, Any] = {"run_socket": in_run}
    for fact, (family, kind, address) in addresses.items():
        one = undo.enter_context(socket.socket(family, kind))
        one.bind(address)
        if kind == socket.SOCK_STREAM:
            one.listen(100)
        at = one.getsockname()
        facts[fact] = (
            at[1] if isinstance(at, tuple) else at.lstrip(b"\0").decode() if isinstance(at, bytes) else at
        )
    if in_run:
        os.chmod(in_run, 0o777)
    return facts


def _set_uid_program(folder: Path) -> dict[str, str]:
    program = folder / "id"
    shutil.copy(shutil.which("id") or "", program)
    program.chmod(0o4755)
    return {"set_uid": str(program)}


def _shared_memory(mark: str, undo: ExitStack) -> dict[str, int]:
    key = secrets.randbits(30)
    libc = ctypes.CDLL(None)
    segment = libc.shmget(key, 4096, _IPC_CREAT | 0o666)
    undo.callback(libc.shmctl, segment, _IPC_RMID, None)
    file = Path("/dev/shm", mark)
    file.touch()
    undo.callback(file.unlink)
    return {"shm_key": key}


def _key(mark: str) -> dict[str, str]:
    """In a session keyring of our own, which the service inherits; none where that is forbidden."""
    libc = ctypes.CDLL(None, use_errno=True)
    joined = libc.syscall(SYS_KEYCTL, 1, None) > 0
    there = joined and libc.syscall(SYS_ADD_KEY, b"user", mark.encode(), b"secret", 6, SESSION_KEYRING) > 0
    return {"key": mark if there else ""}


def _end(service: "subprocess.Popen[bytes]") -> None:
    service.communicate()


def _remove_marked(mark: str) -> None:
    for file in Path("/tmp").glob(f"{mark}.*"):
        file.unlink()


def _can(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _ring() -> int:
    fd: int = ctypes.CDLL(None, use_errno=True).syscall(425, 8, ctypes.create_string_buffer(120))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "io_uring_setup")
    return fd
