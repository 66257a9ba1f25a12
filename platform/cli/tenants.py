"""`coldstream tenant …`"""

import argparse
from typing import Any

from .api import add_api_flags, connect, in_path
from .command import Command, Output, fields, table


def show(document: dict[str, Any]) -> None:
    fields((name, document[name]) for name in ("name", "id", "suspended", "created_at"))


def _name(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("tenant", metavar="TENANT")
    add_api_flags(parser)


def create(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).post("/tenants", {"name": args.tenant})
    output.show(document, lambda: show(document))
    return 0


def list_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get("/tenants")
    rows = [(entry["name"], "suspended" if entry["suspended"] else "active") for entry in document["tenants"]]
    output.show(document, lambda: table(("TENANT", "STATE"), rows))
    return 0


def show_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get(f"/tenants/{in_path(args.tenant)}")
    output.show(document, lambda: show(document))
    return 0


def _alter_flags(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    choice = parser.add_mutually_exclusive_group(required=True)
    choice.add_argument("--suspend", dest="suspended", action="store_true", help="stop all its keys, losing nothing")
    choice.add_argument("--resume", dest="suspended", action="store_false", help="let its keys work again")


def alter(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).patch(f"/tenants/{in_path(args.tenant)}", {"suspended": args.suspended})
    output.show(document, lambda: show(document))
    return 0


def _delete_flags(parser: argparse.ArgumentParser) -> None:
    _name(parser)
    parser.add_argument("--cascade", action="store_true", help="delete its topics too")


def delete(args: argparse.Namespace, output: Output) -> int:
    connect(args).delete(f"/tenants/{in_path(args.tenant)}", {"cascade": "true"} if args.cascade else None)
    output.show({"deleted": args.tenant}, lambda: print(f"deleted tenant {args.tenant}"))
    return 0


COMMANDS = {
    command.path: command
    for command in (
        Command(("tenant", "create"), _name, create),
        Command(("tenant", "list"), add_api_flags, list_),
        Command(("tenant", "show"), _name, show_),
        Command(("tenant", "alter"), _alter_flags, alter),
        Command(("tenant", "delete"), _delete_flags, delete),
    )
}
