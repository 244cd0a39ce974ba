"""What must hold between the keys of a job type, once the defaults lie under them.

A mistake that is wholly in the defaults is reported there: the same report from every type is one.
"""

from supervisor.jobtypes.layers import Layer, Layered
from supervisor.jobtypes.records import Retries

_RETRIES = Retries()


def check_job_type(job_type: Layered) -> None:
    """Report every contradiction and everything that is missing."""
    if job_type.own.readable and job_type.defaults.readable:
        _check_target(job_type)
        _check_concurrency(job_type)
        _check_waits(job_type)
        _check_user(job_type)
        _check_preload(job_type)


def _check_target(job_type: Layered) -> None:
    own, defaults = job_type.own, job_type.defaults
    given = [key for key in ("handler", "command") if job_type.gives(key)]
    if not given:
        own.spot.problems.report(own.spot.line, own.spot.path, "needs exactly one of handler and command")
    if len(given) < 2:
        return
    here = [key for key in given if key in own.mentioned]
    if len(here) == 1:
        (other,) = set(given) - set(here)
        what = f"{here[0]} stands here and {other} in defaults (line {defaults.line_of(other)}); "
        what += f"keep one, or write {other}: null here"
        own.spot.problems.report(own.line_of(here[0]), own.spot.path, what)
    else:
        layer = own if here else defaults
        line = max(map(layer.line_of, given))
        layer.spot.problems.report(line, layer.spot.path, "handler and command are both given; keep one")


def _check_concurrency(job_type: Layered) -> None:
    if not job_type.gives("max_concurrency"):
        _report(job_type.own, "max_concurrency", "is required: how many jobs of this type may run at a time")


def _check_waits(job_type: Layered) -> None:
    retries = job_type.merged().get("retries", {})
    initial, longest = retries.get("initial", _RETRIES.initial), retries.get("max", _RETRIES.max)
    if longest is None or initial <= longest or _is_mistaken(job_type, "retries"):
        return
    layer = job_type.own if {"initial", "max"} & job_type.own.parts("retries") else job_type.defaults
    what = f"initial ({initial:g} seconds) is longer than max ({longest:g} seconds); raise max"
    _report(layer, "retries", what)


def _check_user(job_type: Layered) -> None:
    if not job_type.gives("run_as") or "user" in job_type.merged().get("run_as", {}):
        return
    if not _is_mistaken(job_type, "run_as"):
        layer = job_type.own if "run_as" in job_type.own.mentioned else job_type.defaults
        _report(layer, "run_as", "needs a user")


def _check_preload(job_type: Layered) -> None:
    if job_type.own.values.get("preload") and job_type.gives("command") and not job_type.gives("handler"):
        _report(job_type.own, "preload", "a command has nothing to import; remove this key")


def _is_mistaken(job_type: Layered, key: str) -> bool:
    """Whether what is compared was not even read; then there is nothing to compare."""
    layers = (job_type.own, job_type.defaults)
    return any(layer.spot.problems.under(f"{layer.spot.path}.{key}") for layer in layers)


def _report(layer: Layer, key: str, what: str) -> None:
    layer.spot.problems.report(layer.line_of(key), f"{layer.spot.path}.{key}", what)
