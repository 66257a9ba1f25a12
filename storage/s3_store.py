"""Objects in an S3 bucket, by aiobotocore: AWS, MinIO, SeaweedFS, Ceph RGW, R2.

Always true: every call has a total deadline, because a held connection pool would otherwise wait for ever. Integrity on
the way in is Content-MD5, the one check that every store makes; bodies are neither signed nor checksummed again, since
that runs on the event loop. Old MinIO wants Content-MD5 on DeleteObjects too. Importing this module costs tens of MB.
"""

import asyncio
import base64
import hashlib
import logging
from collections.abc import AsyncIterator, Awaitable, Collection
from contextlib import AsyncExitStack
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from uuid import uuid4

from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientError as HttpClientError
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, PartialCredentialsError

from .object_store import (
    CALL_DEADLINE_S,
    DigestMismatch,
    ObjectInfo,
    ObjectMissing,
    ObjectStoreDenied,
    ObjectStoreError,
    ObjectStoreUnavailable,
    ObjectTruncated,
    body_deadline_s,
    checked_key,
    checked_range,
)

_LOG = logging.getLogger(__name__)
T = TypeVar("T")
LIST_PAGE = 200  # parsing the XML of 1,000 keys stops the loop for 65 ms
DELETE_PAGE = 500  # the limit is 1,000; smaller pages for the same reason
READ_BYTES = 2**20
CONNECTIONS_MAX = 32
KEY_ERRORS = frozenset({"NoSuchKey", "404", "NotFound"})
CREDENTIAL_ERRORS = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken"})
PERMISSION_ERRORS = frozenset({"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"})
REGION_ERRORS = frozenset(
    {"PermanentRedirect", "301", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"}
)
DIGEST_ERRORS = frozenset({"BadDigest", "InvalidDigest"})
CREDENTIAL_ADVICE = "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in AWS_PROFILE"


class S3Store:
    """One bucket, below `prefix` (which begins every key and ends in `/`, or is empty).

    Args:
        endpoint: The server's URL; None for AWS, or what AWS_ENDPOINT_URL says.
        region: What requests are signed for.
    """

    def __init__(
        self, bucket: str, prefix: str = "", *, endpoint: str | None = None, region: str = "us-east-1"
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._endpoint = endpoint
        self._region = region
        self._stack = AsyncExitStack()
        self._creating = asyncio.Lock()
        self._client: Any = None  # botocore makes its clients at run time: there is no type to name

    def __str__(self) -> str:
        return f"s3://{self._bucket}/{self._prefix} at {self._endpoint or 'AWS'}"

    async def put_file(self, key: str, path: Path, *, md5: bytes, deadline_s: float) -> None:
        file = await asyncio.to_thread(path.open, "rb")
        try:
            await self._put(key, file, md5, deadline_s)
        finally:
            file.close()

    async def put_bytes(self, key: str, data: bytes, *, deadline_s: float = CALL_DEADLINE_S) -> None:
        await self._put(key, data, hashlib.md5(data, usedforsecurity=False).digest(), deadline_s)

    async def _put(self, key: str, body: BinaryIO | bytes, md5: bytes, deadline_s: float) -> None:
        named = {"Bucket": self._bucket, "Key": self._key(key), "ContentMD5": base64.b64encode(md5).decode()}
        client = await self._connected()
        await self._call(client.put_object(**named, Body=body), f"put {key}", deadline_s)

    async def get_range(self, key: str, start: int, end: int) -> bytes:
        length = checked_range(start, end)
        data = await self._call(self._range(key, start, end), f"get {key}", body_deadline_s(length))
        if len(data) != length:
            raise ObjectTruncated(f"{self}: {key} ends before byte {end}")
        return data

    async def _range(self, key: str, start: int, end: int) -> bytes:
        client = await self._connected()
        wanted = f"bytes={start}-{end - 1}"
        answer = await client.get_object(Bucket=self._bucket, Key=self._key(key), Range=wanted)
        pieces, size = [], 0
        async with answer["Body"] as body:
            if "ContentRange" not in answer and start:
                raise ObjectStoreUnavailable(f"{self}: the store ignores ranges; it cannot serve cold reads")
            async for piece in body.iter_chunks(READ_BYTES):
                pieces.append(piece)
                size += len(piece)
                if size >= end - start:
                    break
        return b"".join(pieces)[: end - start]

    async def head(self, key: str) -> ObjectInfo | None:
        client = await self._connected()
        try:
            head = client.head_object(Bucket=self._bucket, Key=self._key(key))
            answer = await self._call(head, f"head {key}", CALL_DEADLINE_S)
        except ObjectMissing:
            return None
        return ObjectInfo(answer["ContentLength"], md5_of_etag(answer.get("ETag", "")))

    async def delete(self, keys: Collection[str]) -> set[str]:
        gone = set[str]()
        rest = iter([checked_key(key) for key in keys])
        while page := list(islice(rest, DELETE_PAGE)):
            try:
                gone |= await self._delete_page(page)
            except ObjectStoreUnavailable as error:
                _LOG.warning("objects not deleted: %s", error)
        return gone

    async def _delete_page(self, keys: list[str]) -> set[str]:
        client = await self._connected()
        named = {self._prefix + key: key for key in keys}
        wanted = {"Objects": [{"Key": name} for name in named], "Quiet": False}
        deletion = client.delete_objects(Bucket=self._bucket, Delete=wanted)
        answer = await self._call(deletion, f"delete {len(keys)} objects", CALL_DEADLINE_S)
        confirmed = {named.get(item.get("Key")) for item in answer.get("Deleted", ())}
        refused = {named.get(item.get("Key")): item.get("Code") for item in answer.get("Errors", ())}
        for key, code in refused.items():
            if code in KEY_ERRORS:
                confirmed.add(key)
            else:
                _LOG.warning("object %s not deleted: %s answered %s", key, self, code)
        gone = {key for key in keys if key in confirmed}
        # The JuiceFS gateway answers with empty elements: what nobody spoke of is asked for by name.
        for key in keys:
            if key not in confirmed and key not in refused and await self.head(key) is None:
                gone.add(key)
        return gone

    async def list(self, prefix: str) -> AsyncIterator[tuple[str, int]]:
        client = await self._connected()
        named = {"Bucket": self._bucket, "Prefix": self._prefix + prefix, "MaxKeys": LIST_PAGE}
        while True:
            page = await self._call(client.list_objects_v2(**named), f"list {prefix}", CALL_DEADLINE_S)
            for item in page.get("Contents", ()):
                if item["Key"].endswith("/"):
                    continue  # the JuiceFS gateway lists directories; none of our keys ends so
                yield item["Key"][len(self._prefix) :], item["Size"]
            if not page.get("IsTruncated"):
                return
            named["ContinuationToken"] = page["NextContinuationToken"]

    async def probe(self) -> None:
        client = await self._connected()
        listing = client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        await self._call(listing, "list the bucket", CALL_DEADLINE_S)
        key = f"v1/probe/{uuid4().hex}"
        await self.put_bytes(key, b"coldstream")
        if await self.get_range(key, 0, 10) != b"coldstream":
            raise ObjectStoreUnavailable(f"{self}: a probe object did not come back as written")
        if await self.delete([key]) != {key}:
            raise ObjectStoreDenied(f"{self}: cannot delete objects; the credentials need s3:DeleteObject")

    async def close(self) -> None:
        await self._stack.aclose()

    def _key(self, key: str) -> str:
        return self._prefix + checked_key(key)

    async def _connected(self) -> Any:
        if self._client is None:
            async with self._creating:
                if self._client is None:
                    self._client = await self._call(self._connect(), "connect", CALL_DEADLINE_S)
        return self._client

    async def _connect(self) -> Any:
        config = AioConfig(
            signature_version="s3v4",
            s3={"addressing_style": "path", "payload_signing_enabled": False},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=CONNECTIONS_MAX,
            connect_timeout=2,
            read_timeout=20,
            retries={"mode": "standard", "total_max_attempts": 3},
            warm_up_loader_caches=True,
        )
        session = get_session()  # type: ignore[no-untyped-call]
        making = session.create_client("s3", region_name=self._region, endpoint_url=self._endpoint, config=config)
        client = await self._stack.enter_async_context(making)
        client.meta.events.register("before-sign.s3.DeleteObjects", _add_content_md5)
        return client

    async def _call(self, call: Awaitable[T], doing: str, deadline_s: float) -> T:
        try:
            async with asyncio.timeout(deadline_s):
                return await call
        except TimeoutError:
            raise ObjectStoreUnavailable(f"{self}: {doing}: no answer within {deadline_s:.0f} s") from None
        except ClientError as error:
            raise self._classified(error, doing) from error
        except (NoCredentialsError, PartialCredentialsError) as error:
            raise ObjectStoreDenied(f"{self}: {error}; {CREDENTIAL_ADVICE}") from error
        except (BotoCoreError, HttpClientError, OSError) as error:
            raise ObjectStoreUnavailable(f"{self}: {doing}: {error}") from error

    def _classified(self, error: ClientError, doing: str) -> ObjectStoreError:
        """The store's error code as one of ours, with what to do about it."""
        code = str(error.response.get("Error", {}).get("Code", ""))
        says = f"{self}: {doing}: {code}"
        if code in DIGEST_ERRORS:
            return DigestMismatch(f"{says}; the bytes changed on their way")
        if code == "NoSuchBucket":
            return ObjectStoreDenied(f"{self}: there is no bucket {self._bucket!r}; create it, or name another one")
        if code in KEY_ERRORS:
            return ObjectMissing(says)
        if code in ("InvalidRange", "416"):
            return ObjectTruncated(f"{says}; the object ends before that range")
        if code in CREDENTIAL_ERRORS:
            return ObjectStoreDenied(f"{says}; {CREDENTIAL_ADVICE}")
        if code in PERMISSION_ERRORS:
            rights = "s3:GetObject, s3:PutObject, s3:DeleteObject and s3:ListBucket"
            return ObjectStoreDenied(f"{says}; the credentials need {rights} there")
        if code in REGION_ERRORS:
            return ObjectStoreDenied(f"{says}; name the bucket's region with ?region= (it is {self._region!r} now)")
        if code == "RequestTimeTooSkewed":
            return ObjectStoreDenied(f"{says}; set this machine's clock")
        return ObjectStoreUnavailable(f"{says}: {error.response.get('Error', {}).get('Message', '')}")


def md5_of_etag(etag: str) -> bytes | None:
    """The MD5 in an ETag, where it looks like one: S3 promises it only for plain single puts, and some stores never."""
    digits = etag.strip('"')
    if len(digits) != 32:
        return None
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None


def _add_content_md5(request: Any, **_: Any) -> None:
    body = request.body if isinstance(request.body, bytes) else str(request.body).encode()
    digest = hashlib.md5(body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()
