"""Where things live and how the service behaves: flags and environment become frozen settings.

The command line turns its flags into `Locations` and hands them to the supervisor as
environment variables, so that there is one way in and nothing to parse twice.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from supervisor.errors import InvalidConfiguration, StoreUnavailable

LogFormat = Literal["text", "json"]

API_SOCKET = "api.sock"
"""In the state folder: where the http server listens in any case."""
_DRAIN_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Locations:
    """The state folder, the job types file and the database."""

    state_dir: Path
    config: Path
    database: str
    """An SQLAlchemy URL, or the path of an SQLite file: absolute, wherever it is opened from."""

    @classmethod
    def resolve(
        cls,
        state_dir: str | os.PathLike[str] | None = None,
        config: str | os.PathLike[str] | None = None,
        database: str | None = None,
        environ: Mapping[str, str] = os.environ,
    ) -> Self:
        """What was given wins, then ASYNCWORKER_*, systemd's $STATE_DIRECTORY, XDG (basedir-spec 0.8)."""
        folder = state_dir or environ.get("ASYNCWORKER_STATE_DIR") or _default_state_dir(environ)
        state = Path(folder).absolute()
        types = Path(config or environ.get("ASYNCWORKER_CONFIG") or "jobtypes.yaml").absolute()
        file = database or environ.get("ASYNCWORKER_DATABASE") or str(state / "jobs.db")
        return cls(state, types, _absolute(file))

    @property
    def logs(self) -> Path:
        return self.state_dir / "logs"

    @property
    def working_directories(self) -> Path:
        """Where attempts have their private folders."""
        return self.state_dir / "work"

    @property
    def wake_socket(self) -> Path:
        return self.state_dir / "wake.sock"

    @property
    def api_socket(self) -> Path:
        return self.state_dir / API_SOCKET

    def log_of(self, job_id: str, attempt: int) -> Path:
        """Where an attempt's output is kept."""
        return self.logs / job_id / f"{attempt}.log"

    def working_directory_of(self, job_id: str, attempt: int) -> Path:
        """The private folder of an attempt whose job type names none."""
        return self.working_directories / f"{job_id}.{attempt}"

    def make_state_dir(self) -> None:
        """Make the state folder, for the owner alone.

        Raises StoreUnavailable where it cannot be made or written to.
        """
        try:
            self.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.logs, self.working_directories):
                folder.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise StoreUnavailable(
                f"the state folder {self.state_dir} cannot be used ({error.strerror}); "
                "give a folder that you may write to with --state-dir"
            ) from error


@dataclass(frozen=True, slots=True)
class Keep:
    """Seconds for which ended jobs are kept, with their attempts and logs; infinity: for ever."""

    completed: float = 7 * 86_400.0
    failed: float = 30 * 86_400.0
    cancelled: float = 7 * 86_400.0

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Raises InvalidConfiguration."""
        plain = cls()

        def given(name: str, default: float) -> float:
            return _seconds(environ, f"ASYNCWORKER_KEEP_{name}", default, forever=True)

        return cls(
            given("COMPLETED", plain.completed),
            given("FAILED", plain.failed),
            given("CANCELLED", plain.cancelled),
        )


@dataclass(frozen=True, slots=True)
class Settings:
    """What `serve` runs with. Durations are in seconds."""

    locations: Locations
    drain_timeout: float = _DRAIN_TIMEOUT
    """How long running jobs may go on after a SIGTERM before they are terminated."""
    log_format: LogFormat = "text"
    tick: float = 1.0
    """Longest wait for a nudge: a submit whose nudge was lost is found this late."""
    heartbeat: float = 5.0
    """Between two heartbeats in the database: for people to see, nobody's death is judged by it."""
    recovery: float = 2.0
    """Between two looks for jobs whose owner is gone."""
    keep: Keep = Keep()
    spares: int = 2
    """Children kept started and waiting at the gate, so that a job need not wait for a fork."""

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        log_format = environ.get("ASYNCWORKER_LOG_FORMAT", "text")
        if log_format not in ("text", "json"):
            raise InvalidConfiguration(f"ASYNCWORKER_LOG_FORMAT is {log_format!r}; it takes text or json")
        return cls(
            locations=Locations.resolve(environ=environ),
            drain_timeout=_seconds(environ, "ASYNCWORKER_DRAIN_TIMEOUT", _DRAIN_TIMEOUT),
            log_format="json" if log_format == "json" else "text",
            keep=Keep.from_environment(environ),
        )


def _absolute(database: str) -> str:
    """What cannot be the name of a file stays as it is: whoever opens it refuses it."""
    name = database
    if "://" in database:
        dialect, _, name = database.partition(":///")
        if dialect.partition("+")[0] != "sqlite" or "?" in name:
            return database
    return database if name in ("", ":memory:") or name.startswith("/") else str(Path(name).absolute())


def _seconds(environ: Mapping[str, str], name: str, default: float, *, forever: bool = False) -> float:
    text = environ.get(name)
    if text is None:
        return default
    from supervisor.units import duration, period  # noqa: PLC0415  (the command line resolves without it)

    try:
        return period(text) if forever else duration(text)
    except ValueError as error:
        raise InvalidConfiguration(f"{name}: {error}") from error


def _default_state_dir(environ: Mapping[str, str]) -> str:
    # systemd gives a colon-separated list where a unit names several (systemd.exec(5)).
    if given := environ.get("STATE_DIRECTORY"):
        return given.split(":")[0]
    home = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return str(Path(home) / "asyncworker")
