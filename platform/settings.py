"""Every setting of Coldstream, declared once.

Each field of `Settings` is one setting. Its declaration gives the command line flag (`--data-dir`), the environment
variable (`COLDSTREAM_DATA_DIR`), the TOML key (`data_dir`), the default, how text is read, and the words of
docs/settings.md. Flags win over variables, variables over the file (`--config` or `COLDSTREAM_CONFIG`), the file over
defaults. A `Settings` that exists has been checked: paths are absolute, addresses make sense together.

Imports stay light: the supervisor, which lives as long as the platform, holds nothing more than this.
"""
# ruff: noqa: RUF009 - `_setting` only wraps dataclasses.field, with immutable defaults

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

PREFIX = "COLDSTREAM_"
DATA_DIR_DEFAULT = "coldstream-data"
CONFIG_VARIABLE = "COLDSTREAM_CONFIG"
# Variables that belong to us but are no settings of the platform.
OTHER_VARIABLES: Mapping[str, str] = {
    CONFIG_VARIABLE: "path of a TOML file with settings, as `--config`",
    "COLDSTREAM_URL": "console that the command line talks to, as `--url`",
    "COLDSTREAM_TOKEN": "access token of the command line, as `--token`",
    "COLDSTREAM_ADMIN_PASSWORD": "password of member `admin` on the first start; without it one is generated",
}
_CHILD_VARIABLES = frozenset({"COLDSTREAM_READY_FD", "COLDSTREAM_LIFELINE_FD"})
_FOREIGN_VARIABLE = re.compile(
    # Tests and benchmarks have their own; Kubernetes sets the rest for every Service named coldstream or coldstream-….
    r"COLDSTREAM_((TEST|BENCH)_.*|REQUIRE_PARTS)"
    r"|COLDSTREAM_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_UNSPECIFIED = frozenset({"0.0.0.0", "::", "0:0:0:0:0:0:0:0", ""})  # noqa: S104 - named to refuse them


class SettingsError(ValueError):
    """A setting that cannot be used. The message names the setting, what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where something listens: a host name, IPv4 or IPv6 address, and a port. Port 0 asks for any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`HOST:PORT` or `[IPV6]:PORT`. Raises ValueError."""
        host, colon, port = text.strip().rpartition(":")
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        elif ":" in host:
            raise ValueError(f"an IPv6 address needs brackets: [{host}]:{port}")
        if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
            raise ValueError("expected HOST:PORT with a port from 0 to 65535, for example 127.0.0.1:9092")
        if not re.fullmatch(r"[A-Za-z0-9._:%-]+", host):
            raise ValueError(f"{host!r} is not a host name or IP address")
        return cls(host, int(port))

    @property
    def is_loopback(self) -> bool:
        """True only for names and addresses that can never be reached from another machine."""
        return self.host == "localhost" or self.host == "::1" or re.fullmatch(r"127(\.\d+){3}", self.host) is not None

    @property
    def is_unspecified(self) -> bool:
        """True for 'every interface': fine to bind, impossible to connect to."""
        return self.host in _UNSPECIFIED

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


_BYTES = {"": 1, "B": 1, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_MS = {"": 1, "MS": 1, "S": 1000, "M": 60_000, "H": 3_600_000, "D": 86_400_000}


def _quantity(units: Mapping[str, int], example: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        match = re.fullmatch(r"(\d+)\s*([A-Za-z]*)", text.strip(), re.ASCII)
        if match is None or match[2].upper() not in units:
            raise ValueError(f"expected a number, with a unit if you like, for example {example}")
        return int(match[1]) * units[match[2].upper()]

    return parse


def _count(text: str) -> int:
    if not re.fullmatch(r"\d+", text.strip(), re.ASCII):
        raise ValueError("expected a whole number")
    return int(text)


def _switch(text: str) -> bool:
    known = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
    if text.strip().lower() not in known:
        raise ValueError("expected true or false")
    return known[text.strip().lower()]


def _path(text: str) -> Path:
    if not text:
        raise ValueError("expected a path")
    return Path(text).expanduser()


def _namespace(text: str) -> str:
    if not re.fullmatch(r"[^/\s]+/[^/\s]+", text):
        raise ValueError("expected TENANT/NAMESPACE, for example default/default")
    return text


def _log_level(text: str) -> str:
    if text.lower() not in ("debug", "info", "warning", "error"):
        raise ValueError("expected debug, info, warning or error")
    return text.lower()


def _url(text: str) -> str:
    if "://" not in text:
        raise ValueError("expected a URL, for example file:///srv/objects")
    return text


@dataclass(frozen=True, slots=True)
class Kind:
    """How a setting's text is read, and what the docs call it."""

    placeholder: str
    parse: Callable[[str], Any]


ADDRESS = Kind("HOST:PORT", Address.parse)
PATH = Kind("PATH", _path)
URL = Kind("URL", _url)
NAMESPACE = Kind("TENANT/NAMESPACE", _namespace)
COUNT = Kind("N", _count)
SIZE = Kind("BYTES", _quantity(_BYTES, "1048576 or 64MiB"))
DURATION = Kind("MS", _quantity(_MS, "30000 or 30s"))
SWITCH = Kind("true|false", _switch)
LOG_LEVEL = Kind("LEVEL", _log_level)


@dataclass(frozen=True, slots=True)
class Setting:
    """One declared setting, as the command line and the docs see it."""

    name: str
    kind: Kind
    doc: str
    shown_default: str
    is_secret: bool

    @property
    def flag(self) -> str:
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        return PREFIX + self.name.upper()

    def parse(self, text: str, source: str) -> Any:
        try:
            return self.kind.parse(text)
        except ValueError as error:
            raise SettingsError(f"{source}: {error}" + ("" if self.is_secret else f" (got {text!r})")) from None


def _setting(kind: Kind, default: Any, doc: str, *, shown: str | None = None, secret: bool = False) -> Any:
    return field(default=default, repr=not secret, metadata={"kind": kind, "doc": doc, "shown": shown})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings, checked. Raises SettingsError when they make no sense together."""

    data_dir: Path = _setting(
        PATH,
        Path(DATA_DIR_DEFAULT),
        "What this machine keeps: hot segments, caches, secrets, the SQLite database.",
    )
    kafka: Address = _setting(ADDRESS, Address("127.0.0.1", 9092), "Where the broker listens for Kafka clients.")
    advertised_kafka: Address | None = _setting(
        ADDRESS,
        None,
        "What Kafka clients are told to connect to. Needed when `kafka` binds every interface (0.0.0.0).",
        shown="the address of `kafka`",
    )
    console: Address = _setting(ADDRESS, Address("127.0.0.1", 8080), "Where the console and the HTTP API listen.")
    console_url: str | None = _setting(
        URL,
        None,
        "How browsers reach the console when that is not `console` itself, for example `https://streams.example.com`. "
        "With `https://` its cookies are for HTTPS only.",
        shown="`http://` and the address of `console`",
    )
    console_development: bool = _setting(
        SWITCH, False, "Adds pages for people who change the console: `/dev/components` shows every component."
    )
    broker_metrics: Address = _setting(
        ADDRESS, Address("127.0.0.1", 9644), "Where the broker serves `/metrics` and `/healthz`."
    )
    object_store: str = _setting(
        URL,
        "",
        "Where cold segments live: `file:///dir` or `s3://bucket/prefix?endpoint=URL&region=R`, with credentials from "
        "the usual AWS variables and files.",
        shown="`<data_dir>/objects`",
    )
    database: str = _setting(
        URL,
        "",
        "Where metadata lives: `sqlite:///path` or `postgresql://user:password@host/name`.",
        shown="`<data_dir>/coldstream.db` (SQLite)",
        secret=True,
    )
    brokers: int = _setting(COUNT, 1, "Broker processes to run on this machine. Only 1 is offered by this release.")
    anonymous: str | None = _setting(
        NAMESPACE,
        None,
        "The namespace that Kafka clients without credentials get. For quick starts; `kafka` must be loopback.",
        shown="none: clients must sign in",
    )
    tls_cert: Path | None = _setting(
        PATH, None, "Certificate chain (PEM) of the Kafka port; turns TLS on together with `tls_key`.", shown="no TLS"
    )
    tls_key: Path | None = _setting(PATH, None, "Private key (PEM) that belongs to `tls_cert`.", shown="no TLS")
    allow_plaintext: bool = _setting(
        SWITCH,
        False,
        "Take secrets over an unencrypted Kafka port that other machines reach. Only behind something that encrypts.",
    )
    frame_bytes_max: int = _setting(
        SIZE, 100 * 2**20, "Largest request a Kafka client may send; more closes the connection."
    )
    connections_max: int = _setting(COUNT, 10_000, "Kafka connections open at once.")
    cache_bytes_max: int = _setting(SIZE, 4 * 2**30, "Disk for chunks of cold segments kept under `<data_dir>/cache`.")
    cache_files_max: int = _setting(COUNT, 4096, "Files kept under `<data_dir>/cache`.")
    offload_interval_ms: int = _setting(
        DURATION, 5_000, "Pause between two looks for sealed segments to move to the object store."
    )
    group_initial_rebalance_delay_ms: int = _setting(
        DURATION,
        150,
        "How long a new consumer group waits for more members before its first rebalance. Some clients join before "
        "they know their topics' partitions, and take a while to notice: leave a moment. Kafka's default is 3s.",
    )
    log_level: str = _setting(LOG_LEVEL, "info", "Least severe log line written: debug, info, warning or error.")

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "data_dir", self.data_dir.absolute())
        put(self, "object_store", self.object_store or (self.data_dir / "objects").as_uri())
        put(self, "database", self.database or "sqlite:///" + quote(str(self.data_dir / "coldstream.db")))
        _check(self)

    @classmethod
    def load(
        cls, flags: Mapping[str, str] | None = None, environ: Mapping[str, str] = os.environ, config: str | None = None
    ) -> Self:
        """Settings from flags (setting name -> text), variables and the TOML file `config`. Raises SettingsError."""
        from_file = _from_file(config or environ.get(CONFIG_VARIABLE))
        return cls(**(from_file | _from_environ(environ) | _from_flags(flags or {})))

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Self:
        return cls.load(environ=environ)

    def as_environ(self) -> dict[str, str]:
        """The variables from which a child process gets exactly these settings back."""
        values = {setting.variable: getattr(self, setting.name) for setting in SETTINGS}
        return {name: _text(value) for name, value in values.items() if value is not None}

    @property
    def advertised(self) -> Address:
        """The Kafka address clients are told."""
        return self.advertised_kafka or self.kafka

    @property
    def kafka_reachable(self) -> Address:
        """Where a process on this machine reaches the Kafka port: loopback when every interface is bound."""
        if not self.kafka.is_unspecified:
            return self.kafka
        return Address("::1" if ":" in self.kafka.host else "127.0.0.1", self.kafka.port)

    @property
    def lock_path(self) -> Path:
        return self.data_dir / "lock"

    @property
    def topics_dir(self) -> Path:
        return self.data_dir / "topics"

    @property
    def cache_dir(self) -> Path:
        return self.data_dir / "cache"

    @property
    def admin_token_path(self) -> Path:
        return self.data_dir / "admin-token"

    @property
    def initial_admin_password_path(self) -> Path:
        return self.data_dir / "initial-admin-password"

    @property
    def cluster_secret_path(self) -> Path:
        return self.data_dir / "cluster-secret"

    @property
    def endpoints_path(self) -> Path:
        return self.data_dir / "endpoints.json"


def _check(settings: Settings) -> None:
    """What no single setting can tell. Raises SettingsError."""
    kafka, advertised = settings.kafka, settings.advertised_kafka
    if settings.brokers != 1:
        raise SettingsError(
            f"--brokers {settings.brokers}: this release runs exactly one broker on a machine; leave it out or say 1"
        )
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise SettingsError("--tls-cert and --tls-key belong together: give both or neither")
    if advertised is None and kafka.is_unspecified:
        raise SettingsError(
            f"--kafka {kafka} listens on every interface, which is no address to connect to: "
            "say what clients shall be told with --advertised-kafka HOST:PORT"
        )
    if advertised is not None and advertised.is_unspecified:
        raise SettingsError(f"--advertised-kafka {advertised}: no client can connect to that; give a name or address")
    if advertised is not None and advertised.port == 0:
        raise SettingsError(f"--advertised-kafka {advertised}: no client can connect to port 0")
    if not kafka.is_loopback and settings.tls_cert is None and not settings.allow_plaintext:
        raise SettingsError(
            f"--kafka {kafka} would take secrets unencrypted from other machines: give --tls-cert and --tls-key, "
            "bind a loopback address, or set --allow-plaintext true behind something that encrypts"
        )
    if settings.anonymous is not None and not kafka.is_loopback:
        raise SettingsError(f"--anonymous {settings.anonymous} needs a loopback --kafka address, not {kafka}")
    for name in ("connections_max", "cache_files_max", "offload_interval_ms"):
        if getattr(settings, name) < 1:
            raise SettingsError(f"--{name.replace('_', '-')}: must be at least 1")
    if not 1024 <= settings.frame_bytes_max <= 2**31 - 1:
        raise SettingsError("--frame-bytes-max: must be from 1KiB to 2147483647 bytes, the largest frame Kafka has")


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _declared() -> tuple[Setting, ...]:
    return tuple(
        Setting(
            f.name, f.metadata["kind"], f.metadata["doc"], f.metadata["shown"] or f"`{_text(f.default)}`", not f.repr
        )
        for f in fields(Settings)
    )


SETTINGS: tuple[Setting, ...] = _declared()
_BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in SETTINGS}
_BY_VARIABLE: Mapping[str, Setting] = {setting.variable: setting for setting in SETTINGS}


def _from_flags(flags: Mapping[str, str]) -> dict[str, Any]:
    return {name: _BY_NAME[name].parse(text, _BY_NAME[name].flag) for name, text in flags.items()}


def _from_environ(environ: Mapping[str, str]) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for variable in sorted(environ):
        if setting := _BY_VARIABLE.get(variable):
            given[setting.name] = setting.parse(environ[variable], variable)
        elif variable.startswith(PREFIX) and not (
            variable in OTHER_VARIABLES or variable in _CHILD_VARIABLES or _FOREIGN_VARIABLE.fullmatch(variable)
        ):
            raise SettingsError(f"no such setting: {variable}{_nearest(variable, [*_BY_VARIABLE, *OTHER_VARIABLES])}")
    return given


def _from_file(path: str | None) -> dict[str, Any]:
    if path is None:
        return {}
    import tomllib  # only who has such a file pays for it

    try:
        content = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from None
    except ValueError as error:  # not TOML, or not UTF-8
        raise SettingsError(f"the settings file {path} is not valid TOML: {error}") from None
    given: dict[str, Any] = {}
    for name, value in content.items():
        if name not in _BY_NAME:
            raise SettingsError(f"no such setting in {path}: {name}{_nearest(name, list(_BY_NAME))}")
        if not isinstance(value, str | int | bool):
            raise SettingsError(f"{path}: {name}: expected text, a number or true/false")
        given[name] = _BY_NAME[name].parse(_text(value), f"{path}: {name}")
    return given


def _nearest(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.85 if name.startswith(PREFIX) else 0.6)
    return f"; did you mean {near[0]}?" if near else "; docs/settings.md lists them all"


def as_markdown() -> str:
    """docs/settings.md: this module, for people."""
    lines = [
        "# Settings",
        "",
        "Generated from `platform/settings.py`: `python -m coldstream.platform.settings > docs/settings.md`.",
        "",
        "Each setting can be given as a flag of `coldstream up`, `broker`, `console` and `migrate`, as an environment",
        "variable, or as a key of a TOML file named by `--config` or `COLDSTREAM_CONFIG`. Flags win over variables,",
        "variables over the file. Bytes take units (`64MiB`, `1GB`), durations too (`500ms`, `30s`, `5m`, `1h`, `7d`).",
        "A key or `COLDSTREAM_` variable that does not exist is refused by name.",
    ]
    for setting in SETTINGS:
        spellings = f"`{setting.flag} {setting.kind.placeholder}` · `{setting.variable}` · `{setting.name}`"
        lines += [
            "",
            f"## {setting.name}",
            "",
            setting.doc,
            "",
            f"- {spellings}",
            f"- default: {setting.shown_default}",
        ]
    lines += ["", "## Other variables", ""]
    lines += [f"- `{name}`: {doc}" for name, doc in OTHER_VARIABLES.items()]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(as_markdown(), end="")
