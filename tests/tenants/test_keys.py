"""API keys: their format, who gets in, and that the database and every message keep the secret."""

import re
import time
import zlib

import pytest
from coldstream.tenants import audit, keys
from coldstream.tenants.catalogue import versions
from coldstream.tenants.errors import Conflict, InvalidArgument, InvalidName, InvalidPattern, NotFound
from coldstream.tenants.key_service import (
    CreatedKey,
    create_key,
    list_keys,
    namespace_of_key,
    revoke_key,
    rotate_key,
    show_key,
)
from coldstream.tenants.keys import (
    TOKEN_PATTERN,
    AuthenticationFailed,
    TokenKind,
    authenticate_key,
    checksum,
    key_states,
    new_token,
    parse_token,
    touch_key,
)
from coldstream.tenants.permissions import Operation, ResourceType, compile_permissions
from coldstream.tenants.scope import namespace_scope
from coldstream.tenants.tenancy import (
    alter_namespace,
    create_namespace,
    delete_namespace,
    delete_service_account,
    suspend_tenant,
)
from sqlalchemy import text

from .world import ACTOR, World, in_world

DAY_MS = 86_400_000


async def made(world: World, name: str = "orders-service", **options: object) -> CreatedKey:
    async with world.db.write() as session:
        return await create_key(session, ACTOR, world.namespace_id, name, "producer", **options)  # type: ignore[arg-type]


async def reason(world: World, username: str, password: str) -> str:
    with pytest.raises(AuthenticationFailed) as refusal:
        await authenticate_key(world.db, username, password, world.now_ms)
    assert str(refusal.value) == "Authentication failed"
    return refusal.value.reason


def test_a_token_has_the_published_form_and_a_checksum() -> None:
    for kind in TokenKind:
        token = new_token(kind)
        assert re.fullmatch(TOKEN_PATTERN, token.text)
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]+", token.text)
        assert parse_token(token.text, kind) == token.id
        assert token.text.startswith(f"cs_{kind}_{token.id}_")
        assert token.text not in repr(token)
    assert len({new_token(TokenKind.KEY).text for _ in range(200)}) == 200


def test_the_checksum_is_crc32_in_base62() -> None:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    value = 0
    for digit in checksum("cs_key_x"):
        value = value * 62 + digits.index(digit)
    assert value == zlib.crc32(b"cs_key_x")
    assert len(checksum("")) == 6


def test_a_typing_error_is_seen_offline() -> None:
    token = new_token(TokenKind.KEY).text
    for position in range(len(token)):
        for wrong in ("x", "0", "_", "é", ""):
            if token[position] != wrong:
                assert parse_token(token[:position] + wrong + token[position + 1 :], TokenKind.KEY) is None
    assert parse_token(token, TokenKind.TOKEN) is None
    assert parse_token(token + "\n", TokenKind.KEY) is None


def test_a_key_signs_in_as_its_service_account(url: str) -> None:
    async def scenario(world: World) -> None:
        created = await made(world, expires_at_ms=world.now_ms + DAY_MS)
        principal = await authenticate_key(world.db, created.id, created.secret, world.now_ms)
        assert (principal.key_id, principal.name) == (created.id, "orders-service")
        assert (principal.namespace_id, principal.tenant_id) == (world.namespace_id, world.tenant_id)
        assert principal.service_account_id == created.key.service_account_id
        assert principal.expires_at_ms == world.now_ms + DAY_MS

    in_world(url, scenario)


def test_every_refusal_has_its_reason_in_the_log_and_one_message_outside(url: str) -> None:
    async def scenario(world: World) -> None:
        created, other = await made(world), await made(world, "other")
        assert await reason(world, created.id, new_token(TokenKind.KEY).text) == "password is not this key's token"
        assert await reason(world, created.id, other.secret) == "password is not this key's token"
        forged = created.secret[:-49] + "A" * 43
        assert await reason(world, created.id, forged + checksum(forged)) == "wrong secret"
        assert await reason(world, created.id, "") == "password is not this key's token"
        assert await reason(world, created.id, "\0é" * 9000) == "password is not this key's token"
        stranger = new_token(TokenKind.KEY)
        assert await reason(world, stranger.id, stranger.text) == "unknown key"
        assert await reason(world, created.id.swapcase(), created.secret) == "unknown key"
        for username in ("", "admin", created.id + " ", "é" * 12, "' OR 1=1 --", created.secret):
            assert await reason(world, username, created.secret) == "malformed key id"

    in_world(url, scenario)


def test_only_who_holds_the_secret_can_be_told_what_is_wrong_with_the_key(url: str) -> None:
    async def scenario(world: World) -> None:
        created = await made(world)
        async with world.db.write() as session:
            await revoke_key(session, ACTOR, world.namespace_id, created.id)
        for password, right in ((created.secret, True), ("guess", False)):
            with pytest.raises(AuthenticationFailed) as refusal:
                await authenticate_key(world.db, created.id, password, world.now_ms)
            assert refusal.value.secret_was_right is right

    in_world(url, scenario)


def test_a_key_works_until_the_moment_it_expires(url: str) -> None:
    async def scenario(world: World) -> None:
        created = await made(world, expires_at_ms=world.now_ms + 1000)
        await authenticate_key(world.db, created.id, created.secret, world.now_ms + 999)
        with pytest.raises(AuthenticationFailed) as refusal:
            await authenticate_key(world.db, created.id, created.secret, world.now_ms + 1000)
        assert refusal.value.reason == "expired"

    in_world(url, scenario)


def test_suspended_and_deleted_owners_stop_their_keys_and_resuming_starts_them(url: str) -> None:
    async def scenario(world: World) -> None:
        created, other = await made(world), await made(world, "other")
        seen = await versions(world.db)

        async def expect(why: str | None) -> None:
            nonlocal seen
            now = await versions(world.db)
            assert now.revocations > seen.revocations
            seen = now
            assert (await key_states(world.db, [created.id], world.now_ms))[created.id].unusable == why
            if why is None:
                await authenticate_key(world.db, created.id, created.secret, world.now_ms)
            else:
                assert await reason(world, created.id, created.secret) == why

        for suspended, why in ((True, "tenant suspended"), (False, None)):
            async with world.db.write() as session:
                await suspend_tenant(session, ACTOR, "acme", suspended)
            await expect(why)
        for suspended, why in ((True, "namespace suspended"), (False, None)):
            async with world.db.write() as session:
                await alter_namespace(session, ACTOR, "acme", "shop", suspended=suspended)
            await expect(why)
        async with world.db.write() as session:
            scope = await namespace_scope(session, "acme", "shop")
            await delete_service_account(session, ACTOR, scope, "orders-service")
        await expect("revoked")
        async with world.db.write() as session:
            await delete_namespace(session, ACTOR, "acme", "shop")
        assert await reason(world, other.id, other.secret) == "deleted"

    in_world(url, scenario)


def test_revoking_stops_a_key_and_tells_brokers(url: str) -> None:
    async def scenario(world: World) -> None:
        created, other = await made(world), await made(world, "other")
        before = await versions(world.db)
        async with world.db.write() as session:
            assert (await revoke_key(session, ACTOR, world.namespace_id, created.id)).state(0) == "revoked"
            await revoke_key(session, ACTOR, world.namespace_id, created.id)  # again: harmless
        assert (await versions(world.db)).revocations > before.revocations
        states = await key_states(world.db, [created.id, other.id, "Zzzzzzzzzzzz"], world.now_ms)
        assert {key_id: state.unusable for key_id, state in states.items()} == {
            created.id: "revoked",
            other.id: None,
            "Zzzzzzzzzzzz": "unknown key",
        }
        assert await reason(world, created.id, created.secret) == "revoked"
        async with world.db.read() as session:
            actions = [entry.action for entry in await audit.entries(session, namespace_id=world.namespace_id)]
        assert actions.count("key.revoke") == 1

    in_world(url, scenario)


def test_rotation_gives_the_same_rights_and_an_overlap(url: str) -> None:
    async def scenario(world: World) -> None:
        old = await made(world, topic_pattern="orders*")
        async with world.db.write() as session:
            new = await rotate_key(session, ACTOR, world.namespace_id, old.id, overlap_ms=1000)
        assert new.key.rotated_from == old.id and new.key.service_account_id == old.key.service_account_id
        for key in (old, new):
            principal = await authenticate_key(world.db, key.id, key.secret, world.now_ms)
            permissions = await compile_permissions(world.db, principal)
            assert permissions.allows(Operation.WRITE, ResourceType.TOPIC, "orders.eu")
            assert not permissions.allows(Operation.WRITE, ResourceType.TOPIC, "payments")
        states = await key_states(world.db, [old.id, new.id], world.now_ms)
        assert states[old.id].expires_at_ms == world.now_ms + 1000 and states[new.id].expires_at_ms is None
        world.pass_time(1000)
        assert await reason(world, old.id, old.secret) == "expired"
        async with world.db.write() as session:
            with pytest.raises(Conflict, match="expired"):
                await rotate_key(session, ACTOR, world.namespace_id, old.id)
            with pytest.raises(InvalidArgument):
                await rotate_key(session, ACTOR, world.namespace_id, new.id, overlap_ms=-1)
            again = await rotate_key(session, ACTOR, world.namespace_id, new.id, overlap_ms=0)
        assert await reason(world, new.id, new.secret) == "expired"
        await authenticate_key(world.db, again.id, again.secret, world.now_ms)

    in_world(url, scenario)


def test_rotation_never_lengthens_a_keys_life(url: str) -> None:
    async def scenario(world: World) -> None:
        old = await made(world, expires_at_ms=world.now_ms + 500)
        async with world.db.write() as session:
            await rotate_key(session, ACTOR, world.namespace_id, old.id, overlap_ms=DAY_MS)
        assert (await key_states(world.db, [old.id], world.now_ms))[old.id].expires_at_ms == world.now_ms + 500

    in_world(url, scenario)


def test_the_secret_is_in_no_row_no_list_and_no_representation(url: str) -> None:
    async def scenario(world: World) -> None:
        created = await made(world)
        async with world.db.write() as session:
            rotated = await rotate_key(session, ACTOR, world.namespace_id, created.id)
            listed = await list_keys(session, world.namespace_id)
            shown = await show_key(session, world.namespace_id, created.id)
        assert {key.id for key in listed} == {created.id, rotated.id} and shown in listed
        dump = []
        async with world.db.read() as session:
            for table in ("api_keys", "audit", "role_grants", "service_accounts"):
                dump += [str(tuple(row)) for row in await session.execute(text(f"SELECT * FROM {table}"))]
        secret_parts = [key.secret.split("_")[3][:43] for key in (created, rotated)]
        haystack = "\n".join([*dump, repr(created), repr(rotated), repr(listed)])
        assert created.id in haystack
        assert not any(secret in haystack for secret in secret_parts)

    in_world(url, scenario)


def test_keys_of_another_namespace_are_as_unknown_as_none(url: str) -> None:
    async def scenario(world: World) -> None:
        created = await made(world)
        async with world.db.write() as session:
            other = await create_namespace(session, ACTOR, "acme", "other")
            for change in (revoke_key, rotate_key):
                for key_id in (created.id, "Zzzzzzzzzzzz"):
                    with pytest.raises(NotFound, match=r"no key '.{12}' in acme/other"):
                        await change(session, ACTOR, other.id, key_id)
            assert await list_keys(session, other.id) == []
            assert await namespace_of_key(session, created.id) == world.namespace_id
            with pytest.raises(NotFound):
                await namespace_of_key(session, "Zzzzzzzzzzzz")
        await authenticate_key(world.db, created.id, created.secret, world.now_ms)

    in_world(url, scenario)


def test_bad_requests_for_keys_are_refused(url: str) -> None:
    async def scenario(world: World) -> None:
        for options, error in (
            ({"topic_pattern": "a,b"}, InvalidPattern),
            ({"group_pattern": "a*b"}, InvalidPattern),
            ({"expires_at_ms": world.now_ms}, InvalidArgument),
            ({"service_account": 'a"b'}, InvalidName),
        ):
            with pytest.raises(error):
                await made(world, **options)
        with pytest.raises(InvalidName):
            await made(world, "a b")
        async with world.db.write() as session:
            with pytest.raises(InvalidArgument, match="viewer-data"):
                await create_key(session, ACTOR, world.namespace_id, "k", "superuser")
            with pytest.raises(NotFound):
                await create_key(session, ACTOR, world.tenant_id, "k", "admin")
            assert await list_keys(session, world.namespace_id) == []

    in_world(url, scenario)


def test_two_keys_may_share_a_service_account(url: str) -> None:
    async def scenario(world: World) -> None:
        one, two = await made(world, "a", service_account="app"), await made(world, "b", service_account="app")
        assert one.key.service_account_id == two.key.service_account_id
        assert (await authenticate_key(world.db, two.id, two.secret, world.now_ms)).name == "app"

    in_world(url, scenario)


def test_last_use_is_written_at_most_once_a_minute(url: str) -> None:
    async def scenario(world: World) -> None:
        created = await made(world)

        async def last_used() -> int | None:
            async with world.db.read() as session:
                return (await show_key(session, world.namespace_id, created.id)).last_used_at_ms

        assert await last_used() is None
        start = world.now_ms
        for after_ms, expected in ((0, start), (59_999, start), (60_000, start + 60_000), (60_001, start + 60_000)):
            await touch_key(world.db, created.id, start + after_ms, "10.0.0.7")
            assert await last_used() == expected
        await touch_key(world.db, "Zzzzzzzzzzzz", start)

    in_world(url, scenario)


def test_time_does_not_tell_whether_a_key_exists(url: str) -> None:
    """Not a proof, a guard: the medians of many tries lie close, and the same work is done in either case."""

    async def scenario(world: World) -> None:
        created = await made(world)
        spent: dict[str, list[float]] = {created.id: [], "Zzzzzzzzzzzz": []}
        for _ in range(150):
            for key_id, times in spent.items():
                started = time.perf_counter()
                with pytest.raises(AuthenticationFailed):
                    await authenticate_key(world.db, key_id, created.secret[:-1] + "!", world.now_ms)
                times.append(time.perf_counter() - started)
        known, unknown = (sorted(times)[len(times) // 2] for times in spent.values())
        assert 0.5 < known / unknown < 2.0

    in_world(url, scenario)


def test_digests_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    async def scenario(world: World) -> None:
        compared: list[tuple[bytes, bytes]] = []
        real = keys.hmac.compare_digest
        monkeypatch.setattr(keys.hmac, "compare_digest", lambda a, b: compared.append((a, b)) or real(a, b))
        created = await made(world)
        await authenticate_key(world.db, created.id, created.secret, world.now_ms)
        await reason(world, "Zzzzzzzzzzzz", created.secret)
        assert [len(b) for _, b in compared] == [32, 32]

    in_world(url, scenario)
