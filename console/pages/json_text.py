"""JSON laid out for people, from its text alone.

Always true: only white space between tokens changes: a number keeps its digits, a name that is there twice stays twice.
"""

import re

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+', re.DOTALL)
_OPEN, _CLOSE = {"{": "}", "[": "]"}, ("}", "]")
INDENT, COLON = "  ", ":"
DEPTH_MAX = 64  # beyond that, white space would be most of it


def laid_out(text: str) -> str:
    """The document with a line for each member; what is no JSON, or too deep, as it is."""
    tokens = _TOKEN.findall(text)
    lines, line, depth = [], "", 0
    for at, token in enumerate(tokens):
        before = tokens[at - 1] if at else ""
        if token in _CLOSE:
            depth -= 1
            if before not in _OPEN or _OPEN[before] != token:
                lines.append(line)
                line = INDENT * max(0, depth)
        elif before in _OPEN or before == ",":
            lines.append(line)
            line = INDENT * depth
        line += f"{COLON} " if token == COLON else token
        if token in _OPEN:
            depth += 1
            if depth > DEPTH_MAX:
                return text
    return "\n".join([*lines, line])
