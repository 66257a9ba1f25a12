"""Which requests may come when, on a real connection to a broker that nobody may use without signing in."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from coldstream.platform.broker.authentication import SignInRefused, parse_bearer, parse_plain
from coldstream.platform.broker.sign_in import MAY_COME, State
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.tests.broker_in_process import InProcessBroker, last_used_at_ms, make_key, prepare, revoke
from coldstream.tests.raw_kafka import ConnectionEnded, RawKafka, plain_token


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("signed")
    prepare(path)
    return path


@pytest.fixture(scope="module")
def address(data_dir: Path) -> Iterator[str]:
    with InProcessBroker(data_dir, anonymous=None) as broker:
        yield broker.address


@pytest.fixture(scope="module")
def key(data_dir: Path) -> tuple[str, str]:
    return make_key(data_dir, "admin")


def test_a_key_signs_in_and_is_served(address: str, key: tuple[str, str]) -> None:
    with RawKafka(address) as client:
        assert client.sign_in(*key).error_code == ErrorCode.NONE
        assert client.ask(ApiKey.METADATA, 9, {"topics": None}).cluster_id


@pytest.mark.parametrize(
    ("username", "password"), [("nobody", "x"), ("A" * 12, "cs_key_" + "x" * 60), ("", ""), ("ü", "ü")]
)
def test_strangers_all_hear_the_same_words(address: str, username: str, password: str) -> None:
    with RawKafka(address) as client:
        answer = client.sign_in(username, password)
        assert answer.error_code == ErrorCode.SASL_AUTHENTICATION_FAILED
        assert answer.error_message == "Authentication failed: no such API key, or the wrong secret"
        with pytest.raises(ConnectionEnded):
            client.exchange(ApiKey.METADATA, 9, {"topics": None})


def test_a_wrong_secret_of_a_real_key_hears_what_strangers_hear(address: str, key: tuple[str, str]) -> None:
    with RawKafka(address) as client:
        wrong = key[1][:-1] + ("x" if key[1][-1] != "x" else "y")
        assert "no such API key, or the wrong secret" in client.sign_in(key[0], wrong).error_message


@pytest.mark.parametrize("api", [key for key in ApiKey if key not in MAY_COME[State.NEW]])
def test_nothing_but_versions_and_handshake_is_served_before_sign_in(address: str, api: ApiKey) -> None:
    header = int(api).to_bytes(2, "big") + b"\0\0" + b"\0\0\0\7" + b"\xff\xff"
    with RawKafka(address) as client:
        client.send(len(header).to_bytes(4, "big") + header)
        with pytest.raises(ConnectionEnded):
            client.receive()


def test_an_unknown_mechanism_is_answered_with_those_that_are_offered(address: str) -> None:
    with RawKafka(address) as client:
        answer = client.ask(ApiKey.SASL_HANDSHAKE, 1, {"mechanism": "GSSAPI"})
        assert answer.error_code == ErrorCode.UNSUPPORTED_SASL_MECHANISM
        assert list(answer.mechanisms) == ["PLAIN", "OAUTHBEARER"]


def test_a_client_of_handshake_v0_sends_its_token_bare(address: str, key: tuple[str, str]) -> None:
    token = plain_token(*key)
    with RawKafka(address) as client:
        client.ask(ApiKey.SASL_HANDSHAKE, 0, {"mechanism": "PLAIN"})
        client.send(len(token).to_bytes(4, "big") + token)
        assert client.receive() == b""
        assert client.ask(ApiKey.METADATA, 1, {"topics": None}).brokers


def test_a_connection_may_sign_in_again_but_not_as_somebody_else(
    address: str, key: tuple[str, str], data_dir: Path
) -> None:
    other = make_key(data_dir, "producer")
    with RawKafka(address) as client:
        assert client.sign_in(*key).error_code == ErrorCode.NONE
        assert client.sign_in(*key).error_code == ErrorCode.NONE
        assert client.is_alive()
        assert client.sign_in(*other).error_code == ErrorCode.SASL_AUTHENTICATION_FAILED


def test_revoking_a_key_ends_its_live_connections_soon(address: str, data_dir: Path) -> None:
    key_id, secret = make_key(data_dir, "consumer")
    with RawKafka(address) as client:
        client.sign_in(key_id, secret)
        assert client.is_alive()
        revoke(data_dir, key_id)
        deadline_s = time.monotonic() + 5
        while client.is_alive() and time.monotonic() < deadline_s:
            time.sleep(0.05)
        assert not client.is_alive()
    with RawKafka(address) as client:
        assert client.sign_in(key_id, secret).error_message == "Authentication failed: this key is revoked"


def test_a_role_that_does_not_allow_it_is_told_so_for_topics_that_exist_and_those_that_do_not(
    address: str, key: tuple[str, str], data_dir: Path
) -> None:
    consumer = make_key(data_dir, "consumer", topic="mine*")
    with RawKafka(address) as client:
        client.sign_in(*key)
        client.ask(ApiKey.CREATE_TOPICS, 5, {"topics": [{"name": "theirs"}, {"name": "mine-1"}], "timeout_ms": 1})
    with RawKafka(address) as client:
        client.sign_in(*consumer)
        names = [{"name": name} for name in ("theirs", "absent", "mine-1", "mine-2")]
        answer = client.ask(ApiKey.METADATA, 9, {"topics": names})
        assert [topic.error_code for topic in answer.topics] == [
            ErrorCode.TOPIC_AUTHORIZATION_FAILED,
            ErrorCode.TOPIC_AUTHORIZATION_FAILED,
            ErrorCode.NONE,
            ErrorCode.UNKNOWN_TOPIC_OR_PARTITION,
        ]
        assert [t.name for t in client.ask(ApiKey.METADATA, 9, {"topics": None}).topics] == ["mine-1"]


@pytest.mark.parametrize("message", [b"", b"one", b"a\0b", b"a\0b\0c\0d", b"\xff\0\xfe\0x", b"admin\0key\0secret"])
def test_a_plain_message_that_is_not_three_strings_of_one_identity_is_refused(message: bytes) -> None:
    with pytest.raises(SignInRefused):
        parse_plain(message)


def test_a_bearer_token_is_found_in_the_client_message() -> None:
    assert parse_bearer(b"n,,\x01auth=Bearer abc.def\x01\x01") == "abc.def"
    for wrong in (b"", b"n,,\x01\x01", b"n,,\x01auth=Basic abc\x01\x01"):
        with pytest.raises(SignInRefused):
            parse_bearer(wrong)


def test_a_key_of_a_namespace_made_a_moment_ago_signs_in(address: str, data_dir: Path) -> None:
    key = make_key(data_dir, "admin", namespace=f"fresh-{time.monotonic_ns()}")
    with RawKafka(address) as client:
        assert client.sign_in(*key).error_code == ErrorCode.NONE


def test_the_last_use_of_a_key_is_noted_for_its_owner(address: str, data_dir: Path) -> None:
    key = make_key(data_dir, "producer")
    with RawKafka(address) as client:
        client.sign_in(*key)
        deadline_s = time.monotonic() + 5
        while (used := last_used_at_ms(data_dir, key[0])) is None and time.monotonic() < deadline_s:
            time.sleep(0.05)
    assert used is not None and abs(used - time.time() * 1000) < 60_000
