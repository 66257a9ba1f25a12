"""The console as a Kafka client, against a broker of a few lines that answers as it is told to."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from coldstream.console.kafka import BrokerClient, BrokerUnavailable, PartitionFigures
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.codec import decode_request, encode_response
from coldstream.platform.wire.errors import ErrorCode
from coldstream.platform.wire.header import decode_request_header
from coldstream.platform.wire.messages import describe_log_dirs as dirs
from coldstream.platform.wire.messages import list_offsets as offsets
from coldstream.platform.wire.messages import sasl_authenticate, sasl_handshake

NAMESPACE_ID = uuid4()
OFFSETS = {offsets.EARLIEST_TIMESTAMP: 3, offsets.EARLIEST_LOCAL_TIMESTAMP: 5, offsets.LATEST_TIMESTAMP: 9}


class FakeBroker:
    """Answers ListOffsets for partition 0 only, and log directories for it; keeps what it was asked."""

    def __init__(self, *, sign_in: ErrorCode = ErrorCode.NONE, silent: bool = False) -> None:
        self.asked: list[Any] = []
        self._sign_in = sign_in
        self._silent = silent

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                frame = await reader.readexactly(int.from_bytes(await reader.readexactly(4), "big"))
                header = decode_request_header(frame, 0, len(frame))
                request = decode_request(header.api_key, header.api_version, frame, header.body_start, len(frame))
                self.asked.append(request)
                if self._silent:
                    await asyncio.sleep(60)
                answer = self._answer(ApiKey(header.api_key), request)
                writer.write(encode_response(header.api_key, header.api_version, header.correlation_id, answer))
        except asyncio.IncompleteReadError:
            writer.close()

    def _answer(self, api: ApiKey, request: Any) -> Any:
        match api:
            case ApiKey.SASL_HANDSHAKE:
                return sasl_handshake.RESPONSE(error_code=0, mechanisms=["PLAIN", "OAUTHBEARER"])
            case ApiKey.SASL_AUTHENTICATE:
                return sasl_authenticate.RESPONSE(error_code=self._sign_in, auth_bytes=b"")
            case ApiKey.LIST_OFFSETS:
                (topic,) = request.topics
                partitions = [
                    offsets.ListOffsetsPartitionResponse(
                        partition_index=partition.partition_index,
                        error_code=0 if partition.partition_index == 0 else ErrorCode.NOT_LEADER_OR_FOLLOWER,
                        offset=OFFSETS[partition.timestamp] if partition.partition_index == 0 else -1,
                    )
                    for partition in topic.partitions
                ]
                return offsets.RESPONSE(
                    topics=[offsets.ListOffsetsTopicResponse(name=topic.name, partitions=partitions)]
                )
        return dirs.RESPONSE(
            results=[
                dirs.DescribeLogDirsResult(error_code=0, log_dir=tier, topics=[self._size(size)])
                for tier, size in (("hot", 100), ("cold", 200))
            ]
        )

    @staticmethod
    def _size(size: int) -> Any:
        partition = dirs.DescribeLogDirsPartition(partition_index=0, partition_size=size, offset_lag=0)
        return dirs.DescribeLogDirsTopic(name="orders", partitions=[partition])


def asking(directory: Path, broker: Any, scenario: Callable[[BrokerClient], Awaitable[None]]) -> None:
    secret = directory / "cluster-secret"
    secret.write_text(secrets.token_hex(32))

    async def run() -> None:
        server = await asyncio.start_server(broker, "127.0.0.1", 0)
        async with server:
            await scenario(BrokerClient("127.0.0.1", server.sockets[0].getsockname()[1], secret))

    asyncio.run(run())


def test_figures_are_offsets_and_bytes_and_unknown_where_the_broker_has_no_answer(tmp_path: Path) -> None:
    broker = FakeBroker()

    async def scenario(client: BrokerClient) -> None:
        figures = await client.figures(NAMESPACE_ID, "orders", 2)
        assert figures[0] == PartitionFigures(3, 5, 9, 100, 200)
        assert figures[1] == PartitionFigures(None, None, None, None, None)
        assert await client.accepts()

    asking(tmp_path, broker, scenario)
    handshake, sign_in, *_ = broker.asked
    assert handshake.mechanism == "OAUTHBEARER"
    assert sign_in.auth_bytes.startswith(b"n,,\x01auth=Bearer ey")


def test_a_refused_sign_in_is_named(tmp_path: Path) -> None:
    async def scenario(client: BrokerClient) -> None:
        with pytest.raises(BrokerUnavailable, match="SASL_AUTHENTICATION_FAILED"):
            await client.figures(NAMESPACE_ID, "orders", 1)

    asking(tmp_path, FakeBroker(sign_in=ErrorCode.SASL_AUTHENTICATION_FAILED), scenario)


def test_a_broker_that_says_nothing_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coldstream.console.kafka_connection.DEADLINE_S", 0.1)

    async def scenario(client: BrokerClient) -> None:
        with pytest.raises(BrokerUnavailable, match="did not answer"):
            await client.figures(NAMESPACE_ID, "orders", 1)

    asking(tmp_path, FakeBroker(silent=True), scenario)


@pytest.mark.parametrize("said", [b"", b"\x7f\xff\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\x04\0\0\0\x09", b"HTTP/1.1"])
def test_what_is_no_broker_is_unavailable(tmp_path: Path, said: bytes) -> None:
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async def scenario(client: BrokerClient) -> None:
        with pytest.raises(BrokerUnavailable):
            await client.figures(NAMESPACE_ID, "orders", 1)

    asking(tmp_path, stranger, scenario)


def test_nobody_there_is_unavailable_and_not_accepting(tmp_path: Path) -> None:
    (tmp_path / "cluster-secret").write_text(secrets.token_hex(32))

    async def scenario() -> None:
        client = BrokerClient("127.0.0.1", 1, tmp_path / "cluster-secret")
        assert not await client.accepts()
        with pytest.raises(BrokerUnavailable, match="cannot be reached"):
            await client.figures(NAMESPACE_ID, "orders", 1)

    asyncio.run(scenario())


def test_without_the_cluster_secret_nothing_is_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        with pytest.raises(BrokerUnavailable, match="cluster secret"):
            await BrokerClient("127.0.0.1", 1, tmp_path / "none").figures(NAMESPACE_ID, "orders", 1)

    asyncio.run(scenario())
