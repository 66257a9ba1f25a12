"""How a handler gets at a namespace: once, here, out of what the path names."""

from sqlalchemy.ext.asyncio import AsyncSession

from ..tenants.scope import NamespaceScope, namespace_scope
from .operations import Call


async def scope_of(session: AsyncSession, call: Call) -> NamespaceScope:
    """The namespace that the path names, live. Raises NotFound."""
    return await namespace_scope(session, call.path["tenant"], call.path["namespace"])
