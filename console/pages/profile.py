"""The member's own pages: how the console looks to them, their password, their access tokens, their sessions."""

from datetime import datetime

from ...tenants.preferences import time_zones
from .. import me_routes, schemas
from ..failures import Failure
from .expiry import EXPIRY_CHOICES, Choice, expires_at
from .page import Action, Fields, Page, Redirect, Refused, Shown, View, Visit


class ProfileView(View):
    name: str
    platform_admin: bool
    preferences: schemas.PreferencesView
    time_zones: list[str]
    roles: list[str]


class PasswordView(View):
    temporary: bool


class TokensView(View):
    tokens: list[schemas.TokenView]
    expiries: list[Choice]
    now: datetime


class NewTokenView(View):
    created: schemas.NewToken


class SessionsView(View):
    sessions: list[schemas.SessionView]


async def show_profile(visit: Visit) -> ProfileView:
    me = me_routes.me_view(visit.member)
    return ProfileView(
        name=me.name,
        platform_admin=me.platform_admin,
        preferences=me.preferences,
        time_zones=list(time_zones()),
        roles=list(visit.call.access.roles()),
    )


async def save_profile(visit: Visit, fields: Fields) -> Redirect:
    theme, times = fields.text("theme"), fields.text("times")
    if theme not in ("auto", "light", "dark") or times not in ("relative", "absolute"):
        raise Refused({"": "Choose one of the themes and one of the ways to write times."})
    body = schemas.AlterMe(
        theme=theme,  # type: ignore[arg-type]  # both were looked at above
        time_zone=fields.text("time_zone"),
        times=times,  # type: ignore[arg-type]
        shortcuts=fields.switch("shortcuts"),
    )
    await me_routes.alter_me(visit.call, body)
    return Redirect(PROFILE.url(), "saved")


async def show_password(visit: Visit) -> PasswordView:
    return PasswordView(temporary=visit.member.password_temporary)


async def change_password(visit: Visit, fields: Fields) -> Redirect:
    new = fields.secret("new_password")
    if new != fields.secret("new_password_again"):
        raise Refused({"new_password_again": "The two do not match."})
    old = None if visit.member.password_temporary else fields.secret("old_password")
    try:
        await me_routes.with_new_password(visit.call, old, new, but=visit.call.caller.cookie)
    except Failure as failure:
        raise Refused({"old_password": failure.message}) from None
    return Redirect(PROFILE.url(), "password-changed")


async def show_tokens(visit: Visit) -> TokensView:
    tokens = (await me_routes.list_tokens(visit.call)).tokens
    return TokensView(tokens=tokens, expiries=EXPIRY_CHOICES, now=schemas.time_of(visit.now_ms))


async def create_token(visit: Visit, fields: Fields) -> Shown:
    body = schemas.CreateToken(
        name=fields.required("name", "Give the token a name, so that you know later what uses it."),
        expires_at=expires_at(fields, visit.now_ms),
    )
    created = await me_routes.create_token(visit.call, body)
    return Shown("pages/new_token.html", NewTokenView(created=created), "Your new token")


async def revoke_token(visit: Visit, fields: Fields) -> Redirect:
    await me_routes.revoke_token(visit.call)
    return Redirect(TOKENS.url(), "token-revoked")


async def show_sessions(visit: Visit) -> SessionsView:
    return SessionsView(sessions=(await me_routes.list_sessions(visit.call)).sessions)


async def end_session(visit: Visit, fields: Fields) -> Redirect:
    await me_routes.end_session(visit.call)
    return Redirect(SESSIONS.url(), "session-ended")


PROFILE = Page(
    name="profile",
    path="/profile",
    title="Profile",
    template="pages/profile.html",
    handler=show_profile,
    needs=None,
    section="profile",
)
PASSWORD = Page(
    name="password",
    path="/profile/password",
    title="Password",
    template="pages/password.html",
    handler=show_password,
    needs=None,
    section="profile",
)
TOKENS = Page(
    name="tokens",
    path="/profile/tokens",
    title="Access tokens",
    template="pages/tokens.html",
    handler=show_tokens,
    needs=None,
    section="profile",
)
SESSIONS = Page(
    name="sessions",
    path="/profile/sessions",
    title="Sessions",
    template="pages/sessions.html",
    handler=show_sessions,
    needs=None,
    section="profile",
)
PAGES = (PROFILE, PASSWORD, TOKENS, SESSIONS)
ACTIONS = (
    Action(name="save_profile", path="/profile", page=PROFILE, handler=save_profile, needs=None),
    Action(
        name="change_password",
        path="/profile/password",
        page=PASSWORD,
        handler=change_password,
        needs=None,
        renews_session=True,
    ),
    Action(name="create_token", path="/profile/tokens", page=TOKENS, handler=create_token, needs=None, dangerous=True),
    Action(
        name="revoke_token",
        path="/profile/tokens/{token_id}/revoke",
        page=TOKENS,
        handler=revoke_token,
        needs=None,
    ),
    Action(
        name="end_session",
        path="/profile/sessions/{session_id}/end",
        page=SESSIONS,
        handler=end_session,
        needs=None,
    ),
)
