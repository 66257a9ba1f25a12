"""The console as a Kafka client: what a topic's broker says of its partitions, over the wire like anybody's client.

One connection per question, closed after the answer: topics are looked at by people. Whatever goes wrong is
BrokerUnavailable with a sentence for the reader; a page or an API answer shows it instead of figures.
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from ..platform.wire.api import ApiKey
from ..platform.wire.codec import decode_response, encode_request
from ..platform.wire.errors import ErrorCode, WireError
from ..platform.wire.messages.describe_log_dirs import DescribableLogDirTopic, DescribeLogDirsRequest
from ..platform.wire.messages.list_offsets import (
    EARLIEST_LOCAL_TIMESTAMP,
    EARLIEST_TIMESTAMP,
    LATEST_TIMESTAMP,
    ListOffsetsPartition,
    ListOffsetsRequest,
    ListOffsetsTopic,
)
from ..platform.wire.messages.sasl_authenticate import SaslAuthenticateRequest
from ..platform.wire.messages.sasl_handshake import SaslHandshakeRequest
from .kafka_token import console_token, read_cluster_secret

CLIENT_ID = "coldstream-console"
ANSWER_BYTES_MAX = 64 * 2**20
DEADLINE_S = 5.0
CONNECT_S = 1.0


class BrokerUnavailable(Exception):
    """The broker cannot be asked now; the message says why, without addresses of other tenants or secrets."""


@dataclass(frozen=True, slots=True)
class PartitionFigures:
    """Offsets of one partition and its bytes per tier; None where the broker did not say."""

    log_start: int | None
    local_start: int | None
    end: int | None
    hot_bytes: int | None
    cold_bytes: int | None


NOTHING_KNOWN = PartitionFigures(None, None, None, None, None)


class BrokerClient:
    """Where the broker is, and how to sign in there. Holds no connection."""

    def __init__(self, host: str, port: int, cluster_secret_path: Path, tls_cert: Path | None = None) -> None:
        self._host = host
        self._port = port
        self._cluster_secret_path = cluster_secret_path
        self._tls_cert = tls_cert

    async def accepts(self) -> bool:
        """Whether something takes connections there."""
        try:
            async with asyncio.timeout(CONNECT_S):
                _, writer = await asyncio.open_connection(self._host, self._port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    def token(self, namespace_id: UUID, role: str, now_ms: int) -> str:
        """A token for the Kafka port. Raises BrokerUnavailable when there is no cluster secret to sign it with."""
        try:
            return console_token(read_cluster_secret(self._cluster_secret_path), namespace_id, role, now_ms)
        except (OSError, ValueError):
            raise BrokerUnavailable(
                "the console cannot read the cluster secret that broker and console share"
            ) from None

    async def figures(self, namespace_id: UUID, topic: str, partitions: int) -> dict[int, PartitionFigures]:
        """What the broker says of partitions 0 to `partitions` - 1. Raises BrokerUnavailable."""
        try:
            async with asyncio.timeout(DEADLINE_S), self._signed_in(namespace_id) as connection:
                indexes = range(partitions)
                log_start = await connection.offsets(topic, indexes, EARLIEST_TIMESTAMP)
                local_start = await connection.offsets(topic, indexes, EARLIEST_LOCAL_TIMESTAMP)
                end = await connection.offsets(topic, indexes, LATEST_TIMESTAMP)
                sizes = await connection.log_dirs(topic, indexes)
        except TimeoutError:
            raise BrokerUnavailable(f"the broker did not answer within {DEADLINE_S:.0f} s") from None
        except OSError as error:
            raise BrokerUnavailable(f"the broker cannot be reached ({error.strerror or 'connection failed'})") from None
        except (WireError, EOFError):
            raise BrokerUnavailable("the broker ended the conversation or gave an answer that makes no sense") from None
        hot, cold = sizes.get("hot", {}), sizes.get("cold", {})
        return {
            index: PartitionFigures(
                log_start.get(index), local_start.get(index), end.get(index), hot.get(index), cold.get(index)
            )
            for index in indexes
        }

    @contextlib.asynccontextmanager
    async def _signed_in(self, namespace_id: UUID) -> AsyncIterator["_Connection"]:
        token = self.token(namespace_id, "viewer-metadata", int(time.time() * 1000))
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls())
        try:
            connection = _Connection(reader, writer)
            await connection.sign_in(token)
            yield connection
        finally:
            writer.close()

    def _tls(self) -> ssl.SSLContext | None:
        """Trust in the broker's own certificate, whatever names it has: the console is told the file, not a name."""
        if self._tls_cert is None:
            return None
        context = ssl.create_default_context(cafile=str(self._tls_cert))
        context.check_hostname = False
        return context


class _Connection:
    """One conversation: a request, then its answer."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._correlation_id = 0

    async def ask(self, api_key: ApiKey, version: int, request: Any) -> Any:
        self._correlation_id += 1
        self._writer.write(encode_request(api_key, version, self._correlation_id, CLIENT_ID, request))
        await self._writer.drain()
        size = int.from_bytes(await self._reader.readexactly(4), "big", signed=True)
        if not 4 <= size <= ANSWER_BYTES_MAX:
            raise EOFError
        correlation_id, answer = decode_response(api_key, version, await self._reader.readexactly(size))
        if correlation_id != self._correlation_id:
            raise EOFError
        return answer

    async def sign_in(self, token: str) -> None:
        """SASL/OAUTHBEARER (RFC 7628). Raises BrokerUnavailable."""
        handshake = await self.ask(ApiKey.SASL_HANDSHAKE, 1, SaslHandshakeRequest(mechanism="OAUTHBEARER"))
        _check(handshake.error_code)
        message = f"n,,\x01auth=Bearer {token}\x01\x01".encode("ascii")
        signed_in = await self.ask(ApiKey.SASL_AUTHENTICATE, 2, SaslAuthenticateRequest(auth_bytes=message))
        _check(signed_in.error_code)

    async def offsets(self, topic: str, partitions: Sequence[int], timestamp: int) -> Mapping[int, int]:
        """One kind of offset for each partition that the broker answers for."""
        asked = [ListOffsetsPartition(partition_index=index, timestamp=timestamp) for index in partitions]
        request = ListOffsetsRequest(topics=[ListOffsetsTopic(name=topic, partitions=asked)])
        answer = await self.ask(ApiKey.LIST_OFFSETS, 8, request)
        return {
            partition.partition_index: partition.offset
            for told in answer.topics
            if told.name == topic
            for partition in told.partitions
            if partition.error_code == 0 and partition.offset >= 0
        }

    async def log_dirs(self, topic: str, partitions: Sequence[int]) -> Mapping[str, Mapping[int, int]]:
        """Bytes per partition for each tier, which the broker shows as log directories `hot` and `cold`."""
        asked = [DescribableLogDirTopic(topic=topic, partitions=list(partitions))]
        answer = await self.ask(ApiKey.DESCRIBE_LOG_DIRS, 4, DescribeLogDirsRequest(topics=asked))
        _check(answer.error_code)
        return {
            result.log_dir: {
                partition.partition_index: partition.partition_size
                for told in result.topics
                if told.name == topic
                for partition in told.partitions
            }
            for result in answer.results
            if result.error_code == 0
        }


def _check(code: int) -> None:
    if code == 0:
        return
    try:
        name = ErrorCode(code).name
    except ValueError:
        name = str(code)
    raise BrokerUnavailable(f"the broker refuses the console: {name}")
