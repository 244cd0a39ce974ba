"""Values without mistakes -> the records: relative paths become absolute, defaults are filled in."""

import os
from pathlib import Path
from types import MappingProxyType
from typing import Any

from supervisor.jobtypes.layers import Layered
from supervisor.jobtypes.records import Env, JobType, JobTypes, Limits, Retries, RunAs, Sandbox


def build_job_types(import_paths: tuple[Path, ...], types: list[Layered], source: Path) -> JobTypes:
    """`source` is absolute; its folder is what relative paths are relative to."""
    folder = source.parent
    return JobTypes(
        import_paths=_all_below(folder, import_paths),
        types=MappingProxyType({one.name: _build(one, folder) for one in types}),
        source=source,
    )


def _build(job_type: Layered, folder: Path) -> JobType:
    values = job_type.merged()
    sandbox = _sandbox(values.pop("sandbox", {}), folder)
    run_as, directory = values.pop("run_as", None), values.pop("working_directory", None)
    apart = sandbox.asked or run_as or values.get("command")  # nothing of it may be imported in the keeper
    preload = values.pop("preload", True) and not apart
    return JobType(
        name=job_type.name,
        retries=Retries(**values.pop("retries", {})),
        limits=Limits(**values.pop("limits", {})),
        env=Env(**values.pop("env", {})),
        run_as=RunAs(**run_as) if run_as else None,
        working_directory=_below(folder, directory) if directory else None,
        sandbox=sandbox,
        preload=preload,
        **values,
    )


def _sandbox(values: dict[str, Any], folder: Path) -> Sandbox:
    paths = {key: _all_below(folder, value) for key, value in values.items() if isinstance(value, tuple)}
    anchored: dict[str, Any] = {**values, **paths}
    return Sandbox(**anchored)


def _all_below(folder: Path, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return tuple(_below(folder, path) for path in paths)


def _below(folder: Path, path: Path) -> Path:
    """Absolute, without `..`: by the words alone, because looking at the disk is not for here."""
    return Path(os.path.normpath(folder / path))
