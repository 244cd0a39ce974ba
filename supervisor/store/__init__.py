"""The database: the only importer of SQLAlchemy and Alembic.

`Store`, `Transaction` and `open_store` arrive on first use: importing the records costs no SQLAlchemy.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supervisor.store.engine import Store, Transaction, open_store

__all__ = ["Store", "Transaction", "open_store"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from supervisor.store import engine  # noqa: PLC0415 - half a second, where it is not needed

    return getattr(engine, name)
