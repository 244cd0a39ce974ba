"""A systemd of its own as PID 1, in namespaces, over a throw-away layer above this machine's root.

Nothing of the host is touched: mounts, processes, control groups and files are those of the namespaces, and
go with them. It wants root, and a kernel that lets us mount; where that is refused, a test is skipped.
"""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.eventually import eventually

SYSTEMD = Path("/usr/lib/systemd/systemd")

# Runs as the first process of the new PID namespace. $1: an empty folder. systemd takes its place.
_BOOT = r"""
set -eu
W=$1 R=$1/root
mount --make-rprivate /
mount -t tmpfs tmpfs "$W"
mkdir "$W/upper" "$W/work" "$R"
mount -t overlay overlay -o "lowerdir=/,upperdir=$W/upper,workdir=$W/work" "$R"
mount -t proc proc "$R/proc"
mount -t sysfs -o ro sysfs "$R/sys"
mount -t cgroup2 cgroup2 "$R/sys/fs/cgroup"
mount -t tmpfs tmpfs "$R/run"
mount -t tmpfs -o mode=1777 tmpfs "$R/tmp"
for place in $2; do mkdir -p "$R$place"; mount --rbind "$place" "$R$place"; done
mount -t tmpfs -o mode=755 tmpfs "$R/dev"
for d in null zero full random urandom tty; do touch "$R/dev/$d"; mount --bind "/dev/$d" "$R/dev/$d"; done
mkdir -m 1777 "$R/dev/shm"; mkdir "$R/dev/pts"
ln -s /proc/self/fd "$R/dev/fd"; ln -s pts/ptmx "$R/dev/ptmx"
touch "$R/dev/console"; mount --bind "$W.console" "$R/dev/console"
rm -rf "$R/etc/systemd/system"; mkdir -p "$R/etc/systemd/system"
cd "$R/etc/systemd/system"
for unit in udevd logind networkd resolved timesyncd journald journal-flush sysctl tmpfiles-setup; do
    ln -s /dev/null "systemd-$unit.service"
done
printf '[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n' > tests.target
cd "$R"; mkdir -p old; pivot_root . old; umount -l /old
export container=test
exec /usr/lib/systemd/systemd --system --unit=tests.target --log-target=console --show-status=0 </dev/null
"""


class Systemd:
    """One that runs. Everything is asked of it from the inside."""

    def __init__(self, pid: int, console: Path) -> None:
        self.pid = pid
        self._console = console

    def run(
        self, *command: str, check: bool = True, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """A command in there."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-m", "-p", "-C", "-u", "-i", "-n", *command],
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **(environment or {})},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self.log()}"
        return done

    def control(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """`systemctl`."""
        return self.run("systemctl", "--no-pager", *arguments, check=check)

    def shows(self, unit: str, name: str) -> str:
        """One property of a unit."""
        return self.control("show", unit, "-p", name, "--value").stdout.strip()

    def write(self, path: str, text: str) -> None:
        """A file in there."""
        subprocess.run(
            [
                "nsenter",
                "-t",
                str(self.pid),
                "-m",
                "sh",
                "-c",
                'mkdir -p "${1%/*}" && cat > "$1"',
                "sh",
                path,
            ],
            input=text,
            text=True,
            check=True,
            timeout=20,
        )

    def log(self) -> str:
        """What it and its services have said."""
        return self._console.read_text(errors="replace")


def _is_hidden(path: Path) -> bool:
    """Whether it lies where every system has a folder of its own."""
    return path.is_relative_to("/tmp") or path.is_relative_to("/run")


@contextlib.contextmanager
def systemd(*needed: Path, shared: Path) -> Iterator[Systemd]:
    """Booted. `needed` can be seen in there; `shared` is the same folder outside and inside.

    The test is skipped where this cannot be had.
    """
    lacking = _lacking()
    if lacking:
        pytest.skip(f"no systemd of its own: {lacking}")
    folder = Path(tempfile.mkdtemp(prefix="asyncworker-systemd-"))
    console = folder.with_name(f"{folder.name}.console")
    console.touch()
    group = _cgroup2() / folder.name
    group.mkdir()
    root = Path("/").stat().st_dev
    mounts = [str(path) for path in (shared, *needed) if path.stat().st_dev != root or _is_hidden(path)]
    with console.open("ab") as stream:
        # In the group before the namespaces are made: that is the root of what can be seen in there.
        boot = subprocess.Popen(
            ["bash", "-c", _ENTER, str(group), _BOOT, str(folder), " ".join(mounts)],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            start_new_session=True,
        )
    try:
        yield _booted(boot, console)
    finally:
        boot.kill()  # and with it everything in its PID namespace
        boot.wait()
        _remove(group)
        console.unlink()
        shutil.rmtree(folder)


_ENTER = (
    'echo 0 > "$0/cgroup.procs" && exec unshare --mount --pid --fork --kill-child --cgroup --uts --ipc --net '
    'bash -c "$1" boot "$2" "$3"'
)


def _lacking() -> str | None:
    if os.geteuid() != 0:
        return "only root can make its namespaces"
    missing = [each for each in ("unshare", "nsenter", "systemctl") if shutil.which(each) is None]
    if missing or not SYSTEMD.exists():
        return f"not installed: {', '.join([*missing, *([] if SYSTEMD.exists() else ['systemd'])])}"
    try:
        probe = _cgroup2() / f"asyncworker-probe-{os.getpid()}"
        probe.mkdir()
        probe.rmdir()
    except OSError as error:
        return f"no control group can be made ({error.strerror or error})"
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "--cgroup", "--uts", "--ipc", "--net", "sh", "-c", _TRY],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    return None if tried.returncode == 0 else f"mounts are refused here ({tried.stderr.strip()})"


_TRY = "mount --make-rprivate / && mount -t tmpfs tmpfs /tmp && cd /tmp && mkdir u w r && \
mount -t overlay overlay -o lowerdir=/,upperdir=u,workdir=w r && mount -t cgroup2 cgroup2 r"


def _cgroup2() -> Path:
    """Where control groups of version 2 are. Raises OSError where they are nowhere."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    raise FileNotFoundError("control groups of version 2 are not mounted")


def _booted(boot: "subprocess.Popen[bytes]", console: Path) -> Systemd:
    def first() -> int:
        assert boot.poll() is None, console.read_text(errors="replace")
        children = Path(f"/proc/{boot.pid}/task/{boot.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    it = Systemd(eventually(first), console)

    def is_up() -> bool:
        assert boot.poll() is None, it.log()
        return it.control("is-active", "tests.target", check=False).stdout.strip() == "active"

    eventually(is_up, 60.0, 0.1)
    return it


def _remove(group: Path) -> None:
    """With every group that was made below it."""
    for folder, _, _ in os.walk(group, topdown=False):
        eventually(lambda folder=folder: not Path(folder, "cgroup.procs").read_text())  # type: ignore[misc]
        os.rmdir(folder)
