"""`coldstream topic compact`: asks the topic's broker, by way of a job, to seal and compact it now."""

import argparse

from .addresses import topic_address
from .api import add_api_flags, connect
from .command import Command, Output
from .job_progress import follow


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TENANT/NAMESPACE/TOPIC")
    parser.add_argument("--wait", action="store_true", help="return when it is done, status 1 if it failed")
    add_api_flags(parser)


def compact(args: argparse.Namespace, output: Output) -> int:
    api = connect(args)
    job = api.post(f"{topic_address(args.topic)}/compact", {})
    return follow(api, job, f"compaction of {args.topic}", output, wait=args.wait)


COMMANDS = {("topic", "compact"): Command(("topic", "compact"), _flags, compact)}
