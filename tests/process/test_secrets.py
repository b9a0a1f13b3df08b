"""No secret is anywhere that it need not be, through a real module process."""

from __future__ import annotations

import base64
from pathlib import Path

import grpc
import pytest
from grpclib import GRPCError

from module.local.calls import Call, Refusal
from tests.process.rig import KEY, CountingSensor, Starter


async def test_no_secret_is_anywhere(start: Starter, tmp_path: Path) -> None:
    """At debug level, through errors of all kinds, of a cloud that quotes what it was given."""
    tokens: set[str] = set()
    sensor = CountingSensor("s1", fail=lambda n: RuntimeError("worn out") if n % 5 == 0 else None)
    rig = await start(sensor, log_level="debug")
    answers: list[str] = []

    async def refuse(status: grpc.StatusCode) -> None:
        async def judge(_: Call) -> None:
            token = list(rig.cloud._tokens)[-1]
            tokens.add(token)
            raise Refusal(status, f"no {KEY} with {token}")

        rig.cloud.judge = judge
        polls = rig.cloud.calls.total()
        answers.append(str(await rig.command("upload_data", text="x", file_name="x", wait="uploaded", timeout_s=1)))
        await rig.cloud.wait_for(lambda: rig.cloud.calls.total() > polls, 10)
        answers.append(str(await rig.status()))

    for wrong in (
        {"api_kye": KEY},
        {"api_key": [KEY]},
        {"address": f"https://{KEY}@x"},
        {"address": f"https://x?{KEY}"},
    ):
        with pytest.raises(GRPCError) as refusal:
            await rig.configure(cloud=wrong)
        answers.append(str(refusal.value))
    await rig.configure(sources=[{"name": "s1", "interval_s": 0.05}])
    await rig.until(lambda status: status["upload"]["uploaded_items"] > 0)
    await refuse(grpc.StatusCode.INVALID_ARGUMENT)
    await refuse(grpc.StatusCode.UNAVAILABLE)
    await refuse(grpc.StatusCode.UNAUTHENTICATED)
    await refuse(grpc.StatusCode.INTERNAL)
    rig.cloud.judge = None
    rig.cloud.forget_tokens()
    await rig.until(lambda status: status["upload"]["state"] in ("idle", "uploading"))
    tokens.update(rig.cloud._tokens)
    answers += [str(await rig.command("failures")), str(await rig.status()), str(await rig.command("help"))]
    answers.append(Path(f"/proc/{rig.server.pid}/cmdline").read_text())
    await rig.server.kill()
    rig.cloud.api_keys.clear()
    await rig.server.restart()
    await rig.until(lambda status: status["upload"]["state"] == "refused")
    answers.append(str(await rig.status()))
    await rig.server.terminate()

    assert len(tokens) > 1
    places = {"answers": "\n".join(answers).encode(), "log": rig.printed().encode()}
    places |= {str(path): path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file()}
    assert any(name.endswith("spool.sqlite3") for name in places)
    # A part of a secret is a secret too.
    given = {KEY[:9], base64.b64encode(KEY.encode()).decode()[:12], *(token[:9] for token in tokens)}
    assert [(place, secret) for place, text in places.items() for secret in given if secret.encode() in text] == []


async def test_no_part_of_a_secret_is_left_where_a_long_text_is_cut(start: Starter) -> None:
    rig = await start(sources=[])
    answers = []
    for length in range(440, 500, 6):

        async def reject(_: Call, length: int = length) -> None:
            raise Refusal(grpc.StatusCode.INVALID_ARGUMENT, "x" * length + KEY)

        rig.cloud.judge = reject
        answers.append((await rig.command("upload_data", text="x", file_name="x", wait="uploaded"))["error"])
    assert [answer for answer in answers if KEY[:5] in answer] == []


async def test_nothing_listens_but_the_socket_of_the_machine(start: Starter) -> None:
    rig = await start(CountingSensor("s1"), sources=[{"name": "s1", "interval_s": 0.05}])
    await rig.until(lambda status: status["upload"]["uploaded_items"] > 0)
    process = Path(f"/proc/{rig.server.pid}")
    sockets = {str(link.readlink()) for link in (process / "fd").iterdir() if link.is_symlink()}
    lines = [line.split() for name in ("tcp", "tcp6", "udp", "udp6") for line in _table(process / "net" / name)]
    own = [line for line in lines if f"socket:[{line[9]}]" in sockets]
    established, remote = "01", 2
    assert own
    assert {(line[3], line[remote].endswith(":0000")) for line in own} == {(established, False)}


def _table(path: Path) -> list[str]:
    return path.read_text().splitlines()[1:] if path.exists() else []
