"""Snippets hold what they were given, whatever it is, in the quoting of their language. That they work is shown by
running them: tests/conformance/test_snippets.py."""

import ast
import json
import re
import shlex
from typing import Any

import pytest
from coldstream.console.snippets import CA_FILE, CLIENTS, KEY_SECRET, Connection, snippet, snippets

HOSTILE = "a\"b'c\\d$(e)`f`${g}%h\n#i {j}"


def connection(protocol: str = "SASL_PLAINTEXT", **others: str) -> Connection:
    return Connection(**{"bootstrap": "a:9092,b:9092", "security_protocol": protocol, "topic": "orders.v1", **others})


def literals(code: str) -> list[Any]:
    """Every text of a Python program."""
    return [node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)]


@pytest.mark.parametrize("part", ["produce", "consume"])
def test_the_shell_gives_a_client_what_was_meant(part: str) -> None:
    for client in ("kcat", "env"):
        words = shlex.split(getattr(snippet(client, connection(password=HOSTILE)), part), comments=client == "kcat")
        assert any(word.endswith(f"={HOSTILE}") and "assword" in word.lower() for word in words), client


@pytest.mark.parametrize("client", ["confluent-kafka", "aiokafka"])
def test_python_reads_what_was_meant(client: str) -> None:
    made = snippet(client, connection(username=HOSTILE, password=f"{HOSTILE}2", group=f"{HOSTILE}3"))
    assert {HOSTILE, f"{HOSTILE}2"} <= set(literals(made.produce))
    assert {HOSTILE, f"{HOSTILE}2", f"{HOSTILE}3", "orders.v1"} <= set(literals(made.consume))


@pytest.mark.parametrize("client", ["go", "node", "java"])
def test_text_literals_of_programs_hold_what_was_meant(client: str) -> None:
    code = snippet(client, connection(password=HOSTILE)).produce
    texts = [json.loads(found) for found in re.findall(r'"(?:[^"\\\n]|\\.)*"', code)]
    if client != "java":
        assert HOSTILE in texts
        return
    jaas = next(text for text in texts if text.startswith("org.apache.kafka.common.security.plain"))
    found = re.search(r'password="((?:[^"\\]|\\.)*)";$', jaas, re.DOTALL)
    assert found is not None
    assert re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL) == HOSTILE


@pytest.mark.parametrize("client", CLIENTS)
def test_with_tls_every_client_is_told_whom_to_trust_and_without_it_none_is(client: str) -> None:
    for part in ("produce", "consume"):
        assert CA_FILE in getattr(snippet(client, connection("SASL_SSL")), part)
        assert CA_FILE not in getattr(snippet(client, connection()), part)
        assert "ssl" not in getattr(snippet(client, connection()), part).lower().replace("ssl: false", "")


def test_without_a_key_there_are_placeholders_in_every_snippet() -> None:
    for each in snippets(connection()):
        assert KEY_SECRET in each.produce and KEY_SECRET in each.consume
        assert each.produce.endswith("\n") and not each.produce.startswith("\n")


def test_a_connection_does_not_show_its_secret() -> None:
    assert "hidden" not in repr(connection(password="hidden"))
