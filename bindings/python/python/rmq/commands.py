"""The commands that come with the package: mqnamesrv, mqbroker, mqshutdown, mqadmin.

They take the options of Apache's scripts and run the servers of this package in their process, with
Apache's defaults: all addresses, ports 9876 and 10911, ``$HOME/store``. The log goes to standard
error, for whoever runs the process to keep.
"""

import argparse
import json
import logging
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import rmq
from rmq import _rmq

_PATIENCE_S = 60.0


def _say(line: str) -> None:
    try:
        print(line, flush=True)
    except BrokenPipeError:
        pass


def _options(name: str, about: str, broker: bool) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=name, description=about)
    parser.add_argument("--version", action="version", version=f"{name} {rmq.version()}")
    parser.add_argument(
        "-c", "--configFile", dest="file", help="configuration file in Java's properties format"
    )
    parser.add_argument(
        "-n", "--namesrvAddr", dest="namesrv", help="nameservers, host:port separated by semicolons"
    )
    parser.add_argument(
        "-p", "--printConfigItem", dest="items", action="store_true", help="print the configuration"
    )
    if broker:
        parser.add_argument(
            "-m",
            "--printImportantConfig",
            dest="important",
            action="store_true",
            help="print the important items of the configuration",
        )
    return parser


def _raise_open_files() -> None:
    try:
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass


def _until_signal() -> Callable[[], None]:
    """Notes signals that end a server from now on; what is answered waits for one.

    One that whoever started the command has ignored (nohup) stays ignored.
    """
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, lambda *_: stopped.set())

    def wait() -> None:
        stopped.wait()

    return wait


def _name_process(name: str) -> None:
    """Has the process listed under the command's name, by which mqshutdown finds it."""
    try:
        Path("/proc/self/comm").write_text(name)
    except OSError:
        pass


def _serve(name: str, given: argparse.Namespace, keys: dict[str, str]) -> None:
    broker = name == "mqbroker"
    items, warnings, stop_s = _rmq.standalone_items(broker, keys, given.file, given.important)
    for warning in warnings:
        print(f"{name}: {warning}", file=sys.stderr)
    if given.items or given.important:
        for key, value in items:
            _say(f"{key}={value}")
        return
    _raise_open_files()
    _name_process(name)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("rmq").setLevel(logging.INFO)
    rmq.enable_logging()
    wait = _until_signal()
    if broker:
        server = _rmq.NativeBroker.start(keys, given.file, None, None, True)
        namesrv = dict(items).get("namesrvAddr", "")
        suffix = f" and name server is {namesrv}" if namesrv else ""
        boot = f"The broker[{server.name}, {server.address}] boot success. serializeType=JSON"
        _say(boot + suffix)
    else:
        server = _rmq.NativeNameServer.start(keys, given.file, None, True)
        boot = "The Name Server boot success. serializeType=JSON, address"
        _say(f"{boot} {server.address}")
    wait()
    server.close(float(max(1, stop_s)))


def _ended(name: str, run: Callable[[], None]) -> int:
    try:
        run()
    except (rmq.RmqError, OSError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


def mqnamesrv(arguments: list[str] | None = None) -> int:
    """A RocketMQ nameserver."""
    parser = _options("mqnamesrv", "A RocketMQ nameserver.", False)
    given = parser.parse_args(arguments)
    given.important = False
    return _ended("mqnamesrv", lambda: _serve("mqnamesrv", given, {}))


def mqbroker(arguments: list[str] | None = None) -> int:
    """A RocketMQ broker."""
    given = _options("mqbroker", "A RocketMQ broker.", True).parse_args(arguments)
    keys = {}
    if given.file:
        keys["brokerConfigPath"] = given.file
    if given.namesrv:
        keys["namesrvAddr"] = given.namesrv
    return _ended("mqbroker", lambda: _serve("mqbroker", given, keys))


def _running(command: str) -> Iterator[int]:
    """Processes of this user, in this view of the network, that run a command."""
    own_network = os.readlink("/proc/self/ns/net")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            image = Path(os.readlink(process / "exe")).name.removesuffix(" (deleted)")
            same_network = os.readlink(process / "ns/net") == own_network
            own = os.getuid() in (0, process.stat().st_uid)
            names = (image, (process / "comm").read_text().strip())
        except OSError:
            continue
        if same_network and own and command in names and int(process.name) != os.getpid():
            yield int(process.name)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][:1]
    except OSError:
        return False
    return state not in ("Z", "X")


def mqshutdown(arguments: list[str] | None = None) -> int:
    """Stops the servers of this host: sends SIGTERM and waits until they are gone."""
    parser = argparse.ArgumentParser(prog="mqshutdown", description=mqshutdown.__doc__)
    parser.add_argument("--version", action="version", version=f"mqshutdown {rmq.version()}")
    parser.add_argument("kind", choices=["broker", "namesrv"])
    command = f"mq{parser.parse_args(arguments).kind}"
    running = sorted(_running(command))
    if not running:
        _say(f"No {command} running.")
        return 1
    gone = True
    for pid in running:
        _say(f"The {command}({pid}) is running...")
        try:
            os.kill(pid, signal.SIGTERM)
        except OSError as error:
            print(f"mqshutdown: {command}({pid}): {error}", file=sys.stderr)
            gone = False
            continue
        _say(f"Send shutdown request to {command}({pid}) OK")
        until = time.monotonic() + _PATIENCE_S
        while _is_alive(pid) and time.monotonic() < until:
            time.sleep(0.02)
        if _is_alive(pid):
            print(f"mqshutdown: process {pid} is still there", file=sys.stderr)
            gone = False
    return 0 if gone else 1


# Options of Apache's mqadmin that mean the same for every command.
_SHORT = {
    "b": "brokerAddr",
    "c": "clusterName",
    "g": "group",
    "k": "key",
    "r": "readQueueNums",
    "t": "topic",
    "w": "writeQueueNums",
}


def _admin_arguments(texts: list[str]) -> tuple[str, dict[str, str]]:
    """The nameservers, and the other options by their long names."""
    namesrv, found = os.environ.get("NAMESRV_ADDR", ""), {}
    left = iter(texts)
    for text in left:
        name, equals, value = text.lstrip("-").partition("=")
        if not text.startswith("-"):
            raise rmq.InvalidError(f"{text} is no option")
        if not equals:
            value = next(left, "")
        if name in ("n", "namesrvAddr"):
            namesrv = value
        else:
            found[_SHORT.get(name, name)] = value
    return namesrv, found


def mqadmin(arguments: list[str] | None = None) -> int:
    """Looks at a cluster and changes it."""
    given = sys.argv[1:] if arguments is None else arguments
    if not given or given[0] in ("-h", "--help", "help"):
        print("usage: mqadmin COMMAND [-n NAMESRV] [--option value ...]", end="\n\n")
        with rmq.Admin("127.0.0.1:1") as admin:
            for command in admin.invoke("help"):
                print(f"  {command['name']:24} {command['takes']}")
        return 0
    if given[0] == "--version":
        print(f"mqadmin {rmq.version()}")
        return 0

    def run() -> None:
        namesrv, options = _admin_arguments(given[1:])
        with rmq.Admin(namesrv) as admin:
            _say(json.dumps(admin.invoke(given[0], options), indent=2, ensure_ascii=False))

    return _ended("mqadmin", run)
