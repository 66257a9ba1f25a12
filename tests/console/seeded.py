"""A console's database with somebody of every kind in it, and something of every kind that a page can show.

Tenant `acme` with namespace `shop` is what tests look at; `rival` has things of the same names, and people of its own.
Made through the services, so that it fits a database of a test as well as that of a running platform.
"""

import dataclasses
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from coldstream.console.pages.page import Page
from coldstream.tenants import key_service, tenancy, topics
from coldstream.tenants.access_tokens import create_token
from coldstream.tenants.actor import Actor
from coldstream.tenants.database import Database, session_now_ms
from coldstream.tenants.jobs import OFFLOAD, enqueue
from coldstream.tenants.member_grants import grant_role
from coldstream.tenants.members import create_member
from coldstream.tenants.rights import MemberRole
from coldstream.tenants.sessions import open_session

TENANT, NAMESPACE, TOPIC = "acme", "shop", "orders.v1"
RIVAL = "rival"
PASSWORD = "correct horse battery"
DAY_MS = 86_400_000
ROLES: Mapping[str, MemberRole] = {
    "owner": MemberRole.TENANT_ADMIN,
    "developer": MemberRole.DEVELOPER,
    "reader": MemberRole.VIEWER_DATA,
    "watcher": MemberRole.VIEWER_METADATA,
    "auditor": MemberRole.AUDITOR,
}

# What makes a page show what it is for, where its bare address does not.
ASKED: Mapping[str, str] = {
    "topic_preview": "retention.ms=3600000&cleanup.policy=compact,delete&remote.storage.enable=false",
    "keys": "state=all",
}


@dataclass(frozen=True, slots=True)
class Person:
    """Who can come in with a browser (`cookie`) or a program (`token`)."""

    id: str
    name: str
    cookie: str
    token: str
    session_id: str
    token_id: str


@dataclass(frozen=True, slots=True)
class Seeded:
    """What paths can name. `people`: `root` is the platform's administrator, `nobody` has no role anywhere."""

    things: Mapping[str, str]
    people: Mapping[str, Person] = field(repr=False)

    def path(self, template: str, **others: str) -> str:
        """A path of the route table with everything it names filled in."""
        return re.sub(r"{(\w+)}", lambda slot: {**self.things, **others}[slot[1]], template)

    def address(self, page: Page) -> str:
        """Where the page shows something."""
        asked = ASKED.get(page.name)
        return self.path(page.path) + (f"?{asked}" if asked else "")

    def about(self, **others: str) -> "Seeded":
        """The same, where paths name other things."""
        return dataclasses.replace(self, things={**self.things, **others})


# Things of the right shape that nobody has.
ABSENT: Mapping[str, str] = {
    "tenant": "nowhere",
    "namespace": "nothing",
    "topic": "no-topic",
    "key_id": "AbsentAbsent",
    "account": "no-account",
    "member": "no-member",
    "job_id": "00000000-0000-4000-8000-000000000000",
    "token_id": "AbsentAbsent",
    "session_id": "0123456789ab",
    "group": "no-group",
}


async def seed(database: Database, tenant: str = TENANT, rival: str = RIVAL, *, password: str | None = None) -> Seeded:
    """Fills the database; names of people end in the tenant's, so that several worlds fit one platform.

    `password` is the developers', of the tenant and of the namespace; hashing more would cost time.
    """
    ours = await _tenant(database, tenant)
    await _tenant(database, rival)
    people = {"root": await _person(database, f"root.{tenant}", admin=True)}
    for name, role in ROLES.items():
        chosen = password if name == "developer" else None
        people[name] = await _person(database, f"{name}.{tenant}", password=chosen, home=tenant)
        await _give(database, people[name].name, tenant, role)
    people["nobody"] = await _person(database, f"nobody.{tenant}")
    people["rival"] = await _person(database, f"owner.{rival}", home=rival)
    await _give(database, people["rival"].name, rival, MemberRole.TENANT_ADMIN)
    people["local"] = await _person(database, f"local.{tenant}", password=password, home=tenant)
    await _give(database, people["local"].name, tenant, MemberRole.DEVELOPER, NAMESPACE)
    watcher = people["watcher"]
    things = {**ours, "member": watcher.name, "token_id": watcher.token_id, "session_id": watcher.session_id}
    return Seeded({**things, "group": "billing"}, people)


async def _tenant(database: Database, tenant: str) -> dict[str, str]:
    """A tenant with a namespace, topics, keys in each of their states, and a job; what paths call them."""
    actor = Actor.system("seed")
    async with database.write() as session:
        await tenancy.create_tenant(session, actor, tenant)
        namespace = await tenancy.create_namespace(session, actor, tenant, NAMESPACE)
        await tenancy.create_namespace(session, actor, tenant, "empty")
        topic = await topics.create_topic(session, actor, namespace.id, TOPIC, 3, {"retention.ms": "604800000"})
        await topics.create_topic(session, actor, namespace.id, "clicks", 1, {"cleanup.policy": "delete"})
        await topics.create_topic(session, actor, namespace.id, "x" * 249, 1, {})
        now_ms = await session_now_ms(session)
        key = await key_service.create_key(
            session,
            actor,
            namespace.id,
            "shop-front",
            "producer",
            topic_pattern="orders*",
            expires_at_ms=now_ms + 30 * DAY_MS,
        )
        await key_service.create_key(session, actor, namespace.id, "report", "consumer", group_pattern="billing*")
        gone = await key_service.create_key(session, actor, namespace.id, "old", "admin", service_account="shop-front")
        await key_service.revoke_key(session, actor, namespace.id, gone.id)
        await key_service.rotate_key(session, actor, namespace.id, key.id, overlap_ms=DAY_MS)
        job = await enqueue(
            session, actor, OFFLOAD, {"topic_id": str(topic.id), "drop_local": False}, namespace_id=namespace.id
        )
    return {
        "tenant": tenant,
        "namespace": NAMESPACE,
        "topic": TOPIC,
        "key_id": key.id,
        "account": "shop-front",
        "job_id": str(job.id),
    }


async def _person(
    database: Database, name: str, *, admin: bool = False, password: str | None = None, home: str | None = None
) -> Person:
    actor = Actor.system("seed")
    async with database.write() as session:
        home_id = None if home is None else (await tenancy.get_tenant(session, home)).id
        member = await create_member(session, actor, name, password, platform_admin=admin, home_tenant_id=home_id)
        token = await create_token(session, actor, member.id, "laptop")
        opened = await open_session(session, member, address="192.0.2.7", user_agent="Mozilla/5.0 (X11; Linux)")
    return Person(str(member.id), name, opened.cookie, token.secret, opened.entry.id, token.token.id)


async def _give(database: Database, member: str, tenant: str, role: MemberRole, namespace: str | None = None) -> None:
    async with database.write() as session:
        await grant_role(session, Actor.system("seed"), tenant, member, role, namespace)
