"""The machine around a module, with a small module of the SDK's own making as a real process."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from grpclib import GRPCError, Status
from viam.components.sensor import Sensor
from viam.components.sensor.client import SensorClient
from viam.proto.common import LogEntry

from module.local.viam_server import MachineError, ViamServer
from tests.process.rig import ROOT, Beside

MODULE = """
import asyncio, os, signal, subprocess, sys
from viam.components.sensor import Sensor
from viam.module.module import Module
from viam.resource.easy_resource import EasyResource
from viam.services.generic import Generic
from module.serving.module_server import ModuleServer

class Uploader(Generic, EasyResource):
    MODEL = "courier:capture:uploader"

    @classmethod
    def validate_config(cls, config):
        attributes = dict(config.attributes.items())
        if "broken" in attributes:
            raise ValueError("broken is not allowed")
        return list(attributes.get("required", [])), list(attributes.get("optional", []))

    @classmethod
    def new(cls, config, dependencies):
        self = super().new(config, dependencies)
        self.attributes = {key: value for key, value in config.attributes.items() if isinstance(value, str)}
        self.dependencies = {f"{n.namespace}:{n.type}:{n.subtype}/{n.name}": r for n, r in dependencies.items()}
        return self

    async def do_command(self, command, *, timeout=None, **kwargs):
        match command["command"]:
            case "echo":
                return command | {"nothing": None}
            case "describe":
                return {"dependencies": list(self.dependencies), "attributes": self.attributes, "cwd": os.getcwd(),
                        "arguments": sys.argv[1:], "environ": {k: v for k, v in os.environ.items() if "VIAM" in k}}
            case "read":
                return {name: await sensor.get_readings() for name, sensor in self.dependencies.items()}
            case "log":
                self.logger.warning("something is odd")
            case "die":
                os._exit(3)
            case "be stubborn":
                asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, print)
            case "have a child":
                return {"pid": subprocess.Popen(["sleep", "60"]).pid}
        return {}

class Health(Sensor, EasyResource):
    MODEL = "courier:capture:health"

    @classmethod
    def validate_config(cls, config):
        return [config.attributes["uploader"]], []

    @classmethod
    def new(cls, config, dependencies):
        self = super().new(config, dependencies)
        self.uploader, = dependencies.values()
        return self

    async def get_readings(self, **kwargs):
        return await self.uploader.do_command({"command": "echo", "healthy": True})

async def serve():
    module = Module.from_args()
    # The SDK's own server does not end on SIGTERM under Python 3.12 and later.
    module.server = ModuleServer(module)
    await module.start()

print("hello from the module")
asyncio.run(serve())
"""


class Thermometer(Sensor):
    """A sensor that reads the same for ever."""

    async def get_readings(self, **_: Any) -> Mapping[str, Any]:
        """Give a temperature."""
        return {"celsius": 21.5}


Start = Callable[..., ViamServer]


@pytest.fixture
async def machine_with(tmp_path: Path) -> AsyncIterator[Start]:
    """Make machines whose module is a script, and close them in the end."""
    machines: list[ViamServer] = []

    def make(*resources: Sensor, script: str = MODULE, **options: Any) -> ViamServer:
        (tmp_path / "small.py").write_text(f"import sys\nsys.path.append({str(ROOT)!r})\n{script}")
        command = [sys.executable, "small.py"]
        places = {"home": tmp_path / "home", "root": tmp_path, "log_file": tmp_path / "logs" / "module.log"}
        machines.append(ViamServer(resources, command, **(places | options)))
        return machines[-1]

    yield make
    for machine in machines:
        await machine.close()


@pytest.fixture
async def machine(machine_with: Start) -> ViamServer:
    machine = machine_with(Thermometer("attic"), part_id="part", api_key_id="key-id", api_key="key")
    await machine.start()
    return machine


async def test_a_command_reaches_the_service(machine: ViamServer, tmp_path: Path) -> None:
    await machine.add_resource("uploader", {})
    answer = await machine.do_command("uploader", {"command": "echo", "nested": {"list": [1, "a", True]}})
    assert answer == {"command": "echo", "nested": {"list": [1, "a", True]}, "nothing": None}
    assert "hello from the module" in (tmp_path / "logs/module.log").read_text()


async def test_the_process_is_started_as_viam_server_does(machine: ViamServer, tmp_path: Path) -> None:
    await machine.add_resource("uploader", {"greeting": "hi"})
    told = await machine.do_command("uploader", {"command": "describe"})
    socket, level = told["arguments"]
    assert level == "--log-level=info"
    assert len(socket) < 100
    assert (told["cwd"], told["attributes"]) == (str(tmp_path), {"greeting": "hi"})
    assert told["environ"] == {
        "VIAM_HOME": str(tmp_path / "home"),
        "VIAM_MODULE_DATA": str(machine.module_data),
        "VIAM_MODULE_NAME": "capture-courier",
        "VIAM_MODULE_ROOT": str(tmp_path),
        "VIAM_MODULE_ADDRESS": socket,
        "VIAM_MACHINE_PART_ID": "part",
        "VIAM_API_KEY_ID": "key-id",
        "VIAM_API_KEY": "key",
    }
    assert machine.module_data == tmp_path / "home/module-data/part/capture-courier"
    assert machine.module_data.is_dir()


async def test_without_credentials_none_are_given(machine_with: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even those that stand in the environment of the machine itself."""
    monkeypatch.setenv("VIAM_API_KEY", "of another machine")
    async with machine_with(environ={"OTHER_VIAM": "x"}) as machine:
        await machine.add_resource("uploader", {})
        environ = (await machine.do_command("uploader", {"command": "describe"}))["environ"]
    assert not [name for name in environ if "KEY" in name or "PART" in name]
    assert environ["OTHER_VIAM"] == "x"
    assert machine.module_data.parent.name == "local"


async def test_dependencies_are_resolved_to_full_names(machine: ViamServer) -> None:
    """Whether named in full or bare; what is optional may be missing."""
    full = "rdk:component:sensor/attic"
    for attributes in ({"required": ["attic"]}, {"required": [full]}, {"optional": ["cellar", "attic", full]}):
        await machine.add_resource("uploader", attributes)
        assert await machine.do_command("uploader", {"command": "read"}) == {full: {"celsius": 21.5}}
        await machine.remove_resource("uploader")


async def test_a_missing_required_dependency_is_refused(machine: ViamServer) -> None:
    with pytest.raises(MachineError, match="uploader: the required dependency 'cellar' does not exist"):
        await machine.add_resource("uploader", {"required": ["cellar"]})
    with pytest.raises(GRPCError):
        await machine.do_command("uploader", {"command": "echo"})


async def test_a_module_s_resource_can_depend_on_another(machine: ViamServer) -> None:
    """Through the machine, which serves what the module has."""
    await machine.add_resource("uploader", {})
    await machine.add_resource(
        "health", {"uploader": "uploader"}, model="courier:capture:health", api="rdk:component:sensor"
    )
    health = SensorClient("health", machine.channel)
    assert (await health.get_readings())["healthy"] is True


async def test_invalid_attributes_are_the_module_s_error(machine: ViamServer) -> None:
    assert await machine.validate("uploader", {"required": ["a"], "optional": ["b"]}) == (["a"], ["b"])
    with pytest.raises(GRPCError, match="broken is not allowed") as refused:
        await machine.add_resource("uploader", {"broken": True})
    assert refused.value.status is Status.INVALID_ARGUMENT


async def test_resources_come_and_go(machine: ViamServer) -> None:
    """A reconfiguration hands the module what has appeared, or takes from it what has vanished."""

    async def dependencies() -> list[str]:
        return list((await machine.do_command("uploader", {"command": "describe"}))["dependencies"])

    await machine.add_resource("uploader", {"optional": ["attic", "cellar"]})
    assert await dependencies() == ["rdk:component:sensor/attic"]

    cellar = Thermometer("cellar")
    machine.add(cellar)
    await machine.reconfigure_resource("uploader")
    assert await dependencies() == ["rdk:component:sensor/attic", "rdk:component:sensor/cellar"]

    await machine.remove(cellar)
    with pytest.raises(GRPCError):
        await machine.do_command("uploader", {"command": "read"})
    await machine.reconfigure_resource("uploader", {"optional": ["cellar"], "greeting": "new"})
    assert await dependencies() == []
    await machine.restart()
    assert (await machine.do_command("uploader", {"command": "describe"}))["attributes"] == {"greeting": "new"}


async def test_the_module_s_logs_reach_the_machine(machine_with: Start) -> None:
    arrived = asyncio.Event()

    def on_log(entry: LogEntry) -> None:
        if "something is odd" in entry.message:
            arrived.set()

    async with machine_with(on_log=on_log) as machine:
        await machine.add_resource("uploader", {})
        await machine.do_command("uploader", {"command": "log"})
        async with asyncio.timeout(30):
            await arrived.wait()
    entry = next(entry for entry in machine.logs if "something is odd" in entry.message)
    assert entry.level == "WARNING"


async def test_terminate_lets_the_module_end(machine: ViamServer) -> None:
    await machine.add_resource("uploader", {})
    async with Beside() as beside:
        exited = await machine.terminate()
    assert exited is not None
    assert exited.code == 0
    assert exited.seconds < 5 + beside.late_s
    assert not machine.running
    assert await machine.terminate() is None
    with pytest.raises(MachineError, match="not running"):
        await machine.do_command("uploader", {"command": "echo"})


async def test_terminate_kills_what_does_not_end(machine: ViamServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("module.local.viam_server._EXIT_S", 0.2)
    await machine.add_resource("uploader", {})
    await machine.do_command("uploader", {"command": "be stubborn"})
    exited = await machine.terminate()
    assert exited is not None
    assert exited.code == -9
    assert exited.seconds >= 0.2


async def test_kill_ends_the_process_and_its_children(machine: ViamServer) -> None:
    await machine.add_resource("uploader", {})
    child = int((await machine.do_command("uploader", {"command": "have a child"}))["pid"])
    pid = machine.pid
    exited = await machine.kill()
    assert exited is not None
    assert exited.code == -9
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert await asyncio.to_thread(gone, child)


def gone(pid: int) -> bool:
    """Whether a process is gone, or a zombie that its new parent has not yet noticed, within thirty seconds."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize("end", ["kill", "die", "nothing"])
async def test_a_restart_adds_what_was_there(machine: ViamServer, end: str) -> None:
    """Whether the module was killed, ended by itself, or still runs; the dependencies are resolved again."""
    await machine.add_resource("uploader", {"optional": ["attic", "cellar"]})
    pid = machine.pid
    if end == "kill":
        await machine.kill()
    elif end == "die":
        with pytest.raises(Exception, match=r"lost|terminated"):
            await machine.do_command("uploader", {"command": "die"})
    machine.add(Thermometer("cellar"))

    await machine.restart()
    assert machine.pid != pid
    answer = await machine.do_command("uploader", {"command": "read"})
    assert set(answer) == {"rdk:component:sensor/attic", "rdk:component:sensor/cellar"}


async def test_a_module_that_ends_at_once_is_reported_with_the_end_of_its_log(machine_with: Start) -> None:
    machine = machine_with(script="import sys; print('no luck', file=sys.stderr); sys.exit(7)")
    with pytest.raises(MachineError, match=r"status 7 before it was ready.*\nno luck"):
        await machine.start()
    assert not machine.running


async def test_a_module_that_is_never_ready_is_killed(machine_with: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("module.local.viam_server._START_S", 0.3)
    # It is killed at once, not after the time that others have to end.
    monkeypatch.setattr("module.local.viam_server._EXIT_S", 300.0)
    machine = machine_with(script="import signal, time; signal.signal(signal.SIGTERM, print); time.sleep(60)")
    async with asyncio.timeout(30):
        with pytest.raises(MachineError, match=r"not ready within 0.3 s; it printed nothing"):
            await machine.start()
    assert not machine.running


async def test_a_command_that_cannot_be_run_leaves_nothing(tmp_path: Path) -> None:
    machine = ViamServer([], ["./missing"], home=tmp_path, root=tmp_path, log_file=tmp_path / "log")
    with pytest.raises(FileNotFoundError):
        await machine.start()
    assert not machine.running


async def test_closing_what_never_started_touches_nothing(
    machine_with: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Nor does closing twice."""
    monkeypatch.chdir(tmp_path)
    machine = machine_with()
    await machine.close()
    await machine.close()
    assert await machine.kill() is None
    with pytest.raises(MachineError, match="not running"):
        machine.add(Thermometer("attic"))
    assert (tmp_path / "small.py").exists()


async def test_sockets_are_short_wherever_temporary_files_go(
    machine_with: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A unix socket's path has at most 107 characters."""
    deep = tmp_path.joinpath(*("deep" for _ in range(30)))
    deep.mkdir(parents=True)
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    async with machine_with() as machine:
        await machine.add_resource("uploader", {})
        told = await machine.do_command("uploader", {"command": "describe"})
    socket = Path(told["arguments"][0])
    assert len(str(socket)) < 60
    assert not socket.parent.exists()


async def test_secrets_do_not_show(machine: ViamServer) -> None:
    assert "key" not in repr(machine)
