"""How our values become SQLite's and back."""

from typing import Any

from sqlalchemy import Dialect, Integer, Text, TypeDecorator

from supervisor.lifecycle import FailureKind, Isolation, JobStatus

_SIGN = 1 << 63


class Words(TypeDecorator[str]):
    """Text. A lone surrogate, which UTF-8 cannot hold and any job can send us, becomes its escape."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        if value is None or value.isascii():
            return value
        return value.encode("utf-8", "backslashreplace").decode("utf-8")


class StatusWord(TypeDecorator[JobStatus]):
    """A status by its word."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> JobStatus | None:
        return None if value is None else JobStatus(value)


class FailureWord(TypeDecorator[FailureKind]):
    """A failure kind by its word."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> FailureKind | None:
        return None if value is None else FailureKind(value)


class IsolationWord(TypeDecorator[Isolation]):
    """An isolation by its word."""

    impl = Text
    cache_ok = True

    def process_result_value(self, value: Any, dialect: Dialect) -> Isolation | None:
        return None if value is None else Isolation(value)


class Inode(TypeDecorator[int]):
    """An unsigned number of 64 bits, stored as the signed one with the same bits."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: Dialect) -> int | None:
        return value if value is None or value < _SIGN else value - 2 * _SIGN

    def process_result_value(self, value: int | None, dialect: Dialect) -> int | None:
        return unsigned(value)


def unsigned(value: int | None) -> int | None:
    """What a number of 64 bits is, that was stored as the signed one with the same bits."""
    return value if value is None or value >= 0 else value + 2 * _SIGN
