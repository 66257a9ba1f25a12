"""`coldstream up|broker|console|migrate`: what runs here, with settings from flags, variables and a file.

`broker` and `console` become their process (exec), so that signals and the exit status are that process's own.
"""

import argparse
import os
import sys
from typing import NoReturn

from ..data_dir import DataDirError, ensure_cluster_secret, make_data_dir
from ..settings import SETTINGS, SWITCH, Settings, SettingsError
from .command import Command, CommandError, Output, UsageError

MODULES = {"broker": "coldstream.platform.broker", "console": "coldstream.console"}


def add_settings_flags(parser: argparse.ArgumentParser) -> None:
    """One flag for each setting."""
    group = parser.add_argument_group("settings (docs/settings.md says more)")
    group.add_argument("--config", metavar="FILE", help="TOML file with settings (COLDSTREAM_CONFIG)")
    for setting in SETTINGS:
        described = f"{setting.doc} Default: {setting.shown_default}".replace("%", "%%").replace("`", "")
        if setting.kind is SWITCH:
            group.add_argument(setting.flag, metavar=setting.kind.placeholder, nargs="?", const="true", help=described)
        else:
            group.add_argument(setting.flag, metavar=setting.kind.placeholder, help=described)


def settings_of(args: argparse.Namespace) -> Settings:
    """Raises UsageError: a setting that cannot be used is wrong usage."""
    flags = {s.name: text for s in SETTINGS if (text := getattr(args, s.name)) is not None}
    try:
        return Settings.load(flags, os.environ, args.config)
    except SettingsError as error:
        raise UsageError(str(error)) from None


def up(args: argparse.Namespace, output: Output) -> int:
    from ...wiring import is_prepared
    from ..supervisor import up as supervise

    return supervise(
        settings_of(args),
        is_prepared=is_prepared,
        prepare_command=(sys.executable, "-m", "coldstream", "migrate"),
    )


def migrate(args: argparse.Namespace, output: Output) -> int:
    from ...wiring import run_migrate

    settings = settings_of(args)
    _make_ready(settings)
    status = run_migrate(settings)
    if status == 0:
        output.show({"database": "ready"}, lambda: print("the database is at this release's schema"))
    return status


def broker(args: argparse.Namespace, output: Output) -> int:
    _become("broker", settings_of(args))


def console(args: argparse.Namespace, output: Output) -> int:
    _become("console", settings_of(args))


def _become(name: str, settings: Settings) -> NoReturn:
    _make_ready(settings)
    kept = {variable: text for variable, text in os.environ.items() if variable != "COLDSTREAM_CONFIG"}
    sys.stdout.flush()
    os.execve(sys.executable, [sys.executable, "-m", MODULES[name]], kept | settings.as_environ())  # noqa: S606


def _make_ready(settings: Settings) -> None:
    try:
        make_data_dir(settings.data_dir)
        ensure_cluster_secret(settings)
    except DataDirError as error:
        raise CommandError(str(error)) from None
    except OSError as error:
        raise CommandError(f"{error.filename or settings.data_dir}: {error.strerror or error}") from None


_UP = (
    "Runs the whole platform on this machine until SIGTERM or Ctrl-C. Once it takes connections it prints one line,\n"
    "`ready kafka=HOST:PORT console=http://HOST:PORT`. A port 0 means any free one."
)
COMMANDS = {
    command.path: command
    for command in (
        Command(("up",), add_settings_flags, up, _UP),
        Command(("broker",), add_settings_flags, broker),
        Command(("console",), add_settings_flags, console),
        Command(("migrate",), add_settings_flags, migrate),
    )
}
