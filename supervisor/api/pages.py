"""The API's reference: for tools, and as a page that loads nothing from anywhere."""

import base64
import hashlib
import json
from collections.abc import Iterator
from html import escape
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from supervisor.api.context import Context
from supervisor.api.rendering import Answer
from supervisor.api.routes import Routes

routes = Routes()

_STYLE = """\
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}
h2{margin-top:2.5rem;font-size:1.1rem}code,pre{font-family:ui-monospace,monospace;font-size:.9em}
pre{background:#f4f4f4;padding:.8rem;overflow:auto}table{border-collapse:collapse}
td,th{text-align:left;vertical-align:top;padding:.2rem 1rem .2rem 0}summary{cursor:pointer}
@media(prefers-color-scheme:dark){body{color:#ddd;background:#1b1b1b}pre{background:#2a2a2a}a{color:#8bf}}"""
_STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)


@routes.get("/")
async def root(_: Request, __: Context) -> Response:
    """To the reference, until there are pages."""
    return RedirectResponse("/docs", 307)


@routes.get("/openapi.json")
async def openapi(_: Request, shared: Context) -> Response:
    """The document that tools read."""
    return Answer(await shared.readers.run(shared.reference.document))


@routes.get("/docs")
async def reference(_: Request, shared: Context) -> Response:
    """The same for people."""
    found = await shared.readers.run(shared.reference.document)
    return HTMLResponse(page(found), headers={"Content-Security-Policy": _POLICY})


def page(found: dict[str, Any]) -> str:
    """Plain HTML."""
    body = "\n".join(_sections(found))
    title = escape(found["info"]["title"])
    return (
        f'<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>\n'
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _sections(found: dict[str, Any]) -> Iterator[str]:
    yield f"<h1>{escape(found['info']['title'])} {escape(found['info']['version'])}</h1>"
    for paragraph in found["info"]["description"].split("\n\n"):
        yield f"<p>{escape(paragraph)}</p>"
    yield '<p>For tools: <a href="/openapi.json">openapi.json</a></p>'
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            yield f"<h2><code>{method.upper()} {escape(path)}</code></h2>"
            yield f"<p>{escape(operation.get('description') or operation['summary'])}</p>"
            yield from _operation(operation)
    yield "<h2>Shapes</h2>"
    for name, schema in sorted(found["components"]["schemas"].items()):
        yield f'<details id="{escape(name)}"><summary>{escape(name)}</summary>{_json(schema)}</details>'


def _operation(operation: dict[str, Any]) -> Iterator[str]:
    if parameters := operation.get("parameters"):
        yield "<table>"
        for each in parameters:
            name, place = escape(each["name"]), escape(each["in"])
            yield f"<tr><td><code>{name}</code></td><td>{place}</td>"
            yield f"<td>{escape(each.get('description', ''))}</td></tr>"
        yield "</table>"
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield _json(content["schema"])
    yield "<table>"
    for status, answer in operation["responses"].items():
        yield f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td></tr>"
    yield "</table>"


def _json(schema: dict[str, Any]) -> str:
    return f"<pre>{escape(json.dumps(schema, indent=2))}</pre>"
