"""A cloud that does not let uploads in: forgotten tokens, wrong keys, a part that is not there."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from module.local.calls import Call, Refusal
from tests.delivery.rig import KEY, PART, Crowd, Starter, file_of, image, refuse

STATUS = grpc.StatusCode


async def test_forgotten_tokens_are_renewed_once_for_all(start: Starter, caplog: pytest.LogCaptureFixture) -> None:
    rig = await start(concurrency=8)
    await rig.append(image(0))
    await rig.flush()
    crowd, told = Crowd(wait_for=8), list[str]()

    async def forget(call: Call) -> None:
        await crowd(call)
        if len(told) < 8:
            told.append(call.metadata.component_name)
            raise Refusal(STATUS.UNAUTHENTICATED, "the token has expired")

    rig.cloud.judge = forget
    rig.cloud.token_lifetime_s = 3600
    await rig.append(*(image(n) for n in range(1, 41)))
    await rig.flush()
    assert (len(told), rig.cloud.authentications, rig.cloud.calls.total()) == (8, 2, 41 + 8)
    assert "machine is refused" not in caplog.text
    rig.cloud.forget_tokens()
    await rig.append(image(41))
    await rig.flush()
    assert rig.cloud.authentications == 3
    assert sorted(rig.images()) == list(range(42))
    assert (rig.store.failed, rig.status()["state"]) == (0, "idle")


async def test_short_lived_tokens_are_renewed_again_and_again(start: Starter) -> None:
    rig = await start(concurrency=2)
    rig.cloud.token_lifetime_s = 0.05
    for number in range(5):
        await rig.append(image(number))
        await rig.flush()
        await asyncio.sleep(0.06)
    assert rig.images() == list(range(5))
    assert rig.cloud.authentications >= 5


async def test_a_token_that_is_never_taken_is_a_refusal(start: Starter) -> None:
    rig = await start()
    rig.cloud.token_lifetime_s = 0
    await rig.append(*(image(n) for n in range(3)))
    await rig.settled("refused")
    assert "cloud.api_key" in rig.status()["last_error"]
    assert rig.cloud.authentications <= 3
    assert (rig.store.items, rig.store.failed) == (3, 0)


async def test_a_wrong_key_loses_nothing(start: Starter, caplog: pytest.LogCaptureFixture) -> None:
    """Nor away: neither the key nor a token is in any text."""
    wrong = "the-wrong-and-secret-key"
    caplog.set_level("INFO")
    rig = await start(api_key=wrong, retry_max_s=1000)
    await rig.append(*(image(n) for n in range(30)))
    await rig.settled("refused")
    status = rig.status()
    assert "UNAUTHENTICATED" in status["last_error"]
    assert 400 < status["next_attempt_in_s"] <= 1000
    assert (status["connected"], rig.store.items, rig.store.failed, rig.cloud.unauthenticated) == (False, 30, 0, 1)

    rig.cloud.api_keys = dict.fromkeys(rig.cloud.api_keys, wrong)
    await rig.flush()
    assert sorted(rig.images()) == list(range(30))
    told = caplog.text + str(status) + str(rig.status()) + repr(rig.config) + repr(rig.client)
    assert "uploads work again" in told
    assert not any(secret in told for secret in (wrong, KEY, *rig.cloud._tokens))


@pytest.mark.parametrize(
    ("status", "text"), [(STATUS.PERMISSION_DENIED, "not yours"), (STATUS.UNKNOWN, f"no robot part found for {PART}")]
)
async def test_who_is_not_let_in_asks_slowly_and_keeps_everything(
    start: Starter, status: grpc.StatusCode, text: str
) -> None:
    rig = await start(retry_max_s=1000)
    rig.cloud.judge = refuse(status, text)
    await rig.append(*(image(n) for n in range(30)))
    await rig.settled("refused")
    assert rig.status()["last_error"] == f"{status.name}: {text}"
    assert rig.status()["next_attempt_in_s"] > 400
    assert (rig.cloud.calls.total(), rig.store.items, rig.store.failed) == (1, 30, 0)

    rig.cloud.judge = None
    await rig.flush()
    assert sorted(rig.images()) == list(range(30))


async def test_a_part_that_does_not_exist_is_a_refusal(start: Starter) -> None:
    rig = await start(retry_max_s=100)
    rig.cloud.part_ids.clear()
    await rig.append(image(1))
    await rig.settled("refused")
    assert rig.cloud.calls.total() == 1


@pytest.mark.parametrize("concurrency", [1, 8])
async def test_one_capture_that_is_not_let_in_holds_nobody_up(start: Starter, concurrency: int) -> None:
    """It closes the way once; then others of its source go through, so it is known that only this one is refused."""
    rig = await start(concurrency=concurrency)

    async def refuse_one(call: Call) -> None:
        if int(call.first.sensor_contents[0].binary.split()[0]) == 0:
            raise Refusal(STATUS.PERMISSION_DENIED, "not your dataset")

    rig.cloud.judge = refuse_one
    await rig.append(*(image(n) for n in range(41)))
    await rig.until(lambda: len(rig.images()) == 40)
    tried = rig.cloud.calls.total()
    await rig.until(lambda: rig.cloud.calls.total() > tried + 2)
    assert rig.status()["connected"]
    assert (rig.store.items, rig.store.failed) == (1, 0)

    rig.cloud.judge = None
    await rig.flush()
    assert sorted(rig.images()) == list(range(41))


async def test_one_capture_that_is_not_let_in_while_others_are_closes_nothing(
    start: Starter, caplog: pytest.LogCaptureFixture
) -> None:
    rig = await start(concurrency=2, retry_max_s=300)
    refused: list[Call] = []

    async def refuse_once(call: Call) -> None:
        if call.metadata.component_name == "bad" and not refused:
            refused.append(call)
            seen = len(rig.delivered)
            await rig.until(lambda: len(rig.delivered) > seen)
            raise Refusal(STATUS.PERMISSION_DENIED, "not your dataset")

    await rig.append(image(0))
    await rig.flush()
    rig.cloud.judge = refuse_once
    await rig.append(image(1, "bad"), *(image(n) for n in range(2, 41)))
    await rig.until(lambda: rig.store.items == 0)
    assert sorted(rig.images()) == list(range(41))
    assert len(refused) == 1
    assert "machine is refused" not in caplog.text


async def test_a_source_that_is_not_let_in_holds_no_other_up(start: Starter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it has more captures, and of a higher priority, than are held back one by one."""
    monkeypatch.setattr("module.delivery.held_back.MOST_LOADS", 4)
    rig = await start(concurrency=1)
    rig.cloud.judge = refuse(STATUS.PERMISSION_DENIED, "not your dataset", source="bad")
    await rig.append(*(image(n, "bad", priority=9) for n in range(10)), image(10))
    await rig.until(lambda: rig.images() == [10])
    # Each of its later captures is new to the uploader; it closes nothing.
    for number in range(11, 20):
        tried = rig.cloud.calls.total()
        await rig.append(image(number, "bad", priority=9))
        await rig.until(lambda tried=tried: rig.cloud.calls.total() > tried)  # type: ignore[misc]
    assert rig.status()["connected"]
    await rig.append(image(20))
    await rig.until(lambda: rig.images() == [10, 20])
    assert rig.store.failed == 0

    rig.cloud.judge = None
    await rig.until(lambda: sorted(rig.images()) == list(range(21)))


async def test_a_key_that_is_revoked_while_uploads_run_is_noticed_by_them(start: Starter) -> None:
    """Uploads that saw others succeed may say nothing of the rest; those after them do."""
    rig = await start(concurrency=8, retry_max_s=100)

    async def revoke(_: Call) -> None:
        if rig.cloud.calls.total() > 30:
            raise Refusal(STATUS.PERMISSION_DENIED, "revoked")

    rig.cloud.judge = revoke
    await rig.append(*(image(n) for n in range(200)))
    await rig.settled("refused")
    # Each of the last eight that succeeded may excuse the uploads beside it, and then eight more are refused at most.
    assert rig.cloud.calls.total() <= 30 + 8 * 8
    assert (rig.store.items, rig.store.failed) == (200 - len(rig.images()), 0)
    rig.cloud.judge = None
    await rig.flush()
    assert sorted(rig.images()) == list(range(200))


async def test_files_that_are_gone_do_not_keep_a_machine_refused(start: Starter, tmp_path: Path) -> None:
    """They say nothing about the cloud, which lets this machine in again."""
    rig = await start(api_key="wrong", retry_max_s=100)
    gone = [file_of(tmp_path, 1) for _ in range(3)]
    (tmp_path / "big.bin").unlink()
    await rig.append(*gone, image(1))
    await rig.settled("refused")
    rig.cloud.api_keys = dict.fromkeys(rig.cloud.api_keys, "wrong")
    await rig.flush()
    assert (rig.images(), rig.store.failed, rig.status()["last_error"]) == ([1], 3, None)
