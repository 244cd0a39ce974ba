"""A statement of Core's that is run for every job: compiled once, then handed to SQLite as it stands.

Core composes and checks it like any other. What is spared is what Core does for each execution: a key for
its cache, a context, a result that describes its columns. For a small statement that is as much again as
what SQLite does.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from sqlalchemy import Select, TextClause
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.dml import UpdateBase
from sqlalchemy.sql.selectable import TextualSelect
from sqlalchemy.sql.type_api import TypeEngine

from supervisor.store.driver import raw_of
from supervisor.store.engine import Transaction

_DIALECT = sqlite.dialect()


Statement = Select[Any] | TextualSelect | TextClause | UpdateBase
_Conversion = Callable[[Any], Any] | None


class _Parameter(NamedTuple):
    name: str
    default: Any
    """Where the statement has a value of its own."""
    into: _Conversion
    """From our value to SQLite's."""


class Prepared:
    """`given` names the columns that are given at each run, where the statement is an INSERT."""

    def __init__(self, statement: Statement, given: Sequence[str] | None = None) -> None:
        self.statement = statement
        self._given = given

    def run(self, tx: Transaction, values: Mapping[str, Any]) -> sqlite3.Cursor:
        """Raises KeyError where a value is missing, and what SQLite raises."""
        return raw_of(tx).execute(self._compiled[0], self._bound(values))

    def run_each(self, tx: Transaction, rows: Iterable[Mapping[str, Any]]) -> None:
        """Once for each of these. Raises likewise."""
        raw_of(tx).executemany(self._compiled[0], map(self._bound, rows))

    def rows(self, tx: Transaction, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """What a SELECT finds, in our values."""
        out_of = self._compiled[2]
        return [
            tuple(value if out is None else out(value) for out, value in zip(out_of, row, strict=True))
            for row in self.run(tx, values)
        ]

    def _bound(self, values: Mapping[str, Any]) -> list[Any]:
        bound = []
        for name, default, into in self._compiled[1]:
            value = values[name] if default is _MISSING else values.get(name, default)
            bound.append(value if into is None else into(value))
        return bound

    @cached_property
    def _compiled(self) -> tuple[str, list[_Parameter], list[_Conversion]]:
        """When it is first run: many processes import this module and run nothing."""
        compiled = self.statement.compile(dialect=_DIALECT, column_keys=self._given)
        parameters = []
        for name in compiled.positiontup or ():
            bind = compiled.binds[name]
            default = _MISSING if bind.required else bind.value
            parameters.append(_Parameter(name, default, _here(bind.type).bind_processor(_DIALECT)))
        told = self.statement
        columns = told.selected_columns if isinstance(told, Select | TextualSelect) else ()
        out_of: list[_Conversion] = [
            _here(column.type).result_processor(_DIALECT, None) for column in columns
        ]
        return str(compiled), parameters, out_of


_MISSING = object()


def _here(kind: TypeEngine[Any]) -> TypeEngine[Any]:
    return kind.dialect_impl(_DIALECT)
