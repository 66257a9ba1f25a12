"""API keys over HTTP. The secret is in the answer that made it and nowhere else; such answers are never stored."""

from ..tenants import key_service
from ..tenants.catalogue import NamespaceEntry
from ..tenants.database import session_now_ms
from ..tenants.rights import Right
from ..tenants.roles import Role
from . import schemas
from .config import ConsoleConfig
from .failures import Failure
from .kafka import BrokerUnavailable
from .kafka_token import TOKEN_MS
from .operations import Call, Operation
from .schemas import ms_of, time_of, time_of_or_none
from .tenant_routes import NAMESPACE


def key_view(key: key_service.KeyEntry, namespace: NamespaceEntry, now_ms: int) -> schemas.KeyView:
    return schemas.KeyView(
        id=key.id,
        name=key.name,
        state=key.state(now_ms),  # type: ignore[arg-type]  # the service's three states, as text
        tenant=namespace.tenant,
        namespace=namespace.name,
        service_account=key.service_account,
        service_account_id=str(key.service_account_id),
        role=key.role,
        topic_pattern=key.topic_pattern,
        group_pattern=key.group_pattern,
        last4=key.last4,
        created_by=key.created_by,
        created_at=time_of(key.created_at_ms),
        expires_at=time_of_or_none(key.expires_at_ms),
        last_used_at=time_of_or_none(key.last_used_at_ms),
        revoked_at=time_of_or_none(key.revoked_at_ms),
        rotated_from=key.rotated_from,
    )


def new_key(
    created: key_service.CreatedKey, namespace: NamespaceEntry, config: ConsoleConfig, now_ms: int
) -> schemas.NewKey:
    return schemas.NewKey(
        id=created.id,
        secret=created.secret,
        bootstrap=config.bootstrap,
        security_protocol=config.security_protocol,
        sasl_mechanism="PLAIN",
        key=key_view(created.key, namespace, now_ms),
    )


async def list_keys(call: Call) -> schemas.KeyList:
    async with call.database.read() as session:
        namespace = call.namespace
        keys = await key_service.list_keys(session, namespace.id)
        now_ms = await session_now_ms(session)
    return schemas.KeyList(keys=[key_view(key, namespace, now_ms) for key in keys])


async def create_key(call: Call, body: schemas.CreateKey) -> schemas.NewKey:
    _check_role(call, body.role)
    async with call.database.write() as session:
        namespace = call.namespace
        created = await key_service.create_key(
            session,
            call.actor,
            namespace.id,
            body.name,
            body.role,
            topic_pattern=body.topic_pattern,
            group_pattern=body.group_pattern,
            expires_at_ms=ms_of(body.expires_at),
            service_account=body.service_account,
        )
        now_ms = await session_now_ms(session)
    return new_key(created, namespace, call.config, now_ms)


async def show_key(call: Call) -> schemas.KeyView:
    async with call.database.read() as session:
        namespace = call.namespace
        key = await key_service.show_key(session, namespace.id, call.path["key_id"])
        return key_view(key, namespace, await session_now_ms(session))


async def revoke_key(call: Call) -> schemas.KeyView:
    async with call.database.write() as session:
        namespace = call.namespace
        key = await key_service.revoke_key(session, call.actor, namespace.id, call.path["key_id"])
        return key_view(key, namespace, await session_now_ms(session))


async def rotate_key(call: Call, body: schemas.RotateKey) -> schemas.NewKey:
    async with call.database.write() as session:
        namespace = call.namespace
        _check_role(call, (await key_service.show_key(session, namespace.id, call.path["key_id"])).role)
        created = await key_service.rotate_key(
            session,
            call.actor,
            namespace.id,
            call.path["key_id"],
            overlap_ms=body.overlap_ms,
            expires_at_ms=ms_of(body.expires_at),
        )
        now_ms = await session_now_ms(session)
    return new_key(created, namespace, call.config, now_ms)


def _check_role(call: Call, role: str) -> None:
    """Nobody makes a key that may do more than they may. Raises Failure."""
    if role == Role.ADMIN and not call.allows(Right.TENANT_MANAGE):
        raise Failure(
            403,
            "not_allowed",
            "a key with role admin may change everything in the namespace: only the tenant's administrators make one",
            "choose role developer, or ask an administrator of the tenant",
        )


async def console_token(call: Call) -> schemas.ConsoleToken:
    now_ms = await call.database.now_ms()
    try:
        token = call.services.broker.token(call.namespace.id, "admin", now_ms)
    except BrokerUnavailable as unavailable:
        raise Failure(503, "broker_unavailable", str(unavailable)) from None
    return schemas.ConsoleToken(
        token=token,
        bootstrap=call.config.bootstrap,
        security_protocol=call.config.security_protocol,
        expires_at=time_of(now_ms + TOKEN_MS),
    )


OPERATIONS = (
    Operation(
        name="list_keys",
        method="GET",
        path=f"{NAMESPACE}/keys",
        summary="The namespace's keys, newest first, revoked and expired ones too",
        handler=list_keys,
        needs=Right.NAMESPACE_VIEW,
        answer=schemas.KeyList,
    ),
    Operation(
        name="create_key",
        method="POST",
        path=f"{NAMESPACE}/keys",
        summary="Make an API key; its secret is shown this once",
        handler=create_key,
        needs=Right.KEYS_MANAGE,
        dangerous=True,
        body=schemas.CreateKey,
        answer=schemas.NewKey,
        status=201,
        errors=(409,),
        secret=True,
    ),
    Operation(
        name="show_key",
        method="GET",
        path="/api/v1/keys/{key_id}",
        summary="One key, without its secret",
        handler=show_key,
        needs=Right.NAMESPACE_VIEW,
        answer=schemas.KeyView,
    ),
    Operation(
        name="revoke_key",
        method="POST",
        path="/api/v1/keys/{key_id}/revoke",
        summary="Stop a key now, its live connections too",
        handler=revoke_key,
        needs=Right.KEYS_MANAGE,
        dangerous=True,
        answer=schemas.KeyView,
    ),
    Operation(
        name="rotate_key",
        method="POST",
        path="/api/v1/keys/{key_id}/rotate",
        summary="A new key with the same rights; the old one goes on for a while",
        handler=rotate_key,
        needs=Right.KEYS_MANAGE,
        dangerous=True,
        body=schemas.RotateKey,
        answer=schemas.NewKey,
        status=201,
        errors=(409,),
        secret=True,
    ),
    Operation(
        name="create_console_token",
        method="POST",
        path=f"{NAMESPACE}/console-token",
        summary="A token of minutes for the Kafka port, with an administrator's rights in the namespace",
        handler=console_token,
        needs=Right.TENANT_MANAGE,
        dangerous=True,
        answer=schemas.ConsoleToken,
        status=201,
        errors=(503,),
        secret=True,
    ),
)
