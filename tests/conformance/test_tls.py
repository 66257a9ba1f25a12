"""The Kafka port with TLS: every library over SASL_SSL, and a reason in the log for a client without."""

import asyncio
import datetime
import ipaddress
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.virtual_cluster import HttpApi, VirtualCluster, consume, produce
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from kafka import KafkaProducer

DEADLINE_S = 10.0


def make_certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    addresses = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(minutes=5))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(addresses), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_path, key_path = directory / "certificate.pem", directory / "key.pem"
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_path, key_path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PlatformProcess, VirtualCluster, Path]]:
    directory = tmp_path_factory.mktemp("tls")
    certificate, key = make_certificate(directory)
    with PlatformProcess.started(directory, tls_cert=certificate, tls_key=key) as platform:
        yield platform, VirtualCluster.make(HttpApi(platform.url, platform.token), platform.kafka), certificate


def test_every_library_over_tls(secured: tuple[PlatformProcess, VirtualCluster, Path]) -> None:
    _, cluster, certificate = secured
    topic = cluster.topic()
    settings = {**cluster.confluent(), "security.protocol": "SASL_SSL", "ssl.ca.location": str(certificate)}
    produce(settings, topic, [b"confluent", b"x" * 900_000])
    context = ssl.create_default_context(cafile=str(certificate))
    python = {**cluster.python(), "security_protocol": "SASL_SSL", "ssl_context": context}

    async def with_aiokafka() -> None:
        async with AIOKafkaProducer(**python) as producer:
            await producer.send_and_wait(topic, b"aiokafka")

    asyncio.run(with_aiokafka())
    producer = KafkaProducer(**python)
    producer.send(topic, b"kafka-python").get(DEADLINE_S)
    producer.close()
    values = [message.value() for message in consume(settings, topic, 4)]
    assert values == [b"confluent", b"x" * 900_000, b"aiokafka", b"kafka-python"]


def test_a_key_made_here_says_that_clients_need_tls(secured: tuple[PlatformProcess, VirtualCluster, Path]) -> None:
    platform, cluster, _ = secured
    made = platform.cli("key", "create", f"{cluster.tenant}/{cluster.namespace}", "--name", "k", "--role", "producer")
    assert made["security_protocol"] == "SASL_SSL"


def test_a_client_without_tls_gets_a_reason_in_the_log(
    secured: tuple[PlatformProcess, VirtualCluster, Path],
) -> None:
    platform, _, _ = secured
    host, _, port = platform.kafka.rpartition(":")
    with socket.create_connection((host, int(port)), DEADLINE_S) as client:
        mine = client.getsockname()[1]
        client.sendall(b"\0\0\0\x0f\0\x12\0\0\0\0\0\7\0\5plain")
        while client.recv(100):
            pass
    platform.wait_for_log(f":{mine}", "TLS")
