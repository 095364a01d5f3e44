"""SeaweedFS, an object storage with the S3 interface, as one process with ports of its own."""

import json
import sys
from pathlib import Path

from consumer.demo.node import free_ports
from tests.support.s3 import S3, is_ready
from tests.support.server import Server

_PORTS = ("s3.port", "s3.port.grpc", "master.port", "master.port.grpc", "volume.port", "volume.port.grpc",
          "filer.port", "filer.port.grpc", "admin.port", "admin.port.grpc")  # fmt: skip
_SOCKETS = ("s3", "s3-grpc", "master-grpc", "volume-grpc", "filer-grpc", "admin-grpc")
_KEYS = ("access", "secret")


def seaweedfs(directory: Path) -> tuple[Server, S3]:
    """A server on the files of `directory`, not started yet, and how to reach it."""
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    s3 = S3(ports["s3.port"], *_KEYS)
    data = directory / "data"
    data.mkdir()
    users = directory / "users.json"
    credentials = [{"accessKey": s3.access_key, "secretKey": s3.secret_key}]
    users.write_text(json.dumps({"identities": [{"name": "test", "credentials": credentials, "actions": ["Admin"]}]}))
    options = {
        "dir": data, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", **ports, "s3.config": users, "admin.ui": "false", "webdav": "false",
        "s3.port.iceberg": 0, "s3.port.lance": 0, "filer.localSocket": directory / "filer.sock", "master.telemetry": "false",
        "s3.autoCreateBucket": "false", "master.resumeState": "true",
        "master.volumeSizeLimitMB": 8,  # each bucket needs volumes, and the free space divided by this is how many there can be
    }  # fmt: skip
    command = [str(Path(sys.prefix, "bin", "weed")), "mini", *(f"-{name}={value}" for name, value in options.items())]
    sockets = [Path("/tmp", f"seaweedfs-{name}-{port}.sock") for port in ports.values() for name in _SOCKETS]
    return Server(command, directory / "seaweedfs.log", lambda: is_ready(s3, "/healthz"), sockets), s3
