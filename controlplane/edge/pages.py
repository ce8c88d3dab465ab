"""The few pages that browsers get from the control plane itself. Used by `sign_in` and `devices`.

Plain HTML without scripts, styles or anything from elsewhere; whatever came from outside is escaped.
"""

from collections.abc import Mapping
from html import escape

from starlette.responses import HTMLResponse

# Nothing is loaded or framed, forms go back to us, and no address of ours with a code in it is told to others.
HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


def page(title: str, body: str, *, status: int = 200) -> HTMLResponse:
    """A page; `body` is HTML, made with the functions below."""
    content = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(title)} · Skerry</title>'
        f'<meta name="viewport" content="width=device-width"><h1>{escape(title)}</h1>{body}</html>\n'
    )
    return HTMLResponse(content, status_code=status, headers=HEADERS)


def text(words: str) -> str:
    """A paragraph."""
    return f"<p>{escape(words)}</p>"


def link(words: str, target: str) -> str:
    """A paragraph that leads somewhere."""
    return f'<p><a href="{escape(target)}">{escape(words)}</a></p>'


def form(
    target: str,
    hidden: Mapping[str, str],
    *,
    buttons: Mapping[str, str],
    field: str = "",
    method: str = "post",
) -> str:
    """A form with a button for each answer, and a field to type into when it has a name."""
    inputs = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in hidden.items()
    )
    if field:
        inputs += f'<input name="{escape(field)}" autofocus autocomplete="off">'
    inputs += "".join(
        f'<button name="answer" value="{escape(value)}">{escape(words)}</button>'
        for value, words in buttons.items()
    )
    return f'<form method="{escape(method)}" action="{escape(target)}">{inputs}</form>'
