"""Generated OpenStack-like notifications, for the demo, the tests and the benchmarks.

Pure: the same seed gives the same bytes. Their shape and size (2 to 3 KB) are those of the notifications of a compute cloud.
"""

import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple

import orjson

_BEGIN = datetime(2026, 11, 20)  # noqa: DTZ001 -- notifications are in UTC and do not name the zone
_FLAVORS = [
    ("2GB Standard Instance", 2048, 2, 80),
    ("8GB Standard Instance", 8192, 4, 320),
    ("15GB Standard Instance", 15360, 6, 620),
]
_LIVES = [
    ("scheduler.run_instance.start", "scheduler.run_instance.end", "compute.instance.create.start", "compute.instance.update",
     "compute.instance.update", "compute.instance.update", "compute.instance.create.end", "compute.instance.exists"),
    ("compute.instance.update", "compute.instance.reboot.start", "compute.instance.update", "compute.instance.reboot.end"),
    ("compute.instance.resize.prep.start", "compute.instance.resize.prep.end", "compute.instance.update",
     "compute.instance.resize.start", "compute.instance.resize.end", "compute.instance.update"),
    ("compute.instance.create.start", "compute.instance.update", "compute.instance.create.error"),
    ("compute.instance.update", "compute.instance.delete.start", "compute.instance.shutdown.start",
     "compute.instance.shutdown.end", "compute.instance.update", "compute.instance.delete.end"),
]  # fmt: skip


class Notification(NamedTuple):
    """One notification: its identity, its routing key and its body."""

    message_id: str
    event_type: str
    routing_key: str
    body: bytes


def notifications(count: int, seed: int = 1) -> Iterator[Notification]:
    """`count` notifications of instances that exist at the same time."""
    random = Random(seed)
    now, made = _BEGIN, 0
    instances: list[Iterator[tuple[str, dict[str, object]]]] = [_instance_events(random) for _ in range(20)]
    while made < count:
        place = random.randrange(len(instances))
        step = next(instances[place], None)
        if step is None:
            instances[place] = _instance_events(random)
            continue
        now += timedelta(microseconds=random.randrange(1_000, 900_000))
        made += 1
        yield _notification(random, now, *step)


def _instance_events(random: Random) -> Iterator[tuple[str, dict[str, object]]]:
    instance = _instance(random)
    for event_type in random.choice(_LIVES):
        yield event_type, instance


def _uuid(random: Random) -> str:
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


def _instance(random: Random) -> dict[str, object]:
    name, memory, cpus, disk = random.choice(_FLAVORS)
    tenant = str(random.randrange(690_000, 700_000))
    return {
        "instance_id": _uuid(random), "tenant_id": tenant, "user_id": random.randbytes(16).hex(),
        "display_name": f"web{random.randrange(4096):03x}", "hostname": f"hostname-{random.randrange(1 << 24):06x}",
        "host": f"host-{random.randrange(64):06x}", "node": f"node-{random.randrange(64):06x}",
        "instance_type": name, "memory_mb": memory, "vcpus": cpus, "disk_gb": disk, "root_gb": disk, "ephemeral_gb": 0,
        "os_type": random.choice(["linux", "windows"]), "architecture": "x64", "availability_zone": None,
        "image_ref_url": f"http://10.0.{random.randrange(256)}.{random.randrange(256)}:9292/images/{_uuid(random)}",
        "access_ip_v4": f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}",
        "reservation_id": f"r-{random.randrange(1 << 24):06x}", "kernel_id": "", "ramdisk_id": "",
        "created_at": str(_BEGIN - timedelta(seconds=random.randrange(10_000_000))), "launched_at": str(_BEGIN), "deleted_at": "",
        "image_meta": {
            "container_format": "ovf", "min_ram": str(memory // 4), "base_image_ref": _uuid(random), "image_type": "snapshot",
            "org.openstack__1__os_distro": "org.debian", "org.openstack__1__os_version": "12", "disk_format": "vhd",
            "org.openstack__1__architecture": "x64", "instance_type_root_gb": str(disk), "instance_type_name": name,
            "instance_type_rxtx_factor": "600.0", "auto_disk_config": "False", "min_disk": str(disk),
            "instance_type_vcpus": str(cpus), "instance_uuid": _uuid(random), "instance_type_memory_mb": str(memory),
        },
    }  # fmt: skip


def _notification(random: Random, now: datetime, event_type: str, instance: dict[str, object]) -> Notification:
    message_id = _uuid(random)
    level = "error" if event_type.endswith("error") else "info"
    payload = instance | {
        "state": random.choice(["building", "active", "resized"]), "old_state": "active", "metadata": {},
        "state_description": random.choice(["", "networking", "spawning", "block_device_mapping"]),
        "audit_period_beginning": str(now - timedelta(hours=1)), "audit_period_ending": str(now),
        "bandwidth": {name: {"bw_in": random.randrange(1 << 30), "bw_out": random.randrange(1 << 30)} for name in ("public", "private")},
    }  # fmt: skip
    body = {
        "event_type": event_type, "message_id": message_id, "timestamp": str(now), "priority": level.upper(),
        "publisher_id": f"compute.{instance['host']}", "_unique_id": random.randbytes(16).hex(),
        "_context_request_id": f"req-{_uuid(random)}", "_context_auth_token": random.randbytes(16).hex(),
        "_context_tenant": instance["tenant_id"], "_context_project_id": instance["tenant_id"],
        "_context_user_id": instance["user_id"], "_context_user": instance["user_id"], "_context_is_admin": False,
        "_context_remote_address": instance["access_ip_v4"], "_context_roles": ["compute:default", "admin"],
        "_context_timestamp": now.isoformat(), "_context_read_deleted": "no", "_context_quota_class": None,
        "payload": payload,
    }  # fmt: skip
    return Notification(message_id, event_type, f"notifications.{level}", orjson.dumps(body))
