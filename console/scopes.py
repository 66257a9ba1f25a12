"""How a handler gets at a namespace: the one that its call was authorised for, and no other."""

from sqlalchemy.ext.asyncio import AsyncSession

from ..tenants.scope import NamespaceScope
from .operations import Call


async def scope_of(session: AsyncSession, call: Call) -> NamespaceScope:
    """The namespace that the path names, in this session."""
    return NamespaceScope(session, call.namespace)
