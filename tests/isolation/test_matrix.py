"""A key of one namespace can neither name, see nor infer anything of another: every API, every version, asked for the
victim's things and for things nobody has, with the same bytes for an answer."""

from collections.abc import Iterable, Sequence

import pytest
from coldstream.platform.broker import apis  # noqa: F401 - fills the registry
from coldstream.platform.broker.registry import APIS
from coldstream.platform.wire import api as wire
from coldstream.platform.wire.api import ApiKey
from coldstream.platform.wire.errors import ErrorCode
from coldstream.platform.wire.schema import Struct
from coldstream.tests.raw_kafka import ConnectionEnded, RawKafka, answer_of
from coldstream.tests.virtual_cluster import Key

from .matrix import MATRIX, Probe, Things
from .world import World, assert_untouched

PROBES = [pytest.param(key, probe, id=f"{key.name.lower()}: {probe.what}") for key in MATRIX for probe in MATRIX[key]]


def versions_of(key: ApiKey, probe: Probe) -> Iterable[int]:
    api = wire.APIS[key]
    return range(max(api.offered_min, probe.versions[0]), min(api.offered_max, probe.versions[1]) + 1)


def answer(world: World, attacker: Key, key: ApiKey, version: int, probe: Probe, things: Things) -> bytes:
    """The answer's bytes on a connection of its own, so that nothing before it can show; empty if there was none."""
    with RawKafka(world.attacker.bootstrap) as client:
        if probe.signed_in:
            assert client.sign_in(attacker.id, attacker.secret).error_code == ErrorCode.NONE
        elif key is ApiKey.SASL_AUTHENTICATE:
            client.ask(ApiKey.SASL_HANDSHAKE, 1, {"mechanism": "PLAIN"})
        try:
            return client.exchange(key, version, probe.fields(things))
        except ConnectionEnded:
            return b""


def comparable(frame: bytes, world: World, key: ApiKey, version: int, probe: Probe) -> bytes:
    """What two answers must have in common: their bytes, except for who was asked about and what `blank` names."""
    if probe.blank:
        message = answer_of(key, version, frame)
        blank(message, probe.blank)
        frame = repr(message).encode()
    for things in (world.foreign, world.nobody, world.own):
        frame = things.mask(frame)
    return frame


def blank(message: Struct, names: frozenset[str]) -> None:
    for field in message.FIELDS:
        value = getattr(message, field.name)
        if field.name in names:
            setattr(message, field.name, None)
        elif isinstance(value, Struct):
            blank(value, names)
        elif isinstance(value, Sequence):
            for item in value:
                if isinstance(item, Struct):
                    blank(item, names)


def test_every_api_that_is_served_has_its_probes() -> None:
    assert {key.name for key in APIS} == {key.name for key in MATRIX}
    assert {key.name for key in APIS} == {ApiKey(key).name for key in wire.APIS}, "offered and served differ"


@pytest.mark.parametrize(("key", "probe"), PROBES)
def test_the_victims_things_look_like_nobodys(world: World, key: ApiKey, probe: Probe) -> None:
    versions = versions_of(key, probe)
    assert versions, "no version of the API takes this probe"
    for attacker in (world.full_key, world.narrow_key):
        for version in versions:
            foreign = answer(world, attacker, key, version, probe, world.foreign)
            nobodys = answer(world, attacker, key, version, probe, world.nobody)
            assert foreign, f"v{version}: no answer"
            seen = comparable(foreign, world, key, version, probe)
            assert seen == comparable(nobodys, world, key, version, probe), f"v{version}"


@pytest.mark.parametrize(("key", "probe"), PROBES)
def test_answers_hold_nothing_of_the_victim(world: World, key: ApiKey, probe: Probe) -> None:
    for version in versions_of(key, probe):
        frame = answer(world, world.full_key, key, version, probe, world.foreign)
        leaked = [secret for secret in world.secrets_of_the_victim() if secret in frame]
        assert not leaked, f"v{version}: {leaked}"


@pytest.mark.parametrize(("key", "probe"), [p for p in PROBES if p.values[1].tells_own])
def test_the_probe_reaches_what_it_aims_at(world: World, key: ApiKey, probe: Probe) -> None:
    """Asked about the attacker's own things, the answer is another one than about nobody's: the probe is not blind."""
    for version in versions_of(key, probe):
        own = comparable(answer(world, world.full_key, key, version, probe, world.own), world, key, version, probe)
        nobodys = answer(world, world.full_key, key, version, probe, world.nobody)
        assert own != comparable(nobodys, world, key, version, probe), f"v{version}"


def test_the_victim_is_as_it_was(world: World) -> None:
    """Last in this file: after all that the others did."""
    assert_untouched(world)
