"""What every member does for themself: preferences, password, access tokens, sessions."""

from dataclasses import replace

from ..tenants import access_tokens, members, sessions
from ..tenants.keys import AuthenticationFailed
from ..tenants.member_entry import MemberEntry
from ..tenants.preferences import Theme, Times
from . import schemas
from .failures import Failure
from .operations import Call, Operation
from .schemas import ms_of, time_of, time_of_or_none


def me_view(member: MemberEntry) -> schemas.Me:
    preferences = member.preferences
    return schemas.Me(
        id=str(member.id),
        name=member.name,
        platform_admin=member.platform_admin,
        password_temporary=member.password_temporary,
        preferences=schemas.PreferencesView(
            theme=preferences.theme.value,
            time_zone=preferences.time_zone,
            times=preferences.times.value,
            shortcuts=preferences.shortcuts,
        ),
    )


async def show_me(call: Call) -> schemas.Me:
    return me_view(call.member)


async def alter_me(call: Call, body: schemas.AlterMe) -> schemas.Me:
    wanted = call.member.preferences
    if body.theme is not None:
        wanted = replace(wanted, theme=Theme(body.theme))
    if body.time_zone is not None:
        wanted = replace(wanted, time_zone=body.time_zone)
    if body.times is not None:
        wanted = replace(wanted, times=Times(body.times))
    if body.shortcuts is not None:
        wanted = replace(wanted, shortcuts=body.shortcuts)
    async with call.database.write() as session:
        return me_view(await members.set_preferences(session, call.actor, call.member.id, wanted))


async def change_password(call: Call, body: schemas.ChangePassword) -> None:
    await with_new_password(call, body.old, body.new, but=None)


async def with_new_password(call: Call, old: str | None, new: str, *, but: str | None) -> None:
    """Ends the member's sessions, except that of the cookie `but`. Raises Failure, TenancyError."""
    origin = f"member {call.member.id}"
    if (wait_ms := call.services.sign_ins.attempt(call.member.name, origin, call.services.monotonic_ms())) > 0:
        raise Failure(429, "too_many_attempts", f"too many attempts: try again in {-(-wait_ms // 1000)} s")
    try:
        await members.change_password(call.database, call.actor, call.member.id, old, new, but=but)
    except AuthenticationFailed:
        call.services.sign_ins.failed(call.member.name, origin, call.services.monotonic_ms())
        raise Failure(403, "wrong_password", "the present password is not right") from None
    call.services.sign_ins.succeeded(call.member.name, origin)


def token_view(token: access_tokens.TokenEntry) -> schemas.TokenView:
    return schemas.TokenView(
        id=token.id,
        name=token.name,
        created_at=time_of(token.created_at_ms),
        expires_at=time_of_or_none(token.expires_at_ms),
        last_used_at=time_of_or_none(token.last_used_at_ms),
        revoked_at=time_of_or_none(token.revoked_at_ms),
    )


async def list_tokens(call: Call) -> schemas.TokenList:
    async with call.database.read() as session:
        tokens = await access_tokens.list_tokens(session, call.member.id)
    return schemas.TokenList(tokens=[token_view(token) for token in tokens])


async def create_token(call: Call, body: schemas.CreateToken) -> schemas.NewToken:
    async with call.database.write() as session:
        created = await access_tokens.create_token(
            session, call.actor, call.member.id, body.name, expires_at_ms=ms_of(body.expires_at)
        )
    return schemas.NewToken(id=created.token.id, secret=created.secret, token=token_view(created.token))


async def revoke_token(call: Call) -> None:
    async with call.database.write() as session:
        await access_tokens.revoke_token(session, call.actor, call.member.id, call.path["token_id"])


async def list_sessions(call: Call) -> schemas.SessionList:
    current = call.caller.session
    async with call.database.read() as session:
        open_now = await sessions.list_sessions(session, call.member.id)
    return schemas.SessionList(
        sessions=[
            schemas.SessionView(
                id=entry.id,
                current=current is not None and current.id == entry.id,
                created_at=time_of(entry.created_at_ms),
                last_seen_at=time_of(entry.last_seen_at_ms),
                expires_at=time_of(entry.expires_at_ms),
                address=entry.address,
                user_agent=entry.user_agent,
            )
            for entry in open_now
        ]
    )


async def end_session(call: Call) -> None:
    async with call.database.write() as session:
        await sessions.end_session_by_id(session, call.actor, call.member.id, call.path["session_id"])


OPERATIONS = (
    Operation(
        name="show_me",
        method="GET",
        path="/api/v1/me",
        summary="The member whose token or session this is",
        handler=show_me,
        needs=None,
        answer=schemas.Me,
    ),
    Operation(
        name="alter_me",
        method="PATCH",
        path="/api/v1/me",
        summary="Choose theme, time zone, how times are written, and whether single keys lead somewhere",
        handler=alter_me,
        needs=None,
        body=schemas.AlterMe,
        answer=schemas.Me,
    ),
    Operation(
        name="change_password",
        method="POST",
        path="/api/v1/me/password",
        summary="Choose another password; all sessions of the member end",
        handler=change_password,
        needs=None,
        body=schemas.ChangePassword,
        answer=None,
        status=204,
        errors=(403, 409, 429, 503),
    ),
    Operation(
        name="list_tokens",
        method="GET",
        path="/api/v1/me/tokens",
        summary="The member's access tokens, newest first, revoked and expired ones too",
        handler=list_tokens,
        needs=None,
        answer=schemas.TokenList,
    ),
    Operation(
        name="create_token",
        method="POST",
        path="/api/v1/me/tokens",
        summary="Make an access token for the HTTP API; it is shown this once",
        handler=create_token,
        needs=None,
        dangerous=True,
        body=schemas.CreateToken,
        answer=schemas.NewToken,
        status=201,
        errors=(403,),
        secret=True,
    ),
    Operation(
        name="revoke_token",
        method="DELETE",
        path="/api/v1/me/tokens/{token_id}",
        summary="Stop an access token now",
        handler=revoke_token,
        needs=None,
        answer=None,
        status=204,
    ),
    Operation(
        name="list_sessions",
        method="GET",
        path="/api/v1/me/sessions",
        summary="Where the member is signed in",
        handler=list_sessions,
        needs=None,
        answer=schemas.SessionList,
    ),
    Operation(
        name="end_session",
        method="DELETE",
        path="/api/v1/me/sessions/{session_id}",
        summary="Sign one browser out",
        handler=end_session,
        needs=None,
        answer=None,
        status=204,
    ),
)
