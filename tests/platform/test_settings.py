"""Settings: where they come from, who wins, and what is refused by name."""

from pathlib import Path

import pytest
from coldstream.platform.settings import SETTINGS, Address, Settings, SettingsError, as_markdown

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("127.0.0.1:9092", "127.0.0.1", 9092), ("[::1]:0", "::1", 0), ("kafka.example:1", "kafka.example", 1)],
)
def test_an_address_reads_and_writes_itself(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == Address(host, port)
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize("text", ["", "9092", ":9092", "host:", "host:70000", "host:-1", "host:१", "::1:9092", "a b:1"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        Address.parse(text)


def test_flags_win_over_variables_over_the_file_over_defaults(tmp_path: Path) -> None:
    file = tmp_path / "coldstream.toml"
    file.write_text('kafka = "127.0.0.1:1"\nconsole = "127.0.0.1:1"\ncache_files_max = 7\nallow_plaintext = true\n')
    environ = {"COLDSTREAM_CONFIG": str(file), "COLDSTREAM_KAFKA": "127.0.0.1:2", "COLDSTREAM_CONSOLE": "127.0.0.1:2"}
    settings = Settings.load({"kafka": "127.0.0.1:3"}, environ)
    assert settings.kafka.port == 3
    assert settings.console.port == 2
    assert (settings.cache_files_max, settings.allow_plaintext) == (7, True)
    assert settings.broker_metrics.port == 9644


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"COLDSTREAM_KAFFKA": "x"}, "no such setting: COLDSTREAM_KAFFKA; did you mean COLDSTREAM_KAFKA?"),
        ({"COLDSTREAM_NONSENSE": "x"}, "no such setting: COLDSTREAM_NONSENSE; docs/settings.md lists them all"),
        ({"COLDSTREAM_KAFKA": "x"}, "COLDSTREAM_KAFKA: expected HOST:PORT"),
        ({"COLDSTREAM_LOG_LEVEL": "loud"}, "COLDSTREAM_LOG_LEVEL: expected debug, info, warning or error"),
        ({"COLDSTREAM_CACHE_BYTES_MAX": "4 parsec"}, "COLDSTREAM_CACHE_BYTES_MAX: expected a number"),
        ({"COLDSTREAM_ALLOW_PLAINTEXT": "maybe"}, "COLDSTREAM_ALLOW_PLAINTEXT: expected true or false"),
        ({"COLDSTREAM_BROKERS": "2"}, "exactly one broker"),
        ({"COLDSTREAM_KAFKA": "0.0.0.0:9092"}, "--advertised-kafka"),
        ({"COLDSTREAM_KAFKA": "0.0.0.0:9092", "COLDSTREAM_ADVERTISED_KAFKA": "0.0.0.0:1"}, "no client can connect"),
        ({"COLDSTREAM_KAFKA": "0.0.0.0:9092", "COLDSTREAM_ADVERTISED_KAFKA": "me:9092"}, "unencrypted"),
        ({"COLDSTREAM_KAFKA": "192.0.2.1:9092"}, "unencrypted"),
        ({"COLDSTREAM_TLS_CERT": "/c.pem"}, "belong together"),
        ({"COLDSTREAM_ANONYMOUS": "everyone"}, "TENANT/NAMESPACE"),
        ({"COLDSTREAM_FRAME_BYTES_MAX": "4GiB"}, "--frame-bytes-max"),
        ({"COLDSTREAM_CONNECTIONS_MAX": "0"}, "--connections-max"),
        ({"COLDSTREAM_CONFIG": "/nowhere/at.toml"}, "cannot read the settings file /nowhere/at.toml"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(environ: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ(environ)
    assert said in str(refused.value)


def test_anonymous_clients_are_for_loopback_only() -> None:
    remote = {"kafka": "192.0.2.1:9092", "allow_plaintext": "true"}
    assert Settings.load(remote, {}).anonymous is None
    with pytest.raises(SettingsError, match="needs a loopback --kafka address"):
        Settings.load({**remote, "anonymous": "default/default"}, {})


def test_a_password_in_a_mistyped_database_url_is_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        Settings.from_environ({"COLDSTREAM_DATABASE": "user:hunter2@host/db"})
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in repr(Settings.from_environ({"COLDSTREAM_DATABASE": "postgresql://user:hunter2@host/db"}))


def test_a_key_of_the_file_that_does_not_exist_is_named(tmp_path: Path) -> None:
    file = tmp_path / "coldstream.toml"
    file.write_text('data-dir = "/srv"\n')
    with pytest.raises(SettingsError, match=r"no such setting in .*: data-dir; did you mean data_dir"):
        Settings.load({}, {}, str(file))
    file.write_text("data_dir = [1]\n")
    with pytest.raises(SettingsError, match="data_dir: expected text"):
        Settings.load({}, {}, str(file))
    file.write_text("data_dir")
    with pytest.raises(SettingsError, match="not valid TOML"):
        Settings.load({}, {}, str(file))


@pytest.mark.parametrize(
    "variable",
    [
        "COLDSTREAM_PORT",
        "COLDSTREAM_PORT_9092_TCP_ADDR",
        "COLDSTREAM_CONSOLE_SERVICE_HOST",
        "COLDSTREAM_SERVICE_PORT_KAFKA",
    ],
)
def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_setting(variable: str) -> None:
    assert Settings.from_environ({variable: "tcp://10.0.0.1:9092"}) == Settings.from_environ({})


def test_no_setting_hides_behind_the_names_of_others() -> None:
    for setting in SETTINGS:
        with pytest.raises(SettingsError):
            Settings.from_environ({setting.variable: "\0 nothing parses this" if setting.name != "data_dir" else ""})


@pytest.mark.parametrize(
    ("text", "size"), [("1048576", 2**20), ("64MiB", 64 * 2**20), ("1 GB", 10**9), ("5kb", 5000), ("0B", 0)]
)
def test_bytes_take_units(text: str, size: int) -> None:
    assert Settings.load({"cache_bytes_max": text}, {}).cache_bytes_max == size


@pytest.mark.parametrize(("text", "ms"), [("250", 250), ("250ms", 250), ("30s", 30_000), ("1h", 3_600_000)])
def test_durations_take_units(text: str, ms: int) -> None:
    assert Settings.load({"offload_interval_ms": text}, {}).offload_interval_ms == ms


def test_a_child_gets_exactly_the_same_settings(tmp_path: Path) -> None:
    given = {
        "data_dir": str(tmp_path / "a b%20?"),
        "anonymous": "default/default",
        "kafka": "[::1]:9",
        "cache_bytes_max": "1KiB",
    }
    settings = Settings.load(given, {})
    assert Settings.from_environ(settings.as_environ()) == settings
    assert settings.data_dir.is_absolute()


def test_the_settings_page_is_current() -> None:
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert page == as_markdown(), "run: python -m coldstream.platform.settings > docs/settings.md"
