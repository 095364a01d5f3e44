"""OpenStack Swift in one process: account, container and object server, and the proxy with the S3 interface.

usage: python -m tests.support.swift_process DIRECTORY PORT ACCOUNT:USER KEY

The files of `DIRECTORY` survive a kill. Memcached is replaced by a dictionary. Source: the sample configurations of Swift.
"""

import array
import logging
import socket
import sys
import time
from configparser import ConfigParser
from pathlib import Path
from types import ModuleType

import eventlet
from eventlet import wsgi

PARTITIONS = 16  # of a ring: Swift needs a power of two
PIPELINE = "catch_errors gatekeeper healthcheck cache listing_formats etag-quoter s3api tempauth bulk slo dlo versioned_writes proxy-server"


def main() -> None:
    eventlet.monkey_patch()  # before Swift is imported
    directory, port, user, key = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    conf = directory / "etc"
    conf.mkdir(parents=True, exist_ok=True)
    (directory / "srv" / "disk").mkdir(parents=True, exist_ok=True)
    sockets = {name: eventlet.listen(("127.0.0.1", 0)) for name in ("account", "container", "object")}
    configure(conf, sockets)
    for name, app in storage_servers(directory, conf).items():
        eventlet.spawn(serve, sockets[name], app)
    serve(eventlet.listen(("127.0.0.1", port)), proxy(conf, user, key))


def configure(conf: Path, sockets: dict[str, socket.socket]) -> None:
    """Write swift.conf and the rings, which name the ports of this run, and load them."""
    write(conf / "swift.conf", {
        "swift-hash": {"swift_hash_path_suffix": "test", "swift_hash_path_prefix": "test"},
        "storage-policy:0": {"name": "gold", "default": "yes"},
    })  # fmt: skip
    from swift.common import constraints, storage_policy, utils
    from swift.common.ring import RingData

    utils.set_swift_dir(str(conf))
    storage_policy.reload_storage_policies()
    constraints.reload_constraints()
    utils.validate_hash_conf()
    for name, sock in sockets.items():
        port = sock.getsockname()[1]
        device = {"id": 0, "zone": 0, "region": 1, "device": "disk", "ip": "127.0.0.1", "port": port,
                  "replication_ip": "127.0.0.1", "replication_port": port, "weight": 1.0, "meta": ""}  # fmt: skip
        shift = 32 - PARTITIONS.bit_length() + 1
        RingData([array.array("H", [0] * PARTITIONS)], [device], shift).save(str(conf / f"{name}.ring.gz"))


def storage_servers(directory: Path, conf: Path) -> dict[str, object]:
    from swift.account.server import AccountController
    from swift.container.server import ContainerController
    from swift.obj.server import ObjectController

    common = {
        "devices": str(directory / "srv"),
        "mount_check": "false",
        "swift_dir": str(conf),
        "disable_fallocate": "true",
    }
    return {
        "account": AccountController(dict(common)),
        "container": ContainerController(dict(common)),
        "object": ObjectController(dict(common)),
    }


def proxy(conf: Path, user: str, key: str) -> object:
    from swift.common.wsgi import loadapp

    filters = ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "slo", "dlo", "versioned_writes")
    sections = {f"filter:{name}": {"use": f"egg:swift#{name}"} for name in filters}
    sys.modules["tests_swift_cache"] = cache_module()
    write(conf / "proxy-server.conf", sections | {
        "DEFAULT": {"swift_dir": str(conf), "log_level": "WARNING"},
        "pipeline:main": {"pipeline": PIPELINE},
        "app:proxy-server": {"use": "egg:swift#proxy", "allow_account_management": "true", "account_autocreate": "true"},
        "filter:cache": {"paste.filter_factory": "tests_swift_cache:filter_factory"},
        "filter:etag-quoter": {"use": "egg:swift#etag_quoter"},
        "filter:s3api": {"use": "egg:swift#s3api", "s3_acl": "false", "location": "us-east-1"},
        "filter:tempauth": {"use": "egg:swift#tempauth", f"user_{user.replace(':', '_')}": f"{key} .admin"},
    })  # fmt: skip
    return loadapp(str(conf / "proxy-server.conf"), global_conf={"log_name": "proxy"})


def write(path: Path, sections: dict[str, dict[str, str]]) -> None:
    parser = ConfigParser(interpolation=None)
    parser.read_dict(sections)
    with path.open("w") as file:
        parser.write(file)


def _now_s() -> float:
    return time.time()


class Cache:
    """What Swift asks of memcached."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[object, float]] = {}

    def get(self, key: str, raise_on_error: bool = False, **_: object) -> object:
        value, until = self._entries.get(key, (None, 0.0))
        return None if until and until < time.time() else value

    def set(self, key: str, value: object, serialize: bool = True, time: float = 0, **_: object) -> None:
        self._entries[key] = value, _now_s() + time if time else 0.0

    def delete(self, key: str, **_: object) -> None:
        self._entries.pop(key, None)

    def incr(self, key: str, delta: int = 1, time: float = 0) -> int:
        value = int(str(self.get(key) or 0)) + delta
        self.set(key, value, time=time)
        return value

    def set_multi(self, mapping: dict[str, object], server_key: str, time: float = 0, **_: object) -> None:
        for key, value in mapping.items():
            self.set(key, value, time=time)

    def get_multi(self, keys: list[str], server_key: str, **_: object) -> list[object]:
        return [self.get(key) for key in keys]


def cache_module() -> ModuleType:
    """The filter `cache` of the pipeline, as the module that its configuration names."""
    module, cache = ModuleType("tests_swift_cache"), Cache()

    def filter_factory(*_: object, **__: object):
        def wrap(app):
            def call(environ, start_response):
                environ["swift.cache"] = cache
                return app(environ, start_response)

            return call

        return wrap

    module.filter_factory = filter_factory
    return module


def serve(sock: socket.socket, app: object) -> None:
    from swift.common.wsgi import SwiftHttpProtocol

    wsgi.server(sock, app, logging.getLogger("swift"), protocol=SwiftHttpProtocol, log_output=False, max_size=1024)


if __name__ == "__main__":
    main()
