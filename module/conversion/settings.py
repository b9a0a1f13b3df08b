"""The data manager's own attributes → the uploader's, except its sources."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Any

from module.conversion.document import Place, is_variable
from module.conversion.findings import Finding, Kind

_SETTLE_MS = 10_000
_MOST_UPLOADS = 100
_LONG_MIN = 1
# Folders of these names the data manager passes over, at any depth: what it could not sync, what waits for a dataset.
_ITS_FOLDERS = ["**/failed/", "**/datasetUpload/"]


class Settings:
    """Collects ``tags``, ``folders``, ``upload`` and ``spool``, and the findings about them."""

    within: Place | None = None
    """A folder inside the data manager's capture directory, from which it syncs too."""

    def __init__(self, manager: Place | None, findings: list[Finding]) -> None:
        self._findings = findings
        self._attributes: dict[str, Any] = {"folders": []}
        self._captures: PurePosixPath | None = None
        attributes = manager.get("attributes") if manager is not None else None
        if attributes is None:
            return
        for place in attributes.members():
            handler = _HANDLERS.get(place.key)
            if handler is not None:
                handler(self, place)
            elif place.key in _UNNEEDED:
                self._say(Kind.UNNEEDED, place, _UNNEEDED[place.key])
            elif place.key in _LOST:
                self._say(Kind.LOST, place, _LOST[place.key])
            elif place.key not in _ELSEWHERE:
                self._say(Kind.LOST, place, "not known to this conversion; it stays where it is")
        captures = attributes.get("capture_dir")
        if captures is not None and isinstance(captures.value, str) and captures.value.startswith("/"):
            self._captures = PurePosixPath(captures.value)
        self._folders(attributes)
        # Empty, as the app may leave it, it means the default.
        if captures is not None and captures.value and captures.text():
            self._directory(captures)

    def finished(self) -> dict[str, Any]:
        """Return the attributes, in the order in which they are documented."""
        order = ("folders", "tags", "spool", "upload")
        return {key: self._attributes[key] for key in order if self._attributes.get(key)}

    def _set(self, part: str, key: str, value: Any) -> None:
        self._attributes.setdefault(part, {})[key] = value

    def _say(self, kind: Kind, place: Place, text: str) -> None:
        self._findings.append(Finding(kind, place.path, text))

    def _tags(self, place: Place) -> None:
        self._attributes["tags"] = place.texts()
        self._say(Kind.MAPPED, place, "tags")

    def _capture_disabled(self, place: Place) -> None:
        if place.flag():
            text = "sources[].disabled, of each" if is_variable(place.value) else "every source is disabled"
            self._say(Kind.MAPPED, place, text)

    def _sync_disabled(self, place: Place) -> None:
        if place.flag():
            self._set("upload", "disabled", place.value)
            self._say(Kind.DIFFERS, place, "upload.disabled; the Sync call, which synced even then, has no equivalent")

    def _sync_interval(self, place: Place) -> None:
        minutes = place.number()
        if not is_variable(minutes) and minutes >= _LONG_MIN:
            text = "uploads follow captures at once; to upload only at certain times, set upload.active_hours"
            self._say(Kind.DIFFERS, place, text)
        else:
            self._say(Kind.UNNEEDED, place, "uploads follow captures at once")

    def _threads(self, place: Place) -> None:
        threads = place.number()
        if is_variable(threads):
            text = f"a variable: upload.concurrency is from 1 to {_MOST_UPLOADS}; if a machine has 0, leave it out"
            self._say(Kind.DIFFERS, place, text)
        elif threads > _MOST_UPLOADS:
            self._say(Kind.DIFFERS, place, f"upload.concurrency is at most {_MOST_UPLOADS}")
            threads = _MOST_UPLOADS
        if threads:
            self._set("upload", "concurrency", threads)
            self._say(Kind.MAPPED, place, "upload.concurrency")

    def _selective_syncer(self, place: Place) -> None:
        # Empty, as the app may leave it, it means none.
        if place.value:
            self._set("upload", "only_when", {"sensor": place.text(), "key": "should_sync"})
            self._say(Kind.MAPPED, place, "upload.only_when")

    def _delete_every_nth(self, place: Place) -> None:
        if place.number():
            self._set("spool", "when_full", "thin")
            self._say(Kind.DIFFERS, place, "spool.when_full thins by every other capture, the lowest priority first")

    def _folders(self, attributes: Place) -> None:
        settle_ms = self._settle_ms(attributes)
        folders: list[dict[str, Any]] = []
        places = attributes.each("additional_sync_paths")
        for index, place in enumerate(places):
            path = self._folder(place, places[:index], places[index + 1 :])
            if path is not None:
                settled = {"settle_s": settle_ms / 1000} if settle_ms != _SETTLE_MS else {}
                exclude = [*_ITS_FOLDERS, *self._captured_in(place)]
                folders.append({"path": path, "exclude": exclude, **settled, "after_upload": "delete"})
                self._say(Kind.MAPPED, place, "a folder whose files are deleted once the cloud has them")
        self._attributes["folders"] = folders

    def _settle_ms(self, attributes: Place) -> float:
        place = attributes.get("file_last_modified_millis")
        settle_ms = 0 if place is None else place.number()
        if place is not None and is_variable(settle_ms):
            self._say(Kind.LOST, place, "folders[].settle_s is in seconds: use another variable for it")
            return _SETTLE_MS
        if place is not None and settle_ms:
            self._say(Kind.MAPPED, place, "folders[].settle_s")
        return float(settle_ms or _SETTLE_MS)

    def _folder(self, place: Place, before: list[Place], after: list[Place]) -> Any:
        """Return the path of a folder; None if it cannot be mapped, or if another folder includes its files."""
        if is_variable(place.value):
            return place.value
        path = PurePosixPath(place.text())
        if not path.is_absolute():
            self._say(Kind.LOST, place, "a folder's path is absolute")
            return None
        earlier, later = (
            [PurePosixPath(each.value) for each in places if isinstance(each.value, str)] for places in (before, after)
        )
        if any(path.is_relative_to(other) for other in [*earlier, *(each for each in later if each != path)]):
            self._say(Kind.UNNEEDED, place, "its files are uploaded with those of another folder")
            return None
        return str(path)

    def _captured_in(self, place: Place) -> list[str]:
        """Return patterns for the data manager's own captures in a folder, which must not be uploaded as files."""
        if self._captures is None or is_variable(place.value):
            return []
        path = PurePosixPath(place.value)
        if path.is_relative_to(self._captures):
            self.within = self.within or place
            return ["*.capture", "*.prog"]
        return [f"{self._captures.relative_to(path)}/"] if self._captures.is_relative_to(path) else []

    def _directory(self, place: Place) -> None:
        captures = self._captures
        beside = f"{captures}-courier"
        folders = [each["path"] for each in self._attributes["folders"] if isinstance(each["path"], str)]
        # A folder right below the root may be a disk itself, with another one beside it.
        fits = captures is not None and len(captures.parts) > 2  # noqa: PLR2004
        if fits and not any(PurePosixPath(beside).is_relative_to(folder) for folder in folders):
            self._set("spool", "directory", beside)
            text = f"spool.directory beside it, {beside}: check that this is the disk that you want"
            self._say(Kind.DIFFERS, place, text)
        else:
            text = (
                "captures go to the module's own folder; for another one, set spool.directory, outside of capture_dir"
            )
            self._say(Kind.DIFFERS, place, text)


_HANDLERS: dict[str, Callable[[Settings, Place], None]] = {
    "tags": Settings._tags,  # noqa: SLF001 - its own table
    "capture_disabled": Settings._capture_disabled,  # noqa: SLF001
    "sync_disabled": Settings._sync_disabled,  # noqa: SLF001
    "sync_interval_mins": Settings._sync_interval,  # noqa: SLF001
    "maximum_num_sync_threads": Settings._threads,  # noqa: SLF001
    "selective_syncer_name": Settings._selective_syncer,  # noqa: SLF001
    "delete_every_nth_when_disk_full": Settings._delete_every_nth,  # noqa: SLF001
}
_ELSEWHERE = {"additional_sync_paths", "capture_dir", "file_last_modified_millis"}
_UNNEEDED = {
    "maximum_capture_file_size_bytes": "captures lie in one spool, not in files; upload.batch_rows bounds an upload",
    "delete_data_on_part_deletion": "it stays where it is: the cloud reads it from there",
}
_LOST = {
    "disk_usage_deletion_threshold": "a share of the disk: set spool.min_free_bytes to the bytes that stay free",
    "capture_dir_deletion_threshold": "a share of the disk: set spool.max_bytes to the most that captures take",
    "capture_control_sensor": "a sensor cannot set rates; the commands set_schedule, pause and set_tags can",
    "mongo_capture_config": "captures go to the cloud only",
}
