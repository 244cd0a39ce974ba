"""A stand-in for the other distribution called `supervisor`: the files of 4.3.0, with nothing in them."""

import zipfile
from pathlib import Path

_MODULES = """
    __init__ childutils compat confecho datatypes dispatchers events http http_client loggers options
    pidproxy poller process rpcinterface socket_manager states supervisorctl supervisord templating web
    xmlrpc medusa/__init__ medusa/asynchat_25 medusa/asyncore_25 medusa/auth_handler medusa/counter
    medusa/default_handler medusa/filesys medusa/http_date medusa/http_server medusa/logger medusa/producers
    medusa/util medusa/xmlrpc_handler scripts/loop_eventgen scripts/loop_listener scripts/sample_commevent
    scripts/sample_eventlistener scripts/sample_exiting_eventlistener tests/__init__ tests/base
    tests/test_process tests/fixtures/spew
"""
_DATA = ["skel/sample.conf", "ui/images/icon.png", "ui/status.html", "ui/tail.html", "version.txt"]

FILES = [f"supervisor/{name}.py" for name in _MODULES.split()] + [f"supervisor/{name}" for name in _DATA]
NAMES = {Path(Path(file).parts[1]).stem for file in FILES} - {"__init__"}
"""What must not stand in our supervisor/: it would be swapped without a word."""

_INFO = "supervisor-4.3.0.dist-info"


def build_wheel(folder: Path) -> Path:
    wheel = folder / "supervisor-4.3.0-py3-none-any.whl"
    contents = dict.fromkeys(FILES, "# this is theirs\n") | {
        f"{_INFO}/METADATA": "Metadata-Version: 2.1\nName: supervisor\nVersion: 4.3.0\n",
        f"{_INFO}/WHEEL": "Wheel-Version: 1.0\nGenerator: none\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{_INFO}/top_level.txt": "supervisor\n",
    }
    record = f"{_INFO}/RECORD"
    contents[record] = "".join(f"{name},,\n" for name in [*contents, record])
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in contents.items():
            archive.writestr(name, text)
    return wheel
