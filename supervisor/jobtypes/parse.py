"""Text of jobtypes.yaml -> frozen JobTypes, or every mistake at once. Pure: files are read in jobtypes_file.

`defaults` is laid under each job type key by key, and the type's own value wins. Keys whose value is
a mapping (options, retries, limits, run_as, env, sandbox) are merged one level deep: a type that sets
`limits: {memory: 1G}` keeps the defaults' `limits: {open_files: 100}`, but its own `env: {set: ...}`
replaces the whole `set` of the defaults.
"""

from pathlib import Path

from supervisor.jobtypes.build import build_job_types
from supervisor.jobtypes.checks import check_job_type
from supervisor.jobtypes.layers import Layer, Layered, read_layer
from supervisor.jobtypes.problems import InvalidJobTypes, Problem, Problems
from supervisor.jobtypes.records import Env, JobType, JobTypes, Limits, Retries, RunAs, Sandbox
from supervisor.jobtypes.values import TYPE_NAME, paths
from supervisor.yamltext.lines import read_yaml
from supervisor.yamltext.values import Reader, Refused, Spot, mentioned, read_table

__all__ = [
    "Env",
    "InvalidJobTypes",
    "JobType",
    "JobTypes",
    "Limits",
    "Problem",
    "Retries",
    "RunAs",
    "Sandbox",
    "parse_job_types",
]

_NAMES = "a job type's name is 1 to 100 letters, digits and . _ - beginning with a letter; choose another"


def parse_job_types(text: str, source: Path, shown_as: str | None = None) -> JobTypes:
    """The job types that a file's text holds.

    `source` is the absolute path of the file; relative paths in it start at its folder. `shown_as` is
    what messages call the file. Raises InvalidJobTypes with every mistake, and never anything else.
    """
    problems = Problems(shown_as or str(source))
    root = read_yaml(text, problems)
    import_paths, types = _read_file(Spot(root, "", root.line, problems)) if root is not None else ((), [])
    problems.raise_if_any()
    return build_job_types(import_paths, types, source)


def _read_file(spot: Spot) -> tuple[tuple[Path, ...], list[Layered]]:
    """The keys at the top, good for something only if no problem was found."""
    readers: dict[str, Reader] = {"import_paths": paths, "defaults": read_layer, "job_types": _read_types}
    try:
        found = read_table(spot, readers)
    except Refused:
        return (), []
    given = mentioned(spot, readers)
    if "job_types" not in given:
        spot.problems.report(1, "job_types", "is missing; give at least one job type")
    defaults = found.get("defaults", Layer(spot, readable="defaults" not in given))
    types = [Layered(name, own, defaults) for name, own in found.get("job_types", {}).items()]
    for job_type in types:
        check_job_type(job_type)
    return found.get("import_paths", (Path(),)), types


def _read_types(spot: Spot) -> dict[str, Layer]:
    """Each job type as it stands, without the defaults."""
    types = read_table(spot, dict.fromkeys(spot.names(), read_layer))
    if not spot.names():
        spot.refuse("is empty; give at least one job type")
    for name in spot.names():
        if not TYPE_NAME.fullmatch(name):
            spot.problems.report(spot.at(name).line, spot.at(name).path, _NAMES)
    return types
