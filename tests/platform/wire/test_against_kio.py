"""The codecs against kio, an implementation of the protocol by others: equal bytes and equal values, both ways.

For every described message and version that kio has too, on random valid values. Produce 0 to 2, which it lacks, are
held by bytes written by hand in `test_fixtures.py`.
"""

import dataclasses
import datetime
import io
import typing
from typing import Any

import pytest
from coldstream.platform.wire.api import APIS, ApiKey
from coldstream.platform.wire.codec import decoder, request_message, response_message
from coldstream.platform.wire.errors import RETRIABLE, ErrorCode
from coldstream.platform.wire.header import decode_request_header, encode_request_header
from coldstream.platform.wire.schema import ZERO_UUID, Field, Kind, Message, Struct

from .values import encode, every_message, message_id, random_value, seeded

kio_index = pytest.importorskip("kio.index", reason="kio, the protocol oracle, is not installed (pip install kio)")
kio_serial = pytest.importorskip("kio.serial")

NOT_IN_KIO = {(ApiKey.PRODUCE, version) for version in (0, 1, 2)}
OTHER_NAMES = {
    "enable_two_phase_commit": "enable2_pc",
    "keep_prepared_transaction": "keep_prepared_txn",
    "ongoing_transaction_producer_id": "ongoing_txn_producer_id",
    "ongoing_transaction_producer_epoch": "ongoing_txn_producer_epoch",
}
COVERED = [(m, v) for m, v in every_message() if (m.key, v) not in NOT_IN_KIO]


def kio_class(message: Message, version: int) -> Any:
    load = (
        kio_index.load_request_schema if message.root.__name__.endswith("Request") else kio_index.load_response_schema
    )
    return load(int(message.key), version)


def ours(struct: type[Struct], theirs: Any, version: int) -> Struct:
    """A message of kio's as one of ours. Every field of theirs must be one of ours, and the other way round."""
    names = {OTHER_NAMES.get(f.name, f.name.removesuffix("_ms")): f for f in struct.FIELDS if version in f.versions}
    assert set(names) == {field.name for field in dataclasses.fields(theirs)}
    return struct(**{field.name: our_value(field, getattr(theirs, name), version) for name, field in names.items()})


def our_value(field: Field, value: Any, version: int) -> Any:
    element = field.element
    if field.kind is Kind.ARRAY and value is not None:
        return [ours(element, item, version) if isinstance(element, type) else item for item in value]
    if field.kind is Kind.STRUCT:
        assert isinstance(element, type)
        converted = ours(element, value, version)
        return None if field.tag is not None and converted == element() else converted
    if isinstance(value, datetime.timedelta):
        return value // datetime.timedelta(milliseconds=1)
    if isinstance(value, datetime.datetime):
        return round(value.timestamp() * 1000)
    if value is None and field.kind is Kind.UUID:
        return ZERO_UUID
    if value is None and field.kind is Kind.INT64:
        return -1
    return value


@pytest.mark.parametrize(("message", "version"), COVERED, ids=message_id)
def test_kio_reads_what_we_write_and_we_read_what_it_writes(message: Message, version: int) -> None:
    cls = kio_class(message, version)
    assert cls.__flexible__ == message.flexible(version)
    read, write = kio_serial.entity_reader(cls), kio_serial.entity_writer(cls)
    rng = seeded("kio", message.root.__name__, version)
    for _ in range(6):
        value = random_value(rng, message, version)
        data = encode(message, version, value)
        theirs, size = read(data, 0)
        assert size == len(data)
        assert ours(message.root, theirs, version) == value
        buffer = io.BytesIO()
        write(buffer, theirs)
        assert buffer.getvalue() == data
        assert decoder(message, version)(buffer.getvalue(), 0, size) == (value, size)


@pytest.mark.parametrize(("message", "version"), COVERED, ids=message_id)
def test_what_may_be_null_is_what_kio_lets_be_null(message: Message, version: int) -> None:
    pairs = [(message.root, kio_class(message, version))]
    for struct, cls in pairs:
        theirs = {field.name: field for field in dataclasses.fields(cls)}
        for field in struct.FIELDS:
            if version not in field.versions:
                continue
            their_type = theirs[OTHER_NAMES.get(field.name, field.name.removesuffix("_ms"))].type
            assert not isinstance(their_type, str)
            optional = type(None) in typing.get_args(their_type)
            if field.kind not in (Kind.UUID, Kind.INT64):  # kio's None for the zero id and for time -1
                assert optional == (version in field.nullable), f"{struct.__name__}.{field.name}"
            if isinstance(field.element, type):
                pairs.append((field.element, nested_class(their_type)))


def nested_class(their_type: Any) -> Any:
    """The dataclass within X, X | None, tuple[X, ...] and tuple[X, ...] | None."""
    if dataclasses.is_dataclass(their_type):
        return their_type
    return next(found for part in typing.get_args(their_type) if (found := nested_class(part)) is not None)


@pytest.mark.parametrize("key", APIS, ids=lambda key: ApiKey(key).name)
def test_header_versions_are_those_of_kio(key: int) -> None:
    api = APIS[key]
    for message in (request_message(key), response_message(key)):
        for version in message.versions():
            if (key, version) in NOT_IN_KIO:
                continue
            header = kio_class(message, version).__header_schema__.__version__
            is_request = message.root.__name__.endswith("Request")
            assert header == (
                api.request_header_version(version) if is_request else api.response_header_version(version)
            )


@pytest.mark.parametrize("client_id", [None, "", "a-client", "é🙂"])
def test_request_headers_are_those_of_kio(client_id: str | None) -> None:
    for key, version in ((ApiKey.METADATA, 8), (ApiKey.METADATA, 12), (ApiKey.API_VERSIONS, 3)):
        cls = kio_class(request_message(key), version).__header_schema__
        theirs = cls(request_api_key=key, request_api_version=version, correlation_id=-5, client_id=client_id)
        buffer = io.BytesIO()
        kio_serial.entity_writer(cls)(buffer, theirs)
        data = encode_request_header(key, version, -5, client_id)
        assert data == buffer.getvalue()
        header = decode_request_header(b"####" + data + b"body", 4, 8 + len(data))
        assert (header.api_key, header.api_version, header.correlation_id) == (key, version, -5)
        assert (header.client_id, header.body_start) == (client_id, 4 + len(data))


def test_error_codes_and_which_are_retriable_are_those_of_kio() -> None:
    from kio.schema.errors import ErrorCode as TheirCode

    assert {code.name: int(code) for code in ErrorCode} == {code.name.upper(): int(code) for code in TheirCode}
    assert {int(code) for code in RETRIABLE} == {int(code) for code in TheirCode if code.retriable}


def test_api_keys_are_those_of_kio() -> None:
    from kio.schema.index import api_key_map

    assert {key: name for key, name in api_key_map.items() if key <= max(ApiKey)} == {
        int(key): key.name.lower() for key in ApiKey if int(key) in api_key_map
    }
    gone_in_kafka_4 = {4, 5, 6, 7}
    assert {int(key) for key in ApiKey} - set(api_key_map) <= gone_in_kafka_4 | {58}
