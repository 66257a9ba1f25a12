"""A namespace at a glance, by what the last look at the broker found."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from coldstream.console import sampler
from coldstream.console.figures import GroupFigures, NamespaceFigures, PartitionFigures, TopicFigures
from coldstream.console.kafka import BrokerClient, BrokerUnavailable
from coldstream.tests.console.browsing import in_seeded_world, tab
from coldstream.tests.console.seeded import TOPIC, Seeded
from coldstream.tests.console.world import Broker, World

HOME = "/n/acme/shop/home"


def known(records: int) -> NamespaceFigures:
    orders = TopicFigures(tuple(PartitionFigures(0, 0, records, 1_000, 5_000, 1_700_000_000_000, 9) for _ in range(3)))
    clicks = TopicFigures((PartitionFigures(0, 0, 0, 0, 0),))
    group = GroupFigures("billing", "Empty", 0, 3 * records, {TOPIC: 3 * records}, 3)
    return NamespaceFigures({TOPIC: orders, "clicks": clicks, "x" * 249: clicks}, (group,))


def telling(monkeypatch: pytest.MonkeyPatch, answer: NamespaceFigures | Exception) -> None:
    async def namespace_figures(self: Broker, namespace_id: UUID, *_: Any) -> NamespaceFigures:
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(Broker, "namespace_figures", namespace_figures)


def test_a_namespace_that_was_never_looked_at_is_looked_at_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    telling(monkeypatch, known(40))

    async def scenario(world: World, seeded: Seeded) -> None:
        view = (await tab(world, seeded, "watcher").get(f"{HOME}.json")).json()
        assert (view["topics"], view["partitions"], view["records"]) == (3, 5, 120)
        assert (view["hot_bytes"], view["cold_bytes"], view["lag"], view["group_count"]) == (3_000, 15_000, 120, 1)
        assert view["as_of"] and view["missing_because"] is None
        assert [topic["name"] for topic in view["top"]] == [TOPIC], "what was never written to is not busy"
        assert view["groups"] == [{"group": "billing", "state": "Empty", "members": 0, "lag": 120}]
        page = (await tab(world, seeded, "watcher").get(HOME)).text
        assert "2.93 KiB" in page and "Figures as of" in page and 'data-refresh="10"' in page

    in_seeded_world(tmp_path, scenario)


def test_without_its_broker_it_says_so_and_shows_what_the_database_knows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    telling(monkeypatch, BrokerUnavailable("the broker cannot be reached"))
    monkeypatch.setattr(sampler, "REFRESH_S_MAX", 1.0)

    async def scenario(world: World, seeded: Seeded) -> None:
        view = (await tab(world, seeded, "watcher").get(f"{HOME}.json")).json()
        assert (view["topics"], view["keys"], view["hot_bytes"], view["lag"]) == (3, 3, None, None)
        assert view["missing_because"] == "the broker cannot be reached"
        assert view["findings"][0]["what"] == "Figures of the broker are missing"
        assert "Figures of the broker are missing" in (await tab(world, seeded, "watcher").get(HOME)).text

    in_seeded_world(tmp_path, scenario)


def test_changes_are_for_who_may_see_the_audit_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    telling(monkeypatch, known(0))

    async def scenario(world: World, seeded: Seeded) -> None:
        assert (await tab(world, seeded, "developer").get(f"{HOME}.json")).json()["changes"] is None
        changes = (await tab(world, seeded, "auditor").get(f"{HOME}.json")).json()["changes"]
        assert len(changes) == 5 and changes[0]["actor"] == "seed"

    in_seeded_world(tmp_path, scenario)


def test_an_empty_namespace_leads_to_a_first_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    telling(monkeypatch, NamespaceFigures({}, ()))

    async def scenario(world: World, seeded: Seeded) -> None:
        empty = HOME.replace("shop", "empty")
        assert 'href="/n/acme/empty/first-record"' in (await tab(world, seeded, "developer").get(empty)).text
        watched = (await tab(world, seeded, "watcher").get(empty)).text
        assert 'href="/n/acme/empty/first-record"' not in watched
        assert "No role gives topics-manage here." in watched

    in_seeded_world(tmp_path, scenario)


def test_what_needs_attention_leads_to_where_it_is_seen_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    telling(monkeypatch, known(0))

    async def scenario(world: World, seeded: Seeded) -> None:
        await world.done("PATCH", "/namespaces/acme/shop", {"topics_max": 3})
        owner = (await tab(world, seeded, "owner").get(f"{HOME}.json")).json()["findings"]
        assert {finding["what"]: finding["to"] for finding in owner} == {
            "3 of 3 topics are used: none is left": "/n/acme/shop/settings",
            "1 key expires within 7 days: shop-front": "/n/acme/shop/keys",
        }
        developer = (await tab(world, seeded, "developer").get(f"{HOME}.json")).json()["findings"]
        assert "" in {finding["to"] for finding in developer}, "nobody is led to a page that is not for them"

    in_seeded_world(tmp_path, scenario)


def test_a_broker_that_is_away_is_said_without_its_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Broker, "namespace_figures", BrokerClient.namespace_figures)

    async def scenario(world: World, seeded: Seeded) -> None:
        view = (await tab(world, seeded, "watcher").get(f"{HOME}.json")).json()
        assert view["missing_because"] == "the broker cannot be reached (Connection refused)"

    in_seeded_world(tmp_path, scenario)
