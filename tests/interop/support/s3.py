"""A real S3 server on the loopback interface: versitygw, whose objects are plain files below its folder."""

from __future__ import annotations

import hashlib
import hmac
import os
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone
from pathlib import Path

ACCESS, SECRET, REGION, BUCKET = "otfaccess", "otfsecret", "us-east-1", "lake"


def free_port() -> int:
    """A port of the loopback interface that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """One server process; ended by its own id."""

    def __init__(self, binary: Path, folder: Path, versions: bool = False) -> None:
        self.folder, self.port = folder, free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        for name in ("data", "iam", "versions"):
            (folder / name).mkdir(parents=True)
        environment = {**os.environ, "ROOT_ACCESS_KEY": ACCESS, "ROOT_SECRET_KEY": SECRET}
        versioning = ["--versioning-dir", str(folder / "versions")] if versions else []
        command = [str(binary), "--port", f"127.0.0.1:{self.port}", "--quiet", "--health", "/health",
                   "--iam-dir", str(folder / "iam"), "posix", *versioning, str(folder / "data")]
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()
        self.filesystem().create_dir(BUCKET)
        if versions:
            self._keep_versions()

    def _wait(self) -> None:
        for _ in range(120):
            assert self.process.poll() is None, (self.folder / "log").read_text()[-1000:]
            try:
                urllib.request.urlopen(f"{self.url}/health", timeout=2).close()
                return
            except (urllib.error.URLError, OSError):
                time.sleep(0.25)
        raise AssertionError("the S3 server did not start within 30 s")

    def filesystem(self):  # type: ignore[no-untyped-def]
        """The server through pyarrow."""
        from pyarrow.fs import S3FileSystem

        return S3FileSystem(access_key=ACCESS, secret_key=SECRET, region=REGION, endpoint_override=self.url, allow_bucket_creation=True)

    def request(self, method: str, path: str, query: dict[str, str], body: bytes = b"") -> bytes:
        """The answer to a signed request (AWS Signature Version 4), for what pyarrow has no words for."""
        now = datetime.now(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        host, digest = f"127.0.0.1:{self.port}", hashlib.sha256(body).hexdigest()
        safe = urllib.parse.quote(path)
        words = "&".join(f"{urllib.parse.quote(k, safe='')}={urllib.parse.quote(v, safe='')}" for k, v in sorted(query.items()))
        headers = {"host": host, "x-amz-content-sha256": digest, "x-amz-date": now}
        names = ";".join(headers)
        canonical = "\n".join([method, safe, words, *(f"{k}:{v}" for k, v in headers.items()), "", names, digest])
        scope = f"{now[:8]}/{REGION}/s3/aws4_request"
        text = "\n".join(["AWS4-HMAC-SHA256", now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
        key = f"AWS4{SECRET}".encode()
        for part in (now[:8], REGION, "s3", "aws4_request"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={ACCESS}/{scope}, SignedHeaders={names}, Signature={signature}"
        request = urllib.request.Request(f"{self.url}{safe}?{words}", data=body or None, method=method, headers=headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return bytes(answer.read())

    def _keep_versions(self) -> None:
        """From now on the bucket keeps what is deleted or replaced as noncurrent versions."""
        wanted = b'<VersioningConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>Enabled</Status></VersioningConfiguration>'
        self.request("PUT", f"/{BUCKET}", {"versioning": ""}, wanted)

    def environment(self, secret: str = SECRET) -> dict[str, str]:
        """What otf and delta-rs are told; the names are those of every S3 client."""
        return {"AWS_ENDPOINT_URL": self.url, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": secret,
                "AWS_ALLOW_HTTP": "true"}

    def pyiceberg(self) -> dict[str, str]:
        """The same for pyiceberg."""
        return {"s3.endpoint": self.url, "s3.access-key-id": ACCESS, "s3.secret-access-key": SECRET, "s3.region": REGION}

    def keys(self, prefix: str) -> set[str]:
        """Names of the objects below a prefix, seen as files on the server's disk."""
        root = self.folder / "data" / BUCKET
        return {str(p.relative_to(root)) for p in (root / prefix).rglob("*") if p.is_file()}

    def duckdb_secret(self) -> str:
        """The statement that lets DuckDB in."""
        return (f"CREATE OR REPLACE SECRET s (TYPE s3, KEY_ID '{ACCESS}', SECRET '{SECRET}', ENDPOINT '127.0.0.1:{self.port}', "
                f"URL_STYLE 'path', USE_SSL false, REGION '{REGION}')")

    def stop(self) -> None:
        """Ends the server."""
        self.process.terminate()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
