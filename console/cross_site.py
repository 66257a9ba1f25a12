"""Whether a request that would change something comes from our own pages: the browser says so, no token is needed.

Every browser since 2023 sends Sec-Fetch-Site, older ones Origin; a page of another site can forge neither. A request
that carries our cookie and says nothing of where it comes from is refused too: programs use access tokens.
Requests with a bearer token and no cookie are exempt, since a browser never adds those by itself.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OURS = frozenset({"same-origin", "none"})  # none: typed or bookmarked by the person


def comes_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether the headers (lower-case names) say, or leave open, that another site's page sent this."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site not in _OURS
    origin = headers.get("origin")
    if origin is None or origin == "null":
        return True
    return urlsplit(origin).netloc.lower() != headers.get("host", "").lower()


def must_be_refused(method: str, headers: Mapping[str, str]) -> bool:
    """A change that rests on a cookie, asked for by who knows whom."""
    return method not in SAFE_METHODS and "cookie" in headers and comes_from_elsewhere(headers)
