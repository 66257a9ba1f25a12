"""The ports a platform is about to use, looked at before anything starts, so that a taken one is named in one line."""

import contextlib
import errno
import os
import socket
from collections.abc import Iterator
from dataclasses import replace

from .settings import Address, Settings

LISTENERS = ("kafka", "console", "broker_metrics")
# Port 0 is settled here rather than by the kernel: every process must agree on the port, and it must outlive a restart.
# Below Linux's range for outgoing connections, so that no client takes the port between this look and the bind.
FREE_PORTS = range(20_000, 32_768)


class PortError(Exception):
    """An address that cannot be listened on. The message names the setting, the reason and what to do."""


def settle(settings: Settings) -> Settings:
    """The settings with every port 0 replaced by a free one, after all listeners were bound once. Raises PortError."""
    with contextlib.ExitStack() as held:
        kafka, console, metrics = (_settle_one(name, getattr(settings, name), held) for name in LISTENERS)
    return replace(settings, kafka=kafka, console=console, broker_metrics=metrics)


def problem(name: str, address: Address) -> str | None:
    """Why nothing can listen there now, or None when it can."""
    try:
        with contextlib.ExitStack() as held:
            _settle_one(name, address, held)
    except PortError as error:
        return str(error)
    return None


def _settle_one(name: str, address: Address, held: contextlib.ExitStack) -> Address:
    flag = "--" + name.replace("_", "-")
    for port in [address.port] if address.port else _shuffled():
        try:
            held.enter_context(_listen(address.host, port))
        except socket.gaierror as error:
            raise PortError(
                f"{flag} {address}: the name {address.host} cannot be looked up ({error.strerror})"
            ) from None
        except PermissionError:
            raise PortError(f"{flag} {address}: not allowed to listen on port {port}; choose one above 1023") from None
        except OSError as error:
            if address.port == 0 and error.errno == errno.EADDRINUSE:
                continue
            if error.errno == errno.EADDRINUSE:
                raise PortError(
                    f"{flag} {address}: port {port} is taken by another program; stop that one or choose another port"
                ) from None
            raise PortError(f"{flag} {address}: cannot listen there ({error.strerror})") from None
        return Address(address.host, port)
    raise PortError(f"{flag} {address}: no free port from {FREE_PORTS.start} to {FREE_PORTS.stop - 1}")


def _shuffled() -> Iterator[int]:
    """Two hundred ports to try. (`random` would load OpenSSL into the supervisor.)"""
    for _ in range(200):
        yield FREE_PORTS[int.from_bytes(os.urandom(4), "big") % len(FREE_PORTS)]


def _listen(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(1)  # a bound but silent socket would let a second bind on the same port pass
    except OSError:
        listener.close()
        raise
    return listener
