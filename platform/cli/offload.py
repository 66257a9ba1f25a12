"""`coldstream offload`: asks the topic's broker, by way of a job, to move what it holds to the object store now."""

import argparse

from .addresses import topic_address
from .api import add_api_flags, connect
from .command import Command, Output
from .job_progress import follow


def _flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("topic", metavar="TENANT/NAMESPACE/TOPIC")
    parser.add_argument("--wait", action="store_true", help="return when it is done, status 1 if it failed")
    parser.add_argument("--drop-local", action="store_true", help="then delete the local copies")
    add_api_flags(parser)


def offload(args: argparse.Namespace, output: Output) -> int:
    api = connect(args)
    job = api.post(f"{topic_address(args.topic)}/offload", {"drop_local": args.drop_local})
    return follow(api, job, f"offload of {args.topic}", output, wait=args.wait)


COMMANDS = {("offload",): Command(("offload",), _flags, offload)}
