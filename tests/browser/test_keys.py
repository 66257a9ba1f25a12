"""Keys in the console and clients that use them: rotated without a gap, revoked and cut off."""

from collections.abc import Callable
from typing import Any

import pytest
from coldstream.tests.browser.inhabited import cluster_of
from coldstream.tests.browser.steady_producer import SteadyProducer
from coldstream.tests.browser.visitor import SCREENS, Screen, Visitor
from coldstream.tests.console.seeded import Seeded
from coldstream.tests.platform_process import PlatformProcess
from coldstream.tests.raw_kafka import RawKafka
from coldstream.tests.virtual_cluster import Key, VirtualCluster, consume, eventually
from confluent_kafka import KafkaError, Producer

CUT_OFF_S = 10.0


@pytest.fixture(scope="module")
def cluster(platform: PlatformProcess, world: Seeded) -> VirtualCluster:
    return cluster_of(platform, world)


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_a_key_is_rotated_while_its_producer_goes_on(
    visit: Callable[..., Visitor], world: Seeded, cluster: VirtualCluster, screen: Screen
) -> None:
    topic = cluster.topic()
    old = cluster.key("producer", topic=topic)
    visitor = visit("developer", screen)
    with SteadyProducer(old.confluent(cluster.bootstrap), topic) as producer:
        eventually(lambda: producer.acknowledged > 10, "the producer is at work")
        new = rotated(visitor, world, old)
        producer.use(new.confluent(cluster.bootstrap))
        seen = producer.acknowledged
        eventually(lambda: producer.acknowledged > seen + 10, "the producer goes on with the new key")
        revoke(visitor, world, old)
        seen = producer.acknowledged
        eventually(lambda: producer.acknowledged > seen + 10, "nothing hangs on the old key any more")
    assert producer.failures == []
    found = [message.value() for message in consume(cluster.confluent(), topic, producer.acknowledged)]
    assert found == [b"%d" % number for number in range(producer.acknowledged)], (
        "nothing is lost, doubled or out of order"
    )
    secret_is_nowhere(visitor, world, new)


@pytest.mark.parametrize("screen", SCREENS, ids=str)
def test_a_revoked_key_lets_nobody_in_and_cuts_off_who_is(
    visit: Callable[..., Visitor], world: Seeded, cluster: VirtualCluster, screen: Screen
) -> None:
    topic = cluster.topic()
    key = cluster.key("producer", topic=topic)
    errors: list[Any] = []
    producer = Producer({**key.confluent(cluster.bootstrap), "error_cb": errors.append})
    producer.produce(topic, b"before")
    assert producer.flush(CUT_OFF_S) == 0
    visitor = visit("developer", screen)
    with RawKafka(cluster.bootstrap) as client:
        client.sign_in(key.id, key.secret)
        assert client.is_alive()
        revoke(visitor, world, key)
        eventually(lambda: not client.is_alive(), "the connection is closed", CUT_OFF_S)
    with RawKafka(cluster.bootstrap) as client:
        assert "revoked" in client.sign_in(key.id, key.secret).error_message

    def told() -> bool:
        producer.poll(0.05)
        return any(error.code() == KafkaError._AUTHENTICATION for error in errors)

    eventually(told, "librdkafka is told that its key is no good", CUT_OFF_S)


def rotated(visitor: Visitor, world: Seeded, key: Key) -> Key:
    """From the list of keys to the new secret, which is shown once."""
    visitor.open(world.path("/n/{tenant}/{namespace}/keys"))
    visitor.fill("input[type=search]", key.id)
    visitor.submit("input[type=search]")
    visitor.page.wait_for_url(f"**/keys?*{key.id}*")
    visitor.click("tbody a >> nth=0")
    visitor.click("main a:text-is('Rotate')")
    visitor.click("button:text-is('Rotate the key')")
    shown = visitor.page.locator("#key-secret")
    shown.wait_for()
    assert "shown this once" in visitor.page.inner_text("main")
    assert visitor.page.locator("input[type=password]").count() == 0
    return Key(visitor.page.inner_text("#key-id"), shown.inner_text())


def revoke(visitor: Visitor, world: Seeded, key: Key) -> None:
    visitor.open(world.path("/n/{tenant}/{namespace}/keys/{key_id}/detail", key_id=key.id))
    visitor.click("main a:text-is('Revoke')")
    visitor.click("button:text-is('Revoke the key')")
    visitor.page.wait_for_url("**/detail?notice=key-revoked")
    assert "revoked" in visitor.page.inner_text("main .facts")


def secret_is_nowhere(visitor: Visitor, world: Seeded, key: Key) -> None:
    """After the one page that showed it: not on the key's own pages, nor their twins, nor in any address."""
    for page in ("keys/{key_id}/detail", "keys/{key_id}/rotate", "keys", "audit"):
        for twin in ("", ".json"):
            path = world.path(f"/n/{{tenant}}/{{namespace}}/{page}", key_id=key.id) + twin
            with visitor.expecting(404):  # a developer has no audit log
                visitor.page.goto(path)
            assert key.secret not in visitor.page.content(), path
            assert key.secret not in visitor.page.url
