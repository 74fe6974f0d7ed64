"""Page data to HTML: templates with autoescaping, style and script inline, a strict
Content-Security-Policy."""

from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

HERE = Path(__file__).parent


@cache
def environment() -> Environment:
    """Templates beside this file; autoescape is on for every name, `select_autoescape` would miss
    *.html.j2."""
    return Environment(
        loader=FileSystemLoader(HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def policy(script: str) -> str:
    """Nothing may be loaded, and only this script may run."""
    digest = b64encode(sha256(script.encode()).digest()).decode()
    rules = (
        "default-src 'none'",
        "style-src 'unsafe-inline'",
        "img-src data:",
        f"script-src 'sha256-{digest}'",
    )
    return "; ".join((*rules, "base-uri 'none'", "form-action 'none'"))


def part(template: str, **content: Any) -> str:
    """A part of a page."""
    return environment().get_template(template).render(**content)


def render(template: str, **content: Any) -> str:
    """A page; style and script are ours and contain no user data, so they are not escaped."""
    style, script = ((HERE / name).read_text("utf-8") for name in ("style.css", "script.js"))
    return environment().get_template(template).render(
        style=Markup(style), script=Markup(script), policy=policy(script), **content
    )  # fmt: skip
