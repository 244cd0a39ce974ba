"""What a job type is: the records that jobtypes.yaml becomes. Durations are seconds, sizes are bytes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Retries:
    """When a failed attempt is followed by another."""

    max_attempts: int = 1
    """Attempts in all; 1 is no retry."""
    backoff: Literal["fixed", "exponential"] = "exponential"
    initial: float = 1.0
    """Seconds before the second attempt."""
    max: float | None = 3600.0
    """Seconds that no wait exceeds; None: no bound."""
    jitter: bool = True
    """Waits vary at random, so that jobs which failed together do not come back together."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use; None: as much as the supervisor may."""

    memory: int | None = None
    """Bytes."""
    cpu_time: float | None = None
    """Seconds of processor time."""
    processes: int | None = None
    open_files: int | None = None
    file_size: int | None = None
    """Bytes in one written file."""
    output: int = 10 * 2**20
    """Bytes of its log that are kept."""


@dataclass(frozen=True, slots=True)
class RunAs:
    """The user that a job runs as, by name."""

    user: str
    group: str | None = None
    """None: the user's own."""


@dataclass(frozen=True, slots=True)
class Env:
    """What a job finds in its environment, beside the minimal set."""

    inherit: tuple[str, ...] | Literal["all"] = ()
    """Names of the supervisor's variables that are passed on."""
    set: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What the kernel keeps a job from."""

    network: bool = True
    """False: no network at all."""
    private_tmp: bool | int = False
    """A /tmp of its own; a number bounds it, in bytes."""
    read_only: bool | tuple[Path, ...] = False
    """True: the whole file system but `writable`; or just these paths."""
    writable: tuple[Path, ...] = ()
    no_new_privileges: bool = True

    @property
    def asked(self) -> bool:
        """Whether anything beyond the defaults is asked for."""
        return not self.network or bool(self.private_tmp or self.read_only or self.writable)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobType:
    """How jobs of one kind run. Exactly one of `handler` and `command` is set."""

    name: str
    handler: str | None = None
    """`package.module:function`."""
    command: tuple[str, ...] | None = None
    """Program and arguments; no shell."""
    max_concurrency: int
    """Children of this type at a time, at most."""
    description: str | None = None
    """One line for people."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Handed to the handler as it is; JSON."""
    priority: int = 0
    """Larger runs first."""
    timeout: float | None = None
    """Seconds an attempt may run; None: for ever."""
    grace: float = 10.0
    """Seconds between SIGTERM and SIGKILL."""
    retries: Retries = Retries()
    on_owner_death: Literal["fail", "retry"] = "fail"
    max_crashes: int = 3
    """Deaths by signal, out-of-memory or owner's death that end a job for good, whatever `retries` says."""
    limits: Limits = Limits()
    run_as: RunAs | None = None
    """None: the supervisor's user."""
    working_directory: Path | None = None
    """None: a private empty folder, removed afterwards."""
    env: Env = field(default_factory=Env)
    nice: int = 0
    sandbox: Sandbox = Sandbox()
    preload: bool = True
    """Import the handler once, before the first job."""


@dataclass(frozen=True, slots=True)
class JobTypes:
    """A configuration without mistakes."""

    import_paths: tuple[Path, ...]
    """Absolute folders in which job code is found, first to last."""
    types: Mapping[str, JobType]
    """By name, in file order; read-only."""
    source: Path
    """The file this came from, absolute."""
