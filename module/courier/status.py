"""The answer to the command ``status``: the state of everything that a Courier owns. Nothing here waits."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from module import __version__
from module.clock.machine_clock import iso
from module.collection.kept import KeptOfSource
from module.courier.courier import Courier
from module.courier.pause_record import What


def status_of(courier: Courier) -> dict[str, Any]:
    """The whole status, in the shape that docs/commands.md shows."""
    return {
        "version": __version__,
        "uptime_s": round(time.monotonic() - courier.carried.started, 3),
        "part_id": courier.config.cloud.part_id,
        "sources": _sources(courier),
        "folders": _folders(courier),
        "spool": _spool(courier),
        "upload": _upload(courier),
        "clock": courier.clock.status(),
        "sequences": _sequences(courier),
        "failing": courier.failing,
    }


def _sources(courier: Courier) -> dict[str, Any]:
    sources, failing = {}, courier.failing
    for key, collector in courier.collectors.items():
        source = collector.status(iso)
        if gate := failing.get(f"source {key}: gate"):
            source["last_error"] = source["last_error"] or f"gate: {gate}"
        if error := failing.get(f"source {key}"):
            source |= {"state": "failed", "last_error": error}
        source["last_error"] = source["last_error"] or courier.problem
        source["commanded"] = _commanded(collector.kept, courier.carried.pauses.since(What.SOURCE, key))
        sources[key] = source
    return sources


def _commanded(kept: KeptOfSource, paused_us: int | None) -> dict[str, Any]:
    """What commands have set for a source and is still in effect, each with the time since when."""
    now, commanded = asyncio.get_running_loop().time(), _pause(paused_us)
    if kept.schedule is not None and now < kept.schedule.until:
        commanded["set_schedule"] = {"since": iso(kept.schedule.since_us), "until": iso(kept.schedule.until_us)}
    if kept.tags is not None:
        commanded["set_tags"] = {
            "since": iso(kept.tags.since_us),
            "tags": list(kept.tags.tags),
            "dataset_ids": list(kept.tags.dataset_ids),
        }
    if kept.trigger is not None and now < kept.trigger.until:
        commanded["trigger"] = {"since": iso(kept.trigger.since_us), "until": iso(kept.trigger.until_us)}
    return commanded


def _pause(since_us: int | None) -> dict[str, Any]:
    return {} if since_us is None else {"pause": {"since": iso(since_us)}}


def _folders(courier: Courier) -> dict[str, Any]:
    folders = {}
    for folder, watch in zip(courier.config.folders, courier.watches, strict=True):
        error = courier.failing.get(f"folder {folder.path}")
        folders[folder.path] = {
            "state": "failed" if error else "paused" if watch.paused else "active",
            "captured": watch.kept.captured,
            "errors": watch.kept.errors,
            "last_capture": iso(watch.kept.last_capture_us),
            "last_error": error or watch.last_error,
            "commanded": _pause(courier.carried.pauses.since(What.FOLDER, folder.path)),
        }
    return folders


def _spool(courier: Courier) -> dict[str, Any]:
    store = courier.store
    return {
        "items": store.items,
        "bytes": store.bytes,
        "oldest_age_s": courier.clock.age_s(store.oldest) if store.items and store.oldest else 0.0,
        "max_bytes": courier.config.spool.max_bytes,
        "free_disk_bytes": store.free_disk_bytes,
        "lag_s": round(store.pending.lag_s, 3),
        "failed": store.failed,
        "dropped": courier.carried.dropped,
        "damaged": store.damaged,
        "unreadable": store.unreadable,
        "last_error": store.last_error or courier.problem,
        "orphans": [
            {
                "directory": str(orphan.directory),
                "items": orphan.items,
                "bytes": orphan.bytes,
                "oldest": iso(orphan.oldest_us),
            }
            for orphan in store.orphans.found
        ],
    }


def _upload(courier: Courier) -> dict[str, Any]:
    upload = courier.uploader.status()
    upload["last_upload"] = iso(upload.pop("last_upload_us"))
    upload["commanded"] = _pause(courier.carried.pauses.since(What.UPLOAD))
    if error := courier.failing.get("uploads"):
        upload |= {"state": "failed", "last_error": error}
    return upload


def _sequences(courier: Courier) -> list[dict[str, Any]]:
    return [
        {
            "id": sequence.id,
            "state": sequence.state.value,
            "sources": [source.id for source in sequence.sources],
            "tags": list(sequence.tags),
            "start": iso(sequence.start_us),
            "end": iso(sequence.end_us),
            "waiting_for": sequence.waiting_for,
            "error": sequence.error or courier.sequences.trouble.get(sequence.id),
        }
        for sequence in courier.store.sequences.known
    ]
