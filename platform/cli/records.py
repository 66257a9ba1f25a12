"""`coldstream topic produce|consume|tail`: records from and to the terminal, with no other client at hand.

The HTTP API gives a token of minutes for the Kafka port; aiokafka does the rest. It is imported only here, only now.
"""

import argparse
import asyncio
import base64
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from .addresses import namespace_address, topic_address
from .api import Api, add_api_flags, connect
from .command import Command, CommandError, Output, UsageError, printable, split_path

IN_FLIGHT_MAX = 10_000
SILENCE_S = 30.0
READ_BYTES = 64 * 1024


def _topic(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TENANT/NAMESPACE/TOPIC")
    add_api_flags(parser)


def _produce_flags(parser: argparse.ArgumentParser) -> None:
    _topic(parser)
    parser.add_argument("--key-separator", metavar="TEXT", help="what stands between key and value in a line")
    parser.add_argument("--partition", type=int, metavar="N", help="send to this partition only")


def _consume_flags(parser: argparse.ArgumentParser) -> None:
    _topic(parser)
    parser.add_argument("-n", "--count", type=int, metavar="N", help="stop after N records")
    parser.add_argument("--partition", type=int, metavar="N", help="only this partition")
    parser.add_argument("--offset", type=int, metavar="OFFSET", help="begin here; needs --partition")
    parser.add_argument("--show-keys", action="store_true", help="print key, a tab, and the value")


def _tail_flags(parser: argparse.ArgumentParser) -> None:
    _topic(parser)
    parser.add_argument("-n", "--count", type=int, metavar="N", help="stop after N records")
    parser.add_argument("--partition", type=int, metavar="N", help="only this partition")
    parser.add_argument("--show-keys", action="store_true", help="print key, a tab, and the value")
    parser.set_defaults(offset=None)


def produce(args: argparse.Namespace, output: Output) -> int:
    if args.key_separator == "":
        raise UsageError("--key-separator must not be empty")
    api, separator = connect(args), args.key_separator.encode() if args.key_separator else None
    topic = _described(api, args)
    sent = asyncio.run(_produce(api, args, topic["name"], separator))
    document = {"topic": args.topic, "records": sent}
    output.show(document, lambda: print(f"{sent} records acknowledged", file=sys.stderr))
    return 0


def consume(args: argparse.Namespace, output: Output) -> int:
    return _read(args, output, follow=False)


def tail(args: argparse.Namespace, output: Output) -> int:
    return _read(args, output, follow=True)


def _read(args: argparse.Namespace, output: Output, *, follow: bool) -> int:
    if args.count is not None and args.count < 1:
        raise UsageError("-n: at least 1")
    if args.offset is not None and args.partition is None:
        raise UsageError("--offset needs --partition: offsets count within one partition")
    api = connect(args)
    topic = _described(api, args)
    with _printer(output.json, args.show_keys) as write:
        try:
            asyncio.run(_consume(api, args, topic, write, follow=follow))
        except KeyboardInterrupt:
            if not follow:
                raise
    return 0


def _described(api: Api, args: argparse.Namespace) -> Any:
    """The topic as the API shows it: an unknown one is said here, not after a Kafka client's minute of waiting."""
    topic = api.get(topic_address(args.topic))
    if args.partition is not None and not 0 <= args.partition < len(topic["partitions"]):
        raise CommandError(f"{args.topic} has partitions 0 to {len(topic['partitions']) - 1}, not {args.partition}")
    return topic


def _aiokafka() -> Any:
    """The library, which has no types."""
    import aiokafka

    return aiokafka


def _client_settings(api: Api, path: str) -> dict[str, Any]:
    """aiokafka's settings for the namespace of a topic, signing in with a new token for each connection."""
    from aiokafka.abc import AbstractTokenProvider
    from aiokafka.helpers import create_ssl_context

    tenant, namespace, _ = split_path(path, 3)
    address = f"{namespace_address(f'{tenant}/{namespace}')}/console-token"
    given = api.post(address)

    class ConsoleTokens(AbstractTokenProvider):
        async def token(self) -> str:
            fresh = await asyncio.to_thread(api.post, address)
            return str(fresh["token"])

    encrypted = given["security_protocol"] == "SASL_SSL"
    return {
        "bootstrap_servers": given["bootstrap"],
        "client_id": "coldstream-cli",
        "security_protocol": given["security_protocol"],
        "sasl_mechanism": "OAUTHBEARER",
        "sasl_oauth_token_provider": ConsoleTokens(),
        "ssl_context": create_ssl_context() if encrypted else None,
    }


async def _produce(api: Api, args: argparse.Namespace, topic: str, separator: bytes | None) -> int:
    with _kafka_errors():
        producer = _aiokafka().AIOKafkaProducer(
            **_client_settings(api, args.topic), enable_idempotence=True, linger_ms=5
        )
        await producer.start()
        waiting: set[asyncio.Future[Any]] = set()
        sent = 0
        try:
            async for line in _lines():
                key, value = _split(line, separator, sent + 1)
                waiting.add(await producer.send(topic, value, key=key, partition=args.partition))
                sent += 1
                if len(waiting) >= IN_FLIGHT_MAX:
                    waiting = await _settle(waiting, asyncio.FIRST_COMPLETED)
            await producer.flush()
            await _settle(waiting, asyncio.ALL_COMPLETED)
        finally:
            await producer.stop()
    return sent


async def _settle(waiting: "set[asyncio.Future[Any]]", when: str) -> "set[asyncio.Future[Any]]":
    """Waits for acknowledgements; what still waits. Raises the first failure."""
    if not waiting:
        return waiting
    done, left = await asyncio.wait(waiting, return_when=when)
    for future in done:
        future.result()
    return left


async def _lines() -> AsyncIterator[bytes]:
    """Lines of stdin without their ends; a last line without one counts too."""
    rest = b""
    while data := await asyncio.to_thread(os.read, sys.stdin.fileno(), READ_BYTES):
        *whole, rest = (rest + data).split(b"\n")
        for line in whole:
            yield line
    if rest:
        yield rest


def _split(line: bytes, separator: bytes | None, number: int) -> tuple[bytes | None, bytes]:
    if separator is None:
        return None, line
    key, found, value = line.partition(separator)
    if not found:
        raise CommandError(
            f"line {number} has no {separator.decode()!r} between key and value; what came before is sent"
        )
    return key, value


async def _consume(api: Api, args: argparse.Namespace, topic: Any, write: "Writer", *, follow: bool) -> None:
    aiokafka = _aiokafka()
    indexes = range(len(topic["partitions"])) if args.partition is None else [args.partition]
    assigned = [aiokafka.TopicPartition(topic["name"], index) for index in indexes]
    with _kafka_errors():
        consumer = aiokafka.AIOKafkaConsumer(
            **_client_settings(api, args.topic), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        await consumer.start()
        try:
            consumer.assign(assigned)
            ends = await consumer.end_offsets(assigned)
            starts = ends if follow else await consumer.beginning_offsets(assigned)
            if args.offset is not None:
                starts = dict.fromkeys(assigned, args.offset)
            for at in assigned:
                consumer.seek(at, starts[at])
            left = {at for at in assigned if follow or starts[at] < ends[at]}
            consumer.pause(*(at for at in assigned if at not in left))
            await _pump(consumer, left, None if follow else ends, args.count, write)
        finally:
            await consumer.stop()


async def _pump(
    consumer: Any,
    left: set[Any],
    ends: Mapping[Any, int] | None,
    count: int | None,
    write: "Writer",
) -> None:
    """Writes records until `count` of them, or until every partition in `left` is at its end."""
    loop = asyncio.get_running_loop()
    written, heard_s = 0, loop.time()
    while left:
        batches = await consumer.getmany(timeout_ms=500)
        if batches:
            heard_s = loop.time()
        elif ends is not None and loop.time() - heard_s > SILENCE_S:
            raise CommandError(f"the broker sent nothing for {SILENCE_S:.0f} s")
        for at, records in batches.items():
            for record in records:
                if ends is not None and record.offset >= ends[at]:
                    break
                write(record)
                written += 1
                if written == count:
                    return
            if ends is not None and records and records[-1].offset + 1 >= ends[at]:
                left.discard(at)
                consumer.pause(at)
        sys.stdout.flush()


class Writer:
    """Prints records as lines, or as the elements of one JSON array."""

    def __init__(self, *, as_json: bool, keys: bool) -> None:
        self._as_json = as_json
        self._keys = keys
        self._first = True
        self._terminal = sys.stdout.isatty()

    def __call__(self, record: Any) -> None:
        if self._as_json:
            sys.stdout.write(("\n" if self._first else ",\n") + json.dumps(document_of(record), ensure_ascii=False))
            self._first = False
            return
        line = (_bytes(record.key) + b"\t" if self._keys else b"") + _bytes(record.value)
        if self._terminal:
            print(printable(line.decode("utf-8", "replace")))
        else:
            sys.stdout.buffer.write(line + b"\n")


@contextlib.contextmanager
def _printer(as_json: bool, keys: bool) -> Iterator[Writer]:
    if as_json:
        sys.stdout.write("[")
    try:
        yield Writer(as_json=as_json, keys=keys)
    finally:
        if as_json:
            print("]")
        sys.stdout.flush()


def document_of(record: Any) -> dict[str, Any]:
    """A record for programs. Bytes that are no UTF-8 text come as `…_base64` beside a null."""
    return {
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": datetime.fromtimestamp(record.timestamp / 1000, UTC).isoformat(timespec="milliseconds"),
        **_text("key", record.key),
        **_text("value", record.value),
        "headers": [{"name": name, **_text("value", value)} for name, value in record.headers],
    }


def _text(name: str, data: bytes | None) -> dict[str, str | None]:
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {name: None, f"{name}_base64": base64.b64encode(data).decode("ascii")}


def _bytes(data: bytes | None) -> bytes:
    return b"" if data is None else data


@contextlib.contextmanager
def _kafka_errors() -> Iterator[None]:
    """aiokafka's errors in one line."""
    import logging

    from aiokafka.errors import KafkaError

    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        yield
    except KafkaError as error:
        raise CommandError(f"the broker refused: {str(error) or type(error).__name__}") from None


COMMANDS = {
    command.path: command
    for command in (
        Command(("topic", "produce"), _produce_flags, produce, "Sends each line of stdin as a record."),
        Command(("topic", "consume"), _consume_flags, consume, "Prints what the topic holds now, from its start."),
        Command(("topic", "tail"), _tail_flags, tail, "Prints records as they come, until Ctrl-C."),
    )
}
