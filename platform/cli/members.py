"""`coldstream member …`"""

import argparse
from typing import Any

from .api import add_api_flags, connect, in_path
from .command import Command, Output, UsageError, fields, table


def state(document: dict[str, Any]) -> str:
    if document["disabled"]:
        return "disabled"
    if not document["has_password"]:
        return "no password"
    return "temporary password" if document["password_temporary"] else "active"


def show_grant(document: dict[str, Any]) -> str:
    place = document["tenant"] if document["namespace"] is None else f"{document['tenant']}/{document['namespace']}"
    return f"{document['role']} in {place}"


def show(document: dict[str, Any]) -> None:
    roles = [show_grant(grant) for grant in document.get("grants", [])]
    fields(
        [
            ("name", document["name"]),
            ("state", state(document)),
            ("platform administrator", "yes" if document["platform_admin"] else "no"),
            ("created", document["created_at"]),
            *(("role", role) for role in roles),
        ]
    )


def show_password(name: str, password: str) -> None:
    fields(
        [
            ("name", name),
            ("password", password),
            ("", "temporary, shown this once: it opens nothing but the choice of another"),
        ]
    )


def _create_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="what the member signs in with; an e-mail address will do")
    parser.add_argument("--platform-admin", action="store_true", help="may do everything in every tenant")
    add_api_flags(parser)


def create(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).post("/members", {"name": args.name, "platform_admin": args.platform_admin})
    output.show(document, lambda: show_password(document["member"]["name"], document["password"]))
    return 0


def list_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get("/members")
    rows = [
        (member["name"], state(member), "yes" if member["platform_admin"] else "no", member["created_at"])
        for member in document["members"]
    ]
    output.show(document, lambda: table(("NAME", "STATE", "PLATFORM ADMIN", "CREATED"), rows))
    return 0


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name")
    add_api_flags(parser)


def show_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get(f"/members/{in_path(args.name)}")
    output.show(document, lambda: show(document))
    return 0


def _alter_flags(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    come = parser.add_mutually_exclusive_group()
    come.add_argument("--disable", action="store_true", help="end the member's sessions and stop their tokens")
    come.add_argument("--enable", action="store_true", help="let the member in again")
    administer = parser.add_mutually_exclusive_group()
    administer.add_argument("--platform-admin", action="store_true", help="may do everything in every tenant")
    administer.add_argument("--no-platform-admin", action="store_true", help="has the roles given in tenants, no more")


def alter(args: argparse.Namespace, output: Output) -> int:
    changes: dict[str, object] = {}
    if args.disable or args.enable:
        changes["disabled"] = args.disable
    if args.platform_admin or args.no_platform_admin:
        changes["platform_admin"] = args.platform_admin
    if not changes:
        raise UsageError("say what to change: --disable, --enable, --platform-admin or --no-platform-admin")
    document = connect(args).patch(f"/members/{in_path(args.name)}", changes)
    output.show(document, lambda: show(document))
    return 0


def delete(args: argparse.Namespace, output: Output) -> int:
    connect(args).delete(f"/members/{in_path(args.name)}")
    output.show({"deleted": args.name}, lambda: print(f"deleted member {args.name}"))
    return 0


def reset_password(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).post(f"/members/{in_path(args.name)}/reset-password")
    output.show(document, lambda: show_password(document["member"], document["password"]))
    return 0


COMMANDS = {
    command.path: command
    for command in (
        Command(("member", "create"), _create_flags, create),
        Command(
            ("member", "list"), add_api_flags, list_, "All members of the platform; `grant list` shows a tenant's."
        ),
        Command(("member", "show"), _name, show_),
        Command(("member", "alter"), _alter_flags, alter),
        Command(("member", "delete"), _name, delete),
        Command(("member", "reset-password"), _name, reset_password),
    )
}
