from pathlib import Path

from coldstream.console.config import ConsoleConfig
from coldstream.console.front_page import front_page
from starlette.requests import Request


def page(bootstrap: str) -> tuple[str, str]:
    config = ConsoleConfig(
        listen_host="127.0.0.1",
        listen_port=0,
        database="sqlite://",
        broker_host="127.0.0.1",
        broker_port=9092,
        bootstrap=bootstrap,
        cluster_secret_path=Path("secret"),
    )
    answer = front_page(Request({"type": "http"}), config)
    return bytes(answer.body).decode(), answer.headers["content-security-policy"]


def test_the_front_page_says_where_kafka_clients_connect() -> None:
    text, _ = page("broker.example:9092")
    assert "broker.example:9092" in text and "SASL_PLAINTEXT" in text


def test_the_front_page_loads_nothing_and_its_policy_allows_only_its_own_style() -> None:
    text, policy = page("x:1")
    nonce = text.split('nonce="')[1].split('"')[0]
    assert f"style-src 'nonce-{nonce}'" in policy and "default-src 'none'" in policy
    assert "<script" not in text and "http://" not in text and "https://" not in text


def test_what_a_setting_says_is_escaped_on_the_front_page() -> None:
    text, _ = page("<script>alert(1)</script>")
    assert "<script>" not in text
