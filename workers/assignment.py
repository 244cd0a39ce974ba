"""The job as it goes through the gate: everything a child needs, so that it never opens the database."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from workers.confinement import Confinement
from workers.context import JobContext
from workers.frames import Frame
from workers.limits import Limits


@dataclass(frozen=True, slots=True)
class Assignment:
    """One attempt of one job."""

    job_id: str
    job_type: str
    attempt: int
    payload: str
    """JSON text."""
    options: dict[str, Any]
    handler: str | None
    command: list[str] | None
    import_paths: list[str]
    log: str
    output_limit: int
    """Bytes of the log that are kept."""
    directory: str
    private_directory: bool
    """Made for this attempt, and removed after it."""
    environment: dict[str, str]
    nice: int
    timeout: float | None
    """Seconds after which the supervisor ends it."""
    grace: float
    """Seconds between SIGTERM and SIGKILL."""
    confinement: Confinement
    limits: Limits

    def context(self, payload: Any, report_progress: Callable[[float, str | None], None]) -> JobContext:
        """What its handler is given. `payload`: what the text of it says."""
        return JobContext(
            id=self.job_id,
            type=self.job_type,
            attempt=self.attempt,
            payload=payload,
            options=self.options,
            directory=Path(self.directory),
            report_progress=report_progress,
        )

    def to_frame(self) -> Frame:
        return asdict(self)

    @classmethod
    def from_frame(cls, frame: Frame) -> Self:
        confinement, limits = Confinement(**frame["confinement"]), Limits(**frame["limits"])
        return cls(**frame | {"confinement": confinement, "limits": limits})
