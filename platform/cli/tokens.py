"""`coldstream token …`: the access tokens of whoever's token this command itself uses."""

import argparse
from datetime import UTC, datetime
from typing import Any

from .api import add_api_flags, connect, in_path
from .command import Command, Output, fields, table
from .keys import expiry

EXPIRES_DEFAULT, NEVER = "90d", "never"


def state(document: dict[str, Any], now: datetime) -> str:
    if document["revoked_at"]:
        return "revoked"
    ends = document["expires_at"]
    return "expired" if ends and datetime.fromisoformat(ends) <= now else "active"


def _create_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", help="what will use the token")
    parser.add_argument(
        "--expires",
        metavar="WHEN",
        default=EXPIRES_DEFAULT,
        help=f"after a duration ({EXPIRES_DEFAULT}, the default), at a time, or {NEVER}",
    )
    add_api_flags(parser)


def create(args: argparse.Namespace, output: Output) -> int:
    ends = None if args.expires == NEVER else expiry(args.expires, datetime.now(UTC))
    document = connect(args).post("/me/tokens", {"name": args.name, "expires_at": ends})
    pairs = [
        ("id", document["id"]),
        ("token", document["secret"]),
        ("expires", document["token"]["expires_at"] or "never"),
        ("", "shown this once: use it as COLDSTREAM_TOKEN, or after `Authorization: Bearer`"),
    ]
    output.show(document, lambda: fields(pairs))
    return 0


def list_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get("/me/tokens")
    now = datetime.now(UTC)
    rows = [
        (
            token["id"],
            token["name"],
            state(token, now),
            token["last_used_at"] or "never",
            token["expires_at"] or "never",
        )
        for token in document["tokens"]
    ]
    output.show(document, lambda: table(("ID", "NAME", "STATE", "LAST USED", "EXPIRES"), rows))
    return 0


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("token_id", metavar="ID")
    add_api_flags(parser)


def revoke(args: argparse.Namespace, output: Output) -> int:
    connect(args).delete(f"/me/tokens/{in_path(args.token_id)}")
    output.show({"revoked": args.token_id}, lambda: print(f"revoked token {args.token_id}"))
    return 0


COMMANDS = {
    command.path: command
    for command in (
        Command(("token", "create"), _create_flags, create),
        Command(("token", "list"), add_api_flags, list_, "Your access tokens, newest first, ended ones too."),
        Command(("token", "revoke"), _id, revoke),
    )
}
