"""The `coldstream` command: finds which command is meant, loads its module alone, runs it, and gives its status.

Always true: with `--json`, wherever it stands, stdout gets one JSON document and nothing else; what went wrong is one
line on stderr; the status is 0, 1 for an error, 2 for wrong usage, 130 after Ctrl-C. Commands are a table and argparse:
typer would add 50 ms and a few MB to every command and to the supervisor, which is one.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module

from .command import Command, CommandError, Output, UsageError

# path -> (module, one line). The module's `COMMANDS` holds the command under the same path.
TABLE: dict[tuple[str, ...], tuple[str, str]] = {
    ("up",): ("serve", "run everything on this machine, with embedded defaults"),
    ("broker",): ("serve", "run a broker alone"),
    ("console",): ("serve", "run the console and HTTP API alone"),
    ("migrate",): ("serve", "bring the database to this release's schema"),
    ("tenant", "create"): ("tenants", "make a tenant"),
    ("tenant", "list"): ("tenants", "show every tenant"),
    ("tenant", "show"): ("tenants", "show one tenant"),
    ("tenant", "alter"): ("tenants", "suspend a tenant, or let it work again"),
    ("tenant", "delete"): ("tenants", "delete a tenant"),
    ("namespace", "create"): ("namespaces", "make a namespace: a tenant's virtual Kafka cluster"),
    ("namespace", "list"): ("namespaces", "show namespaces"),
    ("namespace", "show"): ("namespaces", "show one namespace"),
    ("namespace", "alter"): ("namespaces", "change a namespace's settings"),
    ("namespace", "delete"): ("namespaces", "delete a namespace"),
    ("first-record",): ("first_record", "make a topic and a key for it, and see its first record come"),
    ("topic", "create"): ("topics", "make a topic"),
    ("topic", "list"): ("topics", "show a namespace's topics"),
    ("topic", "show"): ("topics", "show a topic, its offsets and its bytes hot and cold"),
    ("topic", "alter"): ("topics", "change a topic's configs or grow it, or show what that would do"),
    ("topic", "delete"): ("topics", "delete a topic"),
    ("topic", "produce"): ("records", "send lines from stdin"),
    ("topic", "consume"): ("records", "print records"),
    ("topic", "tail"): ("records", "print records as they come"),
    ("topic", "compact"): ("compact", "keep only the newest record of each key, now"),
    ("topic", "history"): ("topic_changes", "show who made and changed a topic"),
    ("key", "create"): ("keys", "make an API key; its secret is shown once"),
    ("key", "list"): ("keys", "show a namespace's keys"),
    ("key", "show"): ("keys", "show one key"),
    ("key", "revoke"): ("keys", "stop a key now"),
    ("key", "rotate"): ("keys", "replace a key; the old one goes on for a while"),
    ("member", "create"): ("members", "make a member; the temporary password is shown once"),
    ("member", "list"): ("members", "show the platform's members"),
    ("member", "show"): ("members", "show one member and their roles"),
    ("member", "alter"): ("members", "disable a member or let them in again; make them administer the platform"),
    ("member", "delete"): ("members", "delete a member"),
    ("member", "reset-password"): ("members", "give a member a temporary password, shown once"),
    ("grant", "create"): ("grants", "give a member a role in a tenant or a namespace"),
    ("grant", "list"): ("grants", "show who has which role in a tenant"),
    ("grant", "delete"): ("grants", "take a role back"),
    ("token", "create"): ("tokens", "make an access token of yours; it is shown once"),
    ("token", "list"): ("tokens", "show your access tokens"),
    ("token", "revoke"): ("tokens", "stop one of your access tokens now"),
    ("offload",): ("offload", "move a topic to the object store now"),
    ("doctor",): ("doctor", "check disk, ports, database, object store and clock"),
}
INTERRUPTED = 130


def run(argv: Sequence[str] | None = None) -> None:
    """Entry point of the `coldstream` script."""
    sys.exit(main(sys.argv[1:] if argv is None else argv))


def main(argv: Sequence[str]) -> int:
    """Runs one command line; the exit status."""
    arguments, json_wanted = without_json(argv)
    output = Output(json_wanted)
    try:
        if arguments[:1] == ["--version"]:
            return _version(output)
        if not arguments or arguments[0] in ("-h", "--help", "help"):
            print(overview())
            return 0 if arguments else 2
        path, rest = _find(arguments)
        command = _load(path)
        return command.run(_parse(command, rest), output)
    except UsageError as error:
        return _say(f"{error}", 2)
    except CommandError as error:
        return _say(f"{error}", 1)
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = None  # nothing to flush at exit
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def without_json(argv: Sequence[str]) -> tuple[list[str], bool]:
    """The arguments without `--json`, and whether it was there; after `--` nothing is an option."""
    end = argv.index("--") if "--" in argv else len(argv)
    options = list(argv[:end])
    return [argument for argument in options if argument != "--json"] + list(argv[end:]), "--json" in options


def overview() -> str:
    """`coldstream --help`."""
    width = max(len(" ".join(path)) for path in TABLE)
    lines = [f"  {' '.join(path):<{width}}  {summary}" for path, (_, summary) in TABLE.items()]
    return "\n".join(
        [
            "usage: coldstream COMMAND … [--json]",
            "",
            *lines,
            "",
            "`coldstream COMMAND --help` says more. All but the first four and `doctor` talk to the HTTP API at --url",
            "(COLDSTREAM_URL) with --token (COLDSTREAM_TOKEN), by default those of the platform that runs on the data",
            "directory (COLDSTREAM_DATA_DIR, else ./coldstream-data).",
        ]
    )


def _find(arguments: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    for length in (1, 2):
        path = tuple(arguments[:length])
        if len(path) == length and path in TABLE:
            return path, list(arguments[length:])
    known = [path[1] for path in TABLE if len(path) == 2 and path[0] == arguments[0]]
    if known and (len(arguments) == 1 or arguments[1] in ("-h", "--help")):
        raise UsageError(f"say which: coldstream {arguments[0]} {'|'.join(known)}")
    import difflib

    given = " ".join(arguments[: 2 if known else 1])
    near = difflib.get_close_matches(given, [" ".join(path) for path in TABLE], n=1)
    hint = f"did you mean `coldstream {near[0]}`?" if near else "`coldstream --help` lists them all"
    raise UsageError(f"no such command: {given!r}; {hint}")


def _load(path: tuple[str, ...]) -> Command:
    commands: dict[tuple[str, ...], Command] = import_module(f".{TABLE[path][0]}", __package__).COMMANDS
    return commands[path]


def _parse(command: Command, rest: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"coldstream {' '.join(command.path)}",
        description=command.description or TABLE[command.path][1],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.configure(parser)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser.parse_args(list(rest))


def _version(output: Output) -> int:
    from ... import __version__

    output.show({"version": __version__}, lambda: print(f"coldstream {__version__}"))
    return 0


def _say(message: str, status: int) -> int:
    print(f"coldstream: {message}", file=sys.stderr)
    return status
