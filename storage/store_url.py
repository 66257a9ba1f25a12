"""Object store URLs: `file:///dir`, `s3://bucket/prefix?endpoint=URL&region=R`.

Always true: what parses names a usable place and holds no credentials: those come from the usual AWS variables and
files.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from .directory_store import DirectoryStore
from .object_store import ObjectStore, checked_key

DEFAULT_REGION = "us-east-1"
FORMS = "use file:///dir or s3://bucket/prefix?endpoint=URL&region=R"
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[A-Za-z0-9-]{1,40}")


class InvalidStoreUrl(ValueError):
    """The URL cannot name an object store; the message says why and never repeats credentials."""


@dataclass(frozen=True, slots=True)
class DirectoryLocation:
    path: Path


@dataclass(frozen=True, slots=True)
class S3Location:
    """`prefix` is empty or ends in `/`; `endpoint` None means AWS."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = DEFAULT_REGION


def file_url(directory: Path) -> str:
    """The URL of a directory store."""
    return f"file://{quote(str(directory.absolute()))}"


def parse_store_url(url: str, environ: Mapping[str, str] = os.environ) -> DirectoryLocation | S3Location:
    """Raises InvalidStoreUrl. The region, where the URL names none, is AWS_REGION, AWS_DEFAULT_REGION or us-east-1."""
    try:
        parts = urlsplit(url)
        userinfo = parts.username is not None or parts.password is not None
    except ValueError as error:
        raise InvalidStoreUrl(f"not an object store URL: {error}; {FORMS}") from None
    if userinfo:
        raise InvalidStoreUrl(
            "an object store URL holds no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY instead"
        )
    if parts.scheme == "file":
        if parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise InvalidStoreUrl(f"{url!r}: a directory is written file:///absolute/path (three slashes)")
        return _directory(unquote(parts.path), url)
    if parts.scheme == "s3":
        if parts.fragment:
            raise InvalidStoreUrl(f"{url!r}: an object store URL has no #fragment")
        options = _options(parts.query, url)
        region = (
            options.get("region") or environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or DEFAULT_REGION
        )
        if not _REGION.fullmatch(region):
            raise InvalidStoreUrl(f"{region!r} is not the name of a region")
        return S3Location(
            _bucket(parts.netloc), _prefix(unquote(parts.path)), _endpoint(options.get("endpoint")), region
        )
    raise InvalidStoreUrl(f"no object store has the scheme {parts.scheme!r}; {FORMS}")


def open_store(url: str) -> ObjectStore:
    """The store that the URL names, without talking to it yet. Raises InvalidStoreUrl."""
    location = parse_store_url(url)
    if isinstance(location, DirectoryLocation):
        return DirectoryStore(location.path)
    from .s3_store import S3Store  # only here: the client library costs 40 MB and a tenth of a second

    return S3Store(location.bucket, location.prefix, endpoint=location.endpoint, region=location.region)


def _directory(path: str, url: str) -> DirectoryLocation:
    if not path.startswith("/") or path.strip("/") == "" or "\0" in path:
        raise InvalidStoreUrl(f"{url!r}: a directory is written file:///absolute/path, and is not / itself")
    return DirectoryLocation(Path(os.path.normpath(path)))


def _options(query: str, url: str) -> dict[str, str]:
    given = parse_qsl(query, keep_blank_values=True)
    options = dict(given)
    if unknown := sorted(options.keys() - {"endpoint", "region"}):
        raise InvalidStoreUrl(f"{url!r}: unknown option {unknown[0]!r}; there are endpoint and region")
    if len(options) < len(given):
        raise InvalidStoreUrl(f"{url!r}: an option is given twice")
    return options


def _bucket(name: str) -> str:
    if not _BUCKET.fullmatch(name) or ".." in name:
        raise InvalidStoreUrl(f"{name!r} is not a bucket: 3 to 63 of a-z, 0-9, '-' and '.' (S3's rule); {FORMS}")
    return name


def _prefix(path: str) -> str:
    prefix = path.strip("/")
    if not prefix:
        return ""
    try:
        return checked_key(prefix) + "/"
    except ValueError:
        raise InvalidStoreUrl(
            f"prefix {prefix[:100]!r}: only A-Z a-z 0-9 . _ = - and single slashes are safe"
        ) from None


def _endpoint(endpoint: str | None) -> str | None:
    if endpoint is None:
        return None
    try:
        parts = urlsplit(endpoint)
        sound = parts.scheme in ("http", "https") and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        sound = False
    if not sound or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise InvalidStoreUrl("endpoint: expected http://HOST:PORT or https://HOST:PORT, and nothing more")
    return f"{parts.scheme}://{parts.netloc}"
