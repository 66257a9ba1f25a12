"""The migrations make exactly the models' schema, once, and asking whether they are needed is cheap."""

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from coldstream.migrations.upgrade import HEAD, alembic_config, current_is_head, metadata, upgrade
from coldstream.tenants import audit
from coldstream.tenants.access_tokens import verify_token
from coldstream.tenants.database import Database, engine_url, prepare_sqlite
from coldstream.tenants.database_url import parse_database_url
from coldstream.tenants.errors import DatabaseUnfit, InvalidDatabaseUrl
from coldstream.tenants.keys import TokenKind, new_token
from coldstream.tenants.member_grants import grant_role
from coldstream.tenants.members import Preferences, list_members
from coldstream.tenants.rights import MemberRole
from coldstream.tenants.sessions import open_session
from coldstream.tests.postgres_server import KINDS, empty_postgresql
from sqlalchemy import Connection, Uuid, column, create_engine, table, text
from sqlalchemy.ext.asyncio import create_async_engine

AUDITED = {
    "at_ms": 1,
    "actor_kind": "system",
    "actor_id": "coldstream",
    "actor_name": "coldstream",
    "action": "tenant.create",
    "object_kind": "tenant",
    "object_name": "acme",
}


@pytest.fixture(params=KINDS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/metadata/new.db" if request.param == "sqlite" else empty_postgresql()


def test_head_is_what_alembic_finds() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_heads() == [HEAD]


def test_an_empty_database_is_brought_to_head_once(empty_url: str) -> None:
    assert not current_is_head(empty_url)
    assert upgrade(empty_url)
    assert current_is_head(empty_url)
    assert not upgrade(empty_url)
    identity = _ask(empty_url, "SELECT id, cluster_id FROM cluster")
    assert len(identity) == 1
    assert _ask(empty_url, "SELECT id, catalogue, policy, revocations, jobs FROM versions") == [(1, 0, 0, 0, 0)]


def test_the_migrated_schema_is_the_models(empty_url: str) -> None:
    upgrade(empty_url)

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return compare_metadata(context, metadata())

    assert _on(empty_url, differences) == []


def test_checks_and_partial_indexes_are_the_models_too(tmp_path: Path) -> None:
    """What Alembic's comparison does not look at: the very text of the schema, on SQLite, which keeps it."""
    upgrade(f"sqlite:///{tmp_path}/migrated.db")
    engine = create_engine(f"sqlite:///{tmp_path}/models.db")
    with engine.begin() as connection:
        metadata().create_all(connection)
    engine.dispose()
    migrated, models = _schema(tmp_path / "migrated.db"), _schema(tmp_path / "models.db")
    assert migrated == models


def test_checks_and_partial_indexes_are_the_models_on_postgresql_too() -> None:
    migrated, models = empty_postgresql(), empty_postgresql()
    upgrade(migrated)
    _on(models, metadata().create_all)
    checks = "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace"
    indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'"
    for query in (checks, indexes):
        expected = set(_ask(models, query))
        assert {row for row in _ask(migrated, query) if "alembic" not in row[0]} == expected
        assert len(expected) > 10


def test_a_database_of_the_first_release_keeps_what_is_in_it(empty_url: str) -> None:
    """Two members, one with a token, and what was audited: all there after the upgrade, and usable."""
    _at_first_revision(empty_url)
    token = new_token(TokenKind.TOKEN)
    digest = {"secret_sha256": token.digest}
    tenant_id, joe, ann = uuid4(), uuid4(), uuid4()

    rows: list[tuple[str, dict[str, Any]]] = [
        ("tenants", {"id": tenant_id, "name": "acme", "created_at_ms": 1}),
        ("members", {"id": joe, "name": "joe", "password_hash": "?", "platform_admin": True, "created_at_ms": 1}),
        ("members", {"id": ann, "name": "ann", "platform_admin": False, "created_at_ms": 2, "disabled_at_ms": 3}),
        ("access_tokens", {"id": token.id, "member_id": joe, "name": "ci", "created_at_ms": 1, **digest}),
        ("audit", {"id": uuid4(), "tenant_id": tenant_id, "object_id": str(tenant_id), **AUDITED}),
    ]

    def fill(connection: Connection) -> None:
        for name, values in rows:
            columns = [column(key, Uuid() if isinstance(value, UUID) else None) for key, value in values.items()]
            connection.execute(table(name, *columns).insert(), values)

    _on(empty_url, fill)
    assert not current_is_head(empty_url)
    assert upgrade(empty_url)
    assert current_is_head(empty_url)

    async def look() -> None:
        db = Database.open(empty_url)
        try:
            assert (await verify_token(db, token.text)).id == joe
            async with db.write() as session:
                first, second = await list_members(session)
                assert (first.id, first.disabled, first.platform_admin) == (ann, True, False)
                assert (second.has_password, second.password_temporary) == (True, False)
                assert second.preferences == Preferences()
                actor = second.actor
                await grant_role(session, actor, "acme", "ann", MemberRole.DEVELOPER)
                await open_session(session, second, address="192.0.2.1", user_agent="Browser/1")
                actions = [entry.action for entry in await audit.entries(session, tenant_id=tenant_id)]
                assert actions == ["member.grant_role", "tenant.create"]
        finally:
            await db.dispose()

    asyncio.run(look())


def test_a_process_of_the_first_release_may_still_write_while_this_one_runs(empty_url: str) -> None:
    upgrade(empty_url)
    insert = "INSERT INTO members (id, name, platform_admin, created_at_ms) VALUES (:id, 'late', :no, 1)"
    _on(empty_url, lambda connection: connection.execute(text(insert), {"id": uuid4().hex, "no": False}))

    async def look() -> None:
        db = Database.open(empty_url)
        async with db.read() as session:
            (late,) = await list_members(session)
        await db.dispose()
        assert (late.preferences, late.password_temporary, late.has_password) == (Preferences(), False, False)

    asyncio.run(look())


def test_an_upgrade_that_breaks_off_leaves_the_release_before(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _at_first_revision(empty_url)
    from alembic import op

    def break_off(*_: object, **__: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(op, "drop_index", break_off)  # almost the last step of the second revision
        with pytest.raises(OSError, match="power cut"):
            upgrade(empty_url)
    assert _ask(empty_url, "SELECT version_num FROM alembic_version") == [("0001",)]
    assert upgrade(empty_url)


def test_many_processes_may_ask_at_once(empty_url: str) -> None:
    program = f"from coldstream.migrations.upgrade import upgrade; print(upgrade({empty_url!r}))"
    asking = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(3)
    ]
    answers = [process.communicate(timeout=60)[0].strip() for process in asking]
    assert set(answers) <= {"True", "False"} and "True" in answers
    assert len(_ask(empty_url, "SELECT * FROM cluster")) == 1
    assert current_is_head(empty_url)


def test_a_failed_upgrade_leaves_nothing(empty_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import op

    def break_off(*_: object, **__: object) -> None:
        raise OSError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(op, "bulk_insert", break_off)  # the last step of the first revision
        with pytest.raises(OSError, match="power cut"):
            upgrade(empty_url)
    assert not current_is_head(empty_url)
    assert upgrade(empty_url)


def test_a_database_from_the_future_is_refused(empty_url: str) -> None:
    upgrade(empty_url)
    _on(empty_url, lambda connection: connection.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    assert not current_is_head(empty_url)
    with pytest.raises(DatabaseUnfit, match="newer"):
        upgrade(empty_url)


def test_asking_imports_neither_sqlalchemy_nor_alembic(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/m.db"
    upgrade(url)
    program = (
        "import sys; from coldstream.migrations.upgrade import current_is_head, upgrade;"
        f"assert current_is_head({url!r}) and not upgrade({url!r});"
        "print([name for name in ('sqlalchemy', 'alembic', 'asyncpg') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert shown.stdout.strip() == "[]"


def test_a_new_sqlite_file_is_its_owners_only(tmp_path: Path) -> None:
    upgrade(f"sqlite:///{tmp_path}/m.db")
    assert stat.S_IMODE(os.stat(tmp_path / "m.db").st_mode) == 0o600


def test_asking_about_an_absent_file_does_not_make_it(tmp_path: Path) -> None:
    assert not current_is_head(f"sqlite:///{tmp_path}/m.db")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "m.db").write_bytes(b"not a database, but long enough to look at" * 100)
    with pytest.raises(DatabaseUnfit, match=r"m\.db"):
        upgrade(f"sqlite:///{tmp_path}/m.db")


@pytest.mark.parametrize(
    "url", ["", "mysql://host/db", "sqlite://", "sqlite:///", "sqlite:///:memory:", "postgresql://host"]
)
def test_a_url_that_names_no_database_is_refused(url: str) -> None:
    for ask in (upgrade, current_is_head, Database.open):
        with pytest.raises(InvalidDatabaseUrl):
            ask(url)


def _at_first_revision(url: str) -> None:
    parsed = parse_database_url(url)
    if parsed.path is not None:
        parsed.path.parent.mkdir(parents=True, exist_ok=True)
    _on(url, lambda connection: command.upgrade(alembic_config(connection), "0001"))


def _on(url: str, work: Any) -> Any:
    parsed = parse_database_url(url)
    if parsed.is_sqlite:
        engine = create_engine(engine_url(parsed, asynchronous=False))
        prepare_sqlite(engine)
        with engine.begin() as connection:
            result = work(connection)
        engine.dispose()
        return result

    async def run() -> Any:
        asynchronous = create_async_engine(engine_url(parsed))
        async with asynchronous.begin() as connection:
            result = await connection.run_sync(work)
        await asynchronous.dispose()
        return result

    return asyncio.run(run())


def _ask(url: str, query: str) -> list[Any]:
    rows: list[Any] = _on(url, lambda connection: [tuple(row) for row in connection.execute(text(query))])
    return rows


def _schema(path: Path) -> dict[str, list[str]]:
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return {name: sorted(_parts(sql)) for name, sql in rows if "alembic" not in name}


def _parts(sql: str) -> list[str]:
    """What a CREATE statement lists, split at its outer commas: SQLite appends added columns behind the constraints."""
    head, _, body = sql.partition("(")
    parts, depth = [""], 0
    for character in body.rpartition(")")[0]:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return [" ".join(part.split()) for part in (head, *parts, body.rpartition(")")[2])]
