"""`coldstream first-record`: a topic and a key for it alone, what to paste, and the first record as it comes."""

import argparse
import sys
import time
from datetime import UTC, datetime
from typing import Any

from .addresses import namespace_address, topic_address
from .api import Api, add_api_flags, connect
from .command import Command, CommandError, Output, UsageError, printable, split_path
from .keys import expiry

LONG_POLL_MS = 20_000  # below what the API's connections wait for
ROLES = ("developer", "producer")
WAIT_S_MAX = 86_400


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TENANT/NAMESPACE/TOPIC", help="made if there is none of the name")
    parser.add_argument("--role", choices=ROLES, default="developer", help="what the key may do (developer)")
    parser.add_argument("--partitions", type=int, default=-1, metavar="N", help="of a topic that is made")
    parser.add_argument("--expires", metavar="WHEN", help="after a duration (30d) or at a time; never by default")
    parser.add_argument("--client", default="kcat", metavar="NAME", help="whose snippet to print (kcat)")
    parser.add_argument("--wait", action="store_true", help="wait for the first record and print it")
    parser.add_argument("--timeout", type=int, default=600, metavar="SECONDS", help="how long to wait (600)")
    add_api_flags(parser)


def run(args: argparse.Namespace, output: Output) -> int:
    if not 1 <= args.timeout <= WAIT_S_MAX:
        raise UsageError(f"--timeout {args.timeout}: 1 to {WAIT_S_MAX} seconds")
    tenant, namespace, topic = split_path(args.topic, 3)
    body: dict[str, object] = {"topic": topic, "partitions": args.partitions, "role": args.role}
    if expires_at := expiry(args.expires, datetime.now(UTC)):
        body["expires_at"] = expires_at
    api = connect(args)
    made = api.post(f"{namespace_address(f'{tenant}/{namespace}')}/first-record", body)
    snippet = _snippet(made, args.client)
    if not output.json:
        _show(args.topic, made, snippet)
    records: list[dict[str, Any]] = []
    if args.wait:
        output.note(f"waiting for a record in {args.topic}; Ctrl-C stops waiting")
        if output.json:  # what to paste has to be known while it is waited for
            print(snippet, file=sys.stderr, flush=True)
        records = _wait(api, args.topic, made["position"], args.timeout)
    output.show({**made, "records": records} if args.wait else made, lambda: _print(records))
    return 0


def _snippet(made: dict[str, Any], client: str) -> str:
    known = {snippet["client"]: str(snippet["produce"]) for snippet in made["snippets"]}
    if client not in known:
        raise CommandError(
            f"no snippet for {client!r}: choose one of {', '.join(known)} (topic and key {made['key']['id']} are made)"
        )
    return known[client]


def _show(path: str, made: dict[str, Any], snippet: str) -> None:
    print(f"{'made' if made['topic_created'] else 'found'} topic {path}")
    print(f"made key {made['key']['id']} for it; its secret is below, and shown this once")
    print()
    print(snippet.rstrip("\n"), flush=True)
    print()


def _wait(api: Api, path: str, position: str, timeout_s: int) -> list[dict[str, Any]]:
    """The first records behind the position. Raises CommandError."""
    until_s = time.monotonic() + timeout_s
    while (left_ms := int((until_s - time.monotonic()) * 1000)) > 0:
        began_s = time.monotonic()
        query = {"wait_ms": min(LONG_POLL_MS, left_ms), "from": position}
        answer = api.get(f"{topic_address(path)}/records", query)
        if answer["records"]:
            return list(answer["records"])
        position = answer["next"]
        if time.monotonic() - began_s < 1:  # a console that stops answers early
            time.sleep(1)
    raise CommandError(f"no record came within {timeout_s} s; topic and key are there, and what you send is kept")


def _print(records: list[dict[str, Any]]) -> None:
    for record in records:
        place = f"partition {record['partition']}, offset {record['offset']}"
        print(f"{place}, {record['timestamp'] or str(record['timestamp_ms']) + ' ms'}")
        if record["unreadable_because"]:
            print(f"  {record['unreadable_because']}")
        elif (content := record["content"]) is not None:
            _payload("key", content["key"])
            _payload("value", content["value"])
            for header in content["headers"]:
                _payload(f"header {printable(header['name'])}", header["value"])


def _payload(label: str, payload: dict[str, Any]) -> None:
    if payload["encoding"] == "null":
        print(f"  {label}: none")
        return
    kind = " (hexadecimal)" if payload["encoding"] == "binary" else ""
    rest = f" … ({payload['size_bytes']} bytes)" if payload["truncated"] else ""
    print(f"  {label}{kind}: {printable(payload['text'])}{rest}")


COMMANDS = {
    command.path: command
    for command in (
        Command(
            ("first-record",),
            _flags,
            run,
            "Makes the topic if there is none of the name, and a key that is good for it alone; prints what to paste,\n"
            "and with --wait the first record that comes.",
        ),
    )
}
