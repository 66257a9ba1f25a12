"""Which metadata database a URL names.

Imports nothing heavy, so that a supervisor can ask whether a database is at head without loading SQLAlchemy.
Accepted: `sqlite:///relative.db`, `sqlite:////absolute.db`, `postgresql://user:password@host:port/name`, the same
with the driver spelled out (`sqlite+aiosqlite`, `postgresql+asyncpg`), and `postgres://` as an alias.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from .errors import InvalidDatabaseUrl

SQLITE, POSTGRESQL = "sqlite", "postgresql"
_SCHEMES = {
    "sqlite": SQLITE,
    "sqlite+aiosqlite": SQLITE,
    "postgresql": POSTGRESQL,
    "postgresql+asyncpg": POSTGRESQL,
    "postgres": POSTGRESQL,
}


@dataclass(frozen=True, slots=True)
class DatabaseUrl:
    """A parsed database URL: `path` for SQLite, the rest of the URL for PostgreSQL."""

    kind: str
    path: Path | None
    location: str

    @property
    def is_sqlite(self) -> bool:
        return self.kind == SQLITE

    def dsn(self) -> str:
        """The URL as asyncpg itself takes it."""
        return "postgresql:" + self.location.replace("?ssl=", "?sslmode=").replace("&ssl=", "&sslmode=")

    def without_password(self) -> str:
        """The URL for a log line or an error message."""
        if self.is_sqlite:
            return f"sqlite:///{self.path}"
        parts = urlsplit(self.location)
        host = parts.netloc.rpartition("@")[2]
        user = parts.username
        return "postgresql:" + urlunsplit(parts._replace(netloc=f"{user}@{host}" if user else host, query=""))


def parse_database_url(url: str) -> DatabaseUrl:
    """Raises InvalidDatabaseUrl."""
    scheme, separator, rest = url.partition(":")
    kind = _SCHEMES.get(scheme.lower())
    if not separator or kind is None:
        # What was given is not repeated: a mistyped URL may begin with its password.
        raise InvalidDatabaseUrl("not a database URL: expected sqlite:///path or postgresql://user:password@host/name")
    if kind == SQLITE:
        if not rest.startswith("///") or rest in ("///", "///:memory:"):
            raise InvalidDatabaseUrl("a SQLite URL names a file: sqlite:///relative.db or sqlite:////absolute.db")
        return DatabaseUrl(SQLITE, Path(unquote(rest[3:].partition("?")[0])), rest)
    parts = urlsplit(rest)
    if not parts.path.strip("/"):
        raise InvalidDatabaseUrl("a PostgreSQL URL names a database: postgresql://user:password@host:5432/coldstream")
    query = [("ssl" if name == "sslmode" else name, value) for name, value in parse_qsl(parts.query)]
    return DatabaseUrl(POSTGRESQL, None, urlunsplit(parts._replace(query=urlencode(query))))
