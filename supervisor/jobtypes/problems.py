"""The mistakes in a configuration file: gathered, in order of line, thrown together."""

from dataclasses import dataclass, field

from supervisor.errors import InvalidConfiguration


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is and what is wrong, for a person to correct."""

    file: str
    line: int
    """Counted from 1."""
    path: str
    """Dotted keys, such as job_types.EmailJob.timeout; empty for the file as a whole."""
    what: str

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: "
        return f"{place}{self.path}: {self.what}" if self.path else f"{place}{self.what}"


class InvalidJobTypes(InvalidConfiguration):
    """The job types have mistakes."""

    def __init__(self, message: str | None = None, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message or "\n".join(map(str, problems)))
        self.problems = problems


class UnreadJobTypes(InvalidJobTypes):
    """The file is there and could not be read now; what it holds is not known."""


@dataclass(slots=True)
class Problems:
    """What was found in one file so far. The same mistake found twice is one mistake."""

    file: str
    found: dict[Problem, None] = field(default_factory=dict)

    def report(self, line: int, path: str, what: str) -> None:
        self.found[Problem(self.file, line, path, what)] = None

    def under(self, path: str) -> bool:
        """Whether something is wrong at this path or below it."""
        return any(f"{problem.path}.".startswith(f"{path}.") for problem in self.found)

    def raise_if_any(self) -> None:
        if self.found:
            raise InvalidJobTypes(problems=tuple(sorted(self.found, key=lambda problem: problem.line)))


def shown(text: str, longest: int = 60) -> str:
    """Text from a file, safe inside a one-line message."""
    if len(text) > longest:
        text = text[: longest - 3] + "..."
    return text if text and text.isprintable() else repr(text)
