"""The page: its assets and its JSON in one file, which asks nobody for anything.

A Content-Security-Policy names the one script by its digest, so that no text of a stranger's can
become another, and forbids every request; that of a live page may ask where it came from.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from html import escape
from importlib.resources import files
from typing import Any

SCRIPTS = (  # in this order; each file one picture or one idea
    "elements",
    "numbers",
    "scales",
    "chart",
    "trials",
    "answer",
    "progress",
    "constraints",
    "space",
    "signals",
    "curves",
    "table",
    "trial",
    "compute",
    "what_if",
    "texts",
    "page",
)


def page_html(document: Mapping[str, Any], *, is_live: bool = False) -> str:
    """The page as HTML, of a `sweep.page.document`; `is_live`: one that asks for what is new."""
    script = _script(is_live)
    parts = {
        "policy": _policy(script, is_live),
        "title": escape(f"{document['headline']}"),
        "style": _asset("uPlot.min.css") + _asset("page.css"),
        "data": _inside_script(json.dumps(document, ensure_ascii=False, separators=(",", ":"))),
        "script": script,
    }
    page = _asset("page.html")
    for name, text in parts.items():
        before, _, after = page.partition(f"<!--{name}-->")
        parts[name] = before + text
        page = after
    return "".join(parts.values()) + page


@cache
def _asset(name: str) -> str:
    return files("sweep.page").joinpath("assets", name).read_text(encoding="utf-8")


@cache
def _script(is_live: bool) -> str:
    drawing = "\n".join(_asset(f"js/{name}.js") for name in SCRIPTS)
    own = f"function draw(study, kept, over) {{\n{drawing}\n}}\n{_asset('js/start.js')}"
    if is_live:
        own += _asset("js/live.js")
    licence = _asset("uPlot-LICENSE")
    return (
        f"/*\n{licence}*/\n{_asset('uPlot.iife.min.js')}\n(() => {{\n'use strict';\n{own}\n}})();\n"
    )


def _policy(script: str, is_live: bool) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    allowed = ["style-src 'unsafe-inline'", f"script-src 'sha256-{digest}'", "img-src data:"]
    if is_live:
        allowed.append("connect-src 'self'")
    return "; ".join(("default-src 'none'", *allowed))


def _inside_script(text: str) -> str:
    """JSON that ends no script element: `<` stands in its texts alone."""
    return text.replace("<", "\\u003c")
