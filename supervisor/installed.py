"""Which version of AsyncWorker is installed here."""

from importlib.metadata import PackageNotFoundError, version


def installed_version() -> str:
    try:
        return version("asyncworker")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "0"
