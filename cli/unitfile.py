"""The text of a systemd unit for one installation. Pure; what each line is for stands beside it."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

from supervisor.units import spoken

LONGEST_END = 60.0
"""Seconds beyond drain and grace: to record what is left, to end http server and keepers, and room."""

_HOMES = (Path("/home"), Path("/root"), Path("/run/user"))
_TEMPORARY = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108  what PrivateTmp= covers


@dataclass(frozen=True, slots=True)
class Installation:
    """What is to be run, and what it needs."""

    command: tuple[str, ...]
    """Program and arguments."""
    drain: float = 30.0
    """Seconds that running jobs have after SIGTERM."""
    grace: float = 10.0
    """The longest of the job types."""
    user: str | None = None
    """None: the user whose service manager it is; for the system's, root."""
    for_system: bool = True
    """For the system's service manager, or for that of a user."""
    own_state: bool = False
    """The state folder is one of `writes`, not one that systemd makes."""
    needs_root: bool = False
    """Job types run as other users."""
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = field(default=())


def unit_file(it: Installation) -> str:
    """The whole file."""
    parts = [_unit(it), _service(it), *([_sandbox(it)] if it.for_system else []), _install(it)]
    return "\n".join("\n".join(part) + "\n" for part in parts)


def quoted(argument: str) -> str:
    """As a word of a command line in a unit: % and $ stand for themselves (systemd.service(5))."""
    text = argument.replace("%", "%%").replace("$", "$$")
    if text and not set(text) & set(" \t\"'\\;"):
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _unit(it: Installation) -> Iterator[str]:
    yield "[Unit]"
    yield "Description=AsyncWorker job service"
    yield from ["After=network.target"] if it.for_system else []
    yield "# A service that cannot start is tried ten times, then it is left failed."
    yield "StartLimitIntervalSec=60"
    yield "StartLimitBurst=10"


def _service(it: Installation) -> Iterator[str]:
    yield "[Service]"
    yield "# Started means: what a dead supervisor left is settled, jobs are claimed, and HTTP answers."
    yield "# From systemd 253 on: Type=notify-reload, without ExecReload=, lets a reload wait for its end."
    yield "Type=notify"
    yield "NotifyAccess=main"
    yield f"ExecStart={' '.join(map(quoted, it.command))}"
    yield "ExecReload=/bin/kill -HUP $MAINPID"
    yield from _user(it)
    if not it.own_state:
        yield "# /var/lib/asyncworker, for this user alone. Clients: --state-dir /var/lib/asyncworker"
        yield "StateDirectory=asyncworker"
        yield "StateDirectoryMode=0700"
    yield "UMask=0077"
    yield "# Only the supervisor gets SIGTERM: it drains, and ends jobs. What is left then gets SIGKILL."
    yield "KillMode=mixed"
    yield f"# The drain ({spoken(it.drain)} s), the longest grace ({spoken(it.grace)} s), and what follows."
    yield f"TimeoutStopSec={ceil(it.drain + it.grace + LONGEST_END)}"
    yield "# Fed by the supervisor's loop itself. SIGABRT has it write into the log where it is stuck."
    yield "WatchdogSec=30"
    yield "TimeoutAbortSec=10"
    yield "# Exit code 2 is a mistake in the configuration: another start would find it again."
    yield "Restart=on-failure"
    yield "RestartSec=1"
    yield "RestartPreventExitStatus=2"
    yield "# The control groups below are the service's own, for those of its jobs."
    yield "Delegate=yes"
    yield "# A job that runs out of memory is a failed job, and no reason to stop the others."
    yield "OOMPolicy=continue"
    yield "# Three descriptors for each running job."
    yield "LimitNOFILE=16384"


def _user(it: Installation) -> Iterator[str]:
    if not it.for_system:
        return
    if it.user:
        yield f"User={it.user}"
    elif it.needs_root:
        yield "# As root: job types have run_as."
    else:
        yield "# As root. Better: useradd --system --no-create-home asyncworker, and here:"
        yield "#User=asyncworker"


def _sandbox(it: Installation) -> Iterator[str]:
    """Jobs inherit all of it, and make namespaces, mounts and control groups of their own below it."""
    yield "# What service and jobs are kept from. Sandboxes and limits of jobs need namespaces, mounts and"
    yield "# control groups: so RestrictNamespaces= and ProtectControlGroups= are left out; and what covers"
    yield "# parts of /proc, because then the kernel lets only root mount a new one: ProtectKernelTunables=,"
    yield "# ProtectKernelLogs=, ProtectHostname=, ProtectProc=, ProcSubset=."
    yield "NoNewPrivileges=yes"
    yield "# Nothing is writable but the state folder, /tmp, /dev/shm, and what is named here."
    yield "ProtectSystem=strict"
    for path in it.writes:
        yield f"ReadWritePaths=-{_path(path)}"
    yield f"ProtectHome={'read-only' if _any_in([*it.reads, *it.writes], _HOMES) else 'yes'}"
    if _any_in([*it.reads, *it.writes], _TEMPORARY):
        yield f"ReadWritePaths={' '.join(map(str, _TEMPORARY))}"
    else:
        yield "PrivateTmp=yes"
    yield "# Jobs that use a GPU or another device: leave this line out."
    yield "PrivateDevices=yes"
    yield from (f"{name}=yes" for name in ("ProtectClock", "ProtectKernelModules"))
    yield from (f"{name}=yes" for name in ("LockPersonality", "RestrictRealtime", "RestrictSUIDSGID"))
    yield "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"
    yield "SystemCallArchitectures=native"
    yield "SystemCallFilter=~@clock @cpu-emulation @module @obsolete @raw-io @reboot @swap"
    yield "SystemCallErrorNumber=EPERM"
    if it.user and it.user != "root":
        yield "# In a user namespace of its own a job has them all, and they concern nothing outside."
        yield "CapabilityBoundingSet="
        yield "AmbientCapabilities="


def _install(it: Installation) -> Iterator[str]:
    yield "[Install]"
    yield f"WantedBy={'multi-user' if it.for_system else 'default'}.target"


def _path(path: Path) -> str:
    """As a word of a list of paths: here a $ is nothing special."""
    return quoted(str(path)).replace("$$", "$")


def _any_in(paths: Iterable[Path], folders: Iterable[Path]) -> bool:
    places = [*folders]
    return any(path.is_relative_to(folder) for path in paths for folder in places)
