"""`coldstream grant …`"""

import argparse

from .api import add_api_flags, connect, in_path
from .command import Command, Output, UsageError, table
from .members import show_grant

ROLES = ("tenant-admin", "developer", "viewer-data", "viewer-metadata", "auditor")


def place(text: str) -> tuple[str, str | None]:
    """`TENANT` or `TENANT/NAMESPACE` taken apart. Raises UsageError."""
    tenant, slash, namespace = text.partition("/")
    if not tenant or (slash and not namespace) or "/" in namespace:
        raise UsageError(f"{text!r}: expected TENANT or TENANT/NAMESPACE")
    return tenant, namespace or None


def _one(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("place", metavar="TENANT[/NAMESPACE]", help="the whole tenant, or one namespace of it")
    parser.add_argument("member", metavar="MEMBER")
    parser.add_argument("role", choices=ROLES)
    add_api_flags(parser)


def create(args: argparse.Namespace, output: Output) -> int:
    tenant, namespace = place(args.place)
    body = {"member": args.member, "role": args.role, "namespace": namespace}
    document = connect(args).post(f"/tenants/{in_path(tenant)}/grants", body)
    output.show(document, lambda: print(f"{document['member']} has role {show_grant(document)}"))
    return 0


def _list_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tenant", metavar="TENANT")
    add_api_flags(parser)


def list_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get(f"/tenants/{in_path(args.tenant)}/grants")
    rows = [
        (
            grant["member"],
            grant["role"],
            grant["namespace"] or "(all)",
            grant["created_at"],
            grant["created_by"],
        )
        for grant in document["grants"]
    ]
    output.show(document, lambda: table(("MEMBER", "ROLE", "NAMESPACE", "GIVEN", "BY"), rows))
    return 0


def delete(args: argparse.Namespace, output: Output) -> int:
    tenant, namespace = place(args.place)
    query = {"member": args.member, "role": args.role} | ({"namespace": namespace} if namespace else {})
    connect(args).delete(f"/tenants/{in_path(tenant)}/grants", query)
    output.show(
        {"deleted": query | {"tenant": tenant}},
        lambda: print(f"{args.member} has role {args.role} in {args.place} no more"),
    )
    return 0


COMMANDS = {
    command.path: command
    for command in (
        Command(("grant", "create"), _one, create),
        Command(("grant", "list"), _list_flags, list_),
        Command(("grant", "delete"), _one, delete),
    )
}
