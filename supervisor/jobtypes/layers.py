"""A job type as two layers of the file: its own keys over those of the defaults."""

from dataclasses import dataclass, field
from typing import Any

from supervisor.jobtypes.keys import JOB_TYPE, NESTED
from supervisor.yamltext.values import Refused, Spot, mentioned, read_table


@dataclass(frozen=True, slots=True)
class Layer:
    """The keys of one job type, or of the defaults, as far as they could be read."""

    spot: Spot
    values: dict[str, Any] = field(default_factory=dict)
    mentioned: frozenset[str] = frozenset()
    """What the file gives here, unreadable and misspelt keys included: they are not missing too."""
    readable: bool = True
    """It is a mapping."""

    def gives(self, key: str) -> bool:
        """Whether something other than null stands here, or was meant to."""
        return key in self.mentioned and self.values.get(key, ...) is not None

    def parts(self, key: str) -> set[str]:
        """The keys that stand in a nested mapping here."""
        return set(self.values.get(key, {}))

    def line_of(self, key: str) -> int:
        return self.spot.at(key).line if key in self.spot.names() else self.spot.line


def read_layer(spot: Spot) -> Layer:
    try:
        values = read_table(spot, JOB_TYPE)
    except Refused:
        return Layer(spot, readable=False)
    return Layer(spot, values, mentioned(spot, JOB_TYPE))


@dataclass(frozen=True, slots=True)
class Layered:
    """One job type."""

    name: str
    own: Layer
    defaults: Layer

    def gives(self, key: str) -> bool:
        return (self.own if key in self.own.mentioned else self.defaults).gives(key)

    def merged(self) -> dict[str, Any]:
        """The type's own values over the defaults; nested mappings one level deep."""
        values = {**self.defaults.values, **self.own.values}
        for key in NESTED:
            if key in values:
                values[key] = {**self.defaults.values.get(key, {}), **self.own.values.get(key, {})}
        return values
