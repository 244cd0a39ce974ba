"""What the kernel is to keep a job from: pure description, as it goes through the gate."""

from dataclasses import dataclass, field


class CannotConfine(Exception):
    """What a job type asks for cannot be had here. One sentence; the job is not started."""


@dataclass(frozen=True, slots=True)
class Confinement:
    """As its job type says it. Paths are absolute."""

    user: str | None = None
    """Name or number of the user to run as; None: the service's."""
    group: str | None = None
    """None: the user's own."""
    no_new_privileges: bool = True
    network: bool = True
    private_tmp: bool | int = False
    """A number bounds it, in bytes."""
    read_only: bool | list[str] = False
    """True: everything but `writable`; or just these paths."""
    writable: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    """Files and folders of the service that no confined job gets to see."""

    @property
    def asks_for_sandbox(self) -> bool:
        """Whether the job is to be on its own, and not only run with few rights."""
        return not self.network or bool(self.private_tmp or self.read_only or self.writable)
