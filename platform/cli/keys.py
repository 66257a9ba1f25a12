"""`coldstream key …`"""

import argparse
import re
from datetime import UTC, datetime, timedelta
from typing import Any

from .addresses import namespace_address
from .api import add_api_flags, connect, in_path
from .command import Command, Output, UsageError, fields, table

ROLES = ("producer", "consumer", "developer", "viewer-metadata", "viewer-data", "admin")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def seconds_of(text: str, flag: str) -> int:
    """`30d`, `24h`, `15m`, `90s`, `0`. Raises UsageError."""
    match = re.fullmatch(r"([0-9]{1,9})([smhdw])", text)
    if match is None and text != "0":
        raise UsageError(f"{flag} {text!r}: expected a number and one of s, m, h, d, w, for example 30d")
    return int(match[1]) * _UNITS[match[2]] if match else 0


def expiry(text: str | None, now: datetime) -> str | None:
    """A time (RFC 3339) from a duration or a time; None stays None. Raises UsageError."""
    if text is None:
        return None
    if re.fullmatch(r"[0-9]+[a-z]", text):
        try:
            return (now + timedelta(seconds=seconds_of(text, "--expires"))).isoformat()
        except OverflowError:
            raise UsageError(f"--expires {text!r}: that is beyond the calendar") from None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--expires {text!r}: expected a duration (30d) or a time (2030-01-31T12:00:00Z)") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).isoformat()


def show(document: dict[str, Any]) -> None:
    fields(
        [
            ("id", document["id"]),
            ("name", document["name"]),
            ("state", document["state"]),
            ("namespace", f"{document['tenant']}/{document['namespace']}"),
            ("service account", document["service_account"]),
            ("role", document["role"]),
            ("topics", document["topic_pattern"]),
            ("groups", document["group_pattern"]),
            ("secret ends in", document["last4"]),
            ("created", f"{document['created_at']} by {document['created_by']}"),
            ("last used", document["last_used_at"] or "never"),
            ("expires", document["expires_at"] or "never"),
        ]
    )


def show_new(document: dict[str, Any]) -> None:
    fields(
        [
            ("id", document["id"]),
            ("secret", document["secret"]),
            ("bootstrap", document["bootstrap"]),
            ("security protocol", document["security_protocol"]),
            ("sasl mechanism", document["sasl_mechanism"]),
            ("username", "the id"),
            ("password", "the secret, shown this once"),
        ]
    )


def _create_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("namespace", metavar="TENANT/NAMESPACE")
    parser.add_argument("--name", required=True, help="what the key is for; also its service account")
    parser.add_argument("--role", required=True, choices=ROLES)
    parser.add_argument("--topic", metavar="PATTERN", help="a topic, or the beginning of names and a star: 'orders*'")
    parser.add_argument("--group", metavar="PATTERN", help="a consumer group, or the beginning of names and a star")
    parser.add_argument("--expires", metavar="WHEN", help="after a duration (30d) or at a time; never by default")
    parser.add_argument("--service-account", metavar="NAME", help="owner of the key, if not called as the key")
    add_api_flags(parser)


def create(args: argparse.Namespace, output: Output) -> int:
    body: dict[str, object] = {"name": args.name, "role": args.role}
    optional = {
        "topic_pattern": args.topic,
        "group_pattern": args.group,
        "expires_at": expiry(args.expires, datetime.now(UTC)),
        "service_account": args.service_account,
    }
    body |= {name: value for name, value in optional.items() if value is not None}
    document = connect(args).post(f"{namespace_address(args.namespace)}/keys", body)
    if args.topic is None and args.group is None:
        output.note(f"this key covers every topic and group of {args.namespace}; --topic and --group narrow it")
    output.show(document, lambda: show_new(document))
    return 0


def _list_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("namespace", metavar="TENANT/NAMESPACE")
    add_api_flags(parser)


def list_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get(f"{namespace_address(args.namespace)}/keys")
    columns = ("ID", "NAME", "ROLE", "TOPICS", "GROUPS", "STATE", "LAST USED", "EXPIRES")
    rows = [
        (
            *(entry[name] for name in ("id", "name", "role", "topic_pattern", "group_pattern", "state")),
            entry["last_used_at"] or "never",
            entry["expires_at"] or "never",
        )
        for entry in document["keys"]
    ]
    output.show(document, lambda: table(columns, rows))
    return 0


def _id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key_id", metavar="ID")
    add_api_flags(parser)


def show_(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).get(f"/keys/{in_path(args.key_id)}")
    output.show(document, lambda: show(document))
    return 0


def revoke(args: argparse.Namespace, output: Output) -> int:
    document = connect(args).post(f"/keys/{in_path(args.key_id)}/revoke")
    output.show(document, lambda: print(f"revoked key {document['id']} ({document['name']})"))
    return 0


def _rotate_flags(parser: argparse.ArgumentParser) -> None:
    _id(parser)
    parser.add_argument("--overlap", default="24h", metavar="DURATION", help="how long the old key goes on (24h)")
    parser.add_argument("--expires", metavar="WHEN", help="when the new key ends; never by default")


def rotate(args: argparse.Namespace, output: Output) -> int:
    body: dict[str, object] = {"overlap_ms": seconds_of(args.overlap, "--overlap") * 1000}
    if expires_at := expiry(args.expires, datetime.now(UTC)):
        body["expires_at"] = expires_at
    document = connect(args).post(f"/keys/{in_path(args.key_id)}/rotate", body)
    output.note(f"the old key {args.key_id} goes on for {args.overlap}")
    output.show(document, lambda: show_new(document))
    return 0


COMMANDS = {
    command.path: command
    for command in (
        Command(("key", "create"), _create_flags, create),
        Command(("key", "list"), _list_flags, list_),
        Command(("key", "show"), _id, show_),
        Command(("key", "revoke"), _id, revoke),
        Command(("key", "rotate"), _rotate_flags, rotate),
    )
}
