# SPDX-License-Identifier: BSD-2-Clause
"""Running the daemon: command line, configuration, signals, log and syslog, and what it must not touch."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from lib.api import Api
from lib.cloudshark_server import hang
from lib.daemon import PRIVATE_RUN, PROGRAM, Daemon, is_sanitized, parse_line, private_syslog
from lib.redis_server import RedisServer
from lib.waiting import seconds, until

TOKEN = "0badc0de0badc0de0badc0de"
PASSWORD = "correct-horse-battery"

ORIGINAL = """
[general]
maxpackets  = 50000
writelocal  = false
localdir    = "/tmp"
snaplength  = 500
[cloudshark]
host        = "cloudshark.org"
scheme      = "https"
port        = 443
token       = "fffffffffffffffffff"
upload      = true
[redis]
host        = "node.running.redis.net"
port        = 6379
channel     = "capture"
# consult /usr/include/sys/syslog.h for Priority
[syslog]
priority    = 85
tag         = "pcapdaemon"
[[interface]]
name        = "eth0"
alias       = ["main", "public"]
[[interface]]
name        = "lo"
alias       = ["local"]
"""


def run(*arguments, **options):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL,
                          **options)


def check(tmp_path, text):
    path = tmp_path / "pcapdaemon.toml"
    path.write_text(text)
    return run("-check", "-config", path)


# --- command line ---

@pytest.mark.parametrize("option", ["-help", "--help"])
def test_help_names_every_option_of_the_contract(option):
    result = run(option)
    assert result.returncode == 0
    for name in ("cshost", "csscheme", "csport", "cstoken", "cstimeout", "redisnode", "redisport", "redischannel", "upload",
                 "writelocal", "destdir", "maxpackets", "config", "node", "loglevel", "check", "version", "help"):
        assert re.search(rf"-{name}\b", result.stdout), name


@pytest.mark.parametrize("option", ["-help", "-version", "-check"])
def test_output_that_cannot_be_written_is_a_failure(option):
    with open("/dev/full", "w") as full:
        result = subprocess.run([PROGRAM, option], stdout=full, stderr=subprocess.PIPE, text=True, timeout=seconds(20))
    assert result.returncode == 1 and "No space left on device" in result.stderr


def test_version_is_printed():
    result = run("-version")
    assert result.returncode == 0 and re.search(r"pcapdaemon.*\d+\.\d+", result.stdout)


@pytest.mark.parametrize("arguments, expected", [
    (["-frobnicate"], "frobnicate"), (["--redisnod", "x"], "redisnode"), (["-redisport", "x"], "redisport"),
    (["-redisport", "70000"], "redisport"), (["-maxpackets=-1"], "maxpackets"), (["-config"], "config"),
    (["-config", "/nonexistent/x.toml"], "/nonexistent/x.toml"), (["-upload=perhaps"], "upload"), (["surplus"], "argument 1"),
    (["-csscheme", "gopher"], "csscheme"), (["-loglevel", "debgu"], 'did you mean "debug"'),
    (["-loglevel=debug:captrue"], 'did you mean "capture"'),
])
def test_invalid_usage_exits_2_with_a_reason(arguments, expected):
    result = run(*arguments)
    assert result.returncode == 2, result
    assert expected in result.stderr and not result.stdout.strip()


def test_options_take_one_or_two_dashes_with_or_without_equals(tmp_path):
    for arguments in (["-node", "n1", "-redisport", "1234"], ["--node=n1", "--redisport=1234"], ["-node=n1", "--redisport", "1234"],
                      ["-writelocal", "-destdir", tmp_path], ["-writelocal=true", f"-destdir={tmp_path}"], ["-upload=false"]):
        result = run("-check", *arguments)
        assert result.returncode == 0, (arguments, result.stderr)


def test_check_accepts_the_configuration_of_the_original_program(tmp_path):
    result = check(tmp_path, ORIGINAL)
    assert result.returncode == 0, result.stderr


def test_check_explains_the_missing_quotes_of_the_originals_tag(tmp_path):
    result = check(tmp_path, ORIGINAL.replace('"pcapdaemon"', "pcapdaemon"))
    line = 1 + ORIGINAL.splitlines().index('tag         = "pcapdaemon"')
    assert result.returncode == 2
    assert re.search(rf"pcapdaemon\.toml:{line}:\d+:.*tag", result.stderr) and "quot" in result.stderr


@pytest.mark.parametrize("text, line, expected", [
    ("[general]\nmaxpacket = 5\n", 2, "maxpackets"), ("[genral]\n", 1, "general"), ("[general]\nmaxpackets = \"x\"\n", 2, "maxpackets"),
    ("[general]\nmaxpackets = -5\n", 2, "maxpackets"), ("[general]\nformat = \"snoop\"\n", 2, "format"),
    ("[redis]\nport = 123456\n", 2, "port"), ("[limits]\nmemory = \"64 parsecs\"\n", 2, "memory"), ("[general\n", 1, ""),
    ("[[interface]]\nalias = [\"x\"]\n", 1, "name"), ("[general]\nnode = \"a\"\nnode = \"b\"\n", 3, "node"),
])
def test_check_names_file_line_column_and_key(tmp_path, text, line, expected):
    result = check(tmp_path, text)
    assert result.returncode == 2, result
    assert re.search(rf"pcapdaemon\.toml:{line}:\d+:", result.stderr), result.stderr
    assert expected in result.stderr


def test_check_compiles_the_retention_filter(tmp_path):
    result = check(tmp_path, '[history]\ninterfaces = ["eth0"]\nfilter = "port 53 and and"\n')
    assert result.returncode == 2 and re.search(r":3:\d+: history\.filter: .*syntax error", result.stderr), result
    assert check(tmp_path, '[history]\ninterfaces = ["eth0"]\nfilter = "port 53"\n').returncode == 0


def test_check_reports_every_fault_in_one_run(tmp_path):
    result = check(tmp_path, "[general]\nmaxpacket = 5\nformat = \"x\"\n[redis]\nport = 0.5\n")
    assert result.returncode == 2
    for line in (2, 3, 5):
        assert f"pcapdaemon.toml:{line}:" in result.stderr


def test_invalid_configuration_exits_2(tmp_path):
    path = tmp_path / "pcapdaemon.toml"
    path.write_text("[general]\nmaxpacket = 5\n")
    assert run("-config", path).returncode == 2


def test_command_line_overrides_the_file(make_world):
    world = make_world({"general": {"maxpackets": 100}}, arguments=["-maxpackets", "3", "-node", "other-name"])
    request = world.capture(node="other-name", timeout=20)
    world.sender.send(10, rate=1000)
    assert request.done()["packets"] == 3


# --- start and end ---

def test_sigterm_without_captures_exits_0_at_once(make_world):
    world = make_world()
    began = time.monotonic()
    assert world.daemon.stop() == 0 and time.monotonic() - began < seconds(8), "the daemon waits for the grace time"


ENDING = ["TERM", "INT", "QUIT", "USR2", "ALRM", "VTALRM", "PROF", "STKFLT", "IO", "PWR", "XCPU", "RTMIN", "RTMAX"]


@pytest.mark.parametrize("number", [getattr(signal, f"SIG{name}") for name in ENDING], ids=ENDING)
def test_signal_delivers_what_captures_have_and_exits_0(make_world, number):
    world = make_world()
    requests = [world.capture(packets=1000, timeout=60) for _ in range(3)]
    empty = world.capture(packets=10, timeout=60, bpf="udp dst port 53")
    world.sender.send(20, rate=1000)
    world.daemon.signal(number)
    assert world.daemon.wait_exit() == 0
    for request in requests:
        done = request.done()
        assert (done["reason"], done["packets"]) == ("shutdown", 20)
        world.file(request).assert_numbers(0, 20)
    assert empty.done()["packets"] == 0


def test_sighup_is_logged_and_captures_go_on(make_world):
    world = make_world()
    request = world.capture(packets=20, timeout=60)
    world.daemon.signal(signal.SIGHUP)
    world.daemon.wait_log("signal-ignored", signal="Hangup")
    world.sender.send(20, rate=1000)
    done = request.done()
    assert (done["reason"], done["packets"]) == ("packets", 20)


def test_shutdown_finishes_uploads(make_world):
    world = make_world({"general": {"writelocal": False, "localdir": None}}, cloudshark={"token": TOKEN})
    request = world.capture(packets=1000, timeout=60)
    world.sender.send(20, rate=1000)
    assert world.daemon.stop() == 0
    assert request.done()["destinations"][0]["ok"] is True and world.receiver.of(request.id)


@pytest.mark.parametrize("grace", [True, False], ids=["grace time", "second signal"])
def test_shutdown_does_not_wait_forever_for_a_hanging_receiver(make_world, grace):
    """The final event still reports the outcome."""
    world = make_world(cloudshark={"token": TOKEN, "behaviour": hang()})
    request = world.capture(packets=5, timeout=60)
    world.sender.send(5, rate=1000)
    request.captured()
    world.wait_file(request)
    assert world.daemon.stop(timeout=40, grace=grace) == 0
    final = request.final()
    assert {d["name"]: d["ok"] for d in final["destinations"]} == {"local": True, "cloudshark": False}


def test_daemon_can_be_restarted_repeatedly(make_world):
    world = make_world()
    for _ in range(3):
        world.restart_daemon()
    world.assert_works()


def test_missing_capture_permission_is_reported_at_once(netns, tmp_path):
    with Daemon(tmp_path, netns=netns("bare"), wrapper=[*PRIVATE_RUN, "setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw"]) as daemon:
        daemon.start(subscribed=False)
        assert "CAP_NET_RAW" in daemon.wait_log("cannot-capture").fields["error"]
        assert daemon.stop() == 0


def test_daemon_started_with_closed_descriptors_keeps_them_apart(netns, tmp_path):
    """Else a pipe of its own becomes descriptor 2, takes its own log lines, and the daemon spins."""
    path = str(tmp_path / "control.sock")
    with Daemon(tmp_path, {"redis": {"listen": False}, "api": {"socket": path}}, netns=netns("host"),
                wrapper=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]) as daemon:
        daemon.launch()
        until(Api(path).answers, 20, "the control socket")
        assert [os.readlink(f"/proc/{daemon.pid}/fd/{number}") for number in range(3)] == ["/dev/null"] * 3
        assert daemon.stop() == 0


@pytest.mark.parametrize("arguments", [[], ["-node", "edge7"], ["-loglevel", "debug"]])
def test_unconfigured_daemon_uses_no_redis(netns, tmp_path, arguments):
    """Any local user could have started the one on the default port."""
    with RedisServer(tmp_path, netns("bare")) as squatter:
        with Daemon(tmp_path, netns=squatter.netns, wrapper=PRIVATE_RUN, arguments=arguments) as daemon:
            daemon.start(subscribed=False)
            Api(f"/proc/{daemon.pid}/root/run/pcapdaemon/control.sock").get("/healthz", ready=1).expect(200)
            assert daemon.stop() == 0
            assert not [line for line in daemon.log() if "redis" in line.text], daemon.text()
        with squatter.client() as client:
            assert not {"cmdstat_subscribe", "cmdstat_publish", "cmdstat_set"} & set(client.info("commandstats"))


def test_any_other_option_brings_the_default_redis_with_one_warning(netns, tmp_path):
    with RedisServer(tmp_path, netns("bare")) as redis:
        with Daemon(tmp_path, netns=redis.netns, wrapper=PRIVATE_RUN, arguments=["-maxpackets", "10"]) as daemon:
            daemon.start()
            assert [line.fields["port"] for line in daemon.log("redis-unauthenticated")] == ["6379"]
            with redis.client() as client:
                assert "cmdstat_subscribe" in client.info("commandstats")
            assert not daemon.log("redis-password-in-clear")
            assert daemon.stop() == 0


def test_configured_daemon_runs_without_redis(netns, tmp_path):
    """It logs the missing Redis only once."""
    with Daemon(tmp_path, netns=netns("bare"), wrapper=PRIVATE_RUN, arguments=["-maxpackets", "10", "-loglevel", "debug:redis"]) as daemon:
        daemon.start(subscribed=False)
        daemon.wait_lines(lambda line: line.id == "redis-waiting", 6, what="several attempts")
        assert len(daemon.log("redis-down")) <= 3 and {" info " in line.text for line in daemon.log("redis-down")} == {True}, daemon.text()
        assert daemon.stop() == 0


def test_password_over_plain_tcp_is_warned_of(make_world):
    world = make_world({"redis": {"auth": PASSWORD}}, redis={"password": PASSWORD})
    warned = [line for line in world.daemon.log() if line.id in ("redis-password-in-clear", "redis-unauthenticated")]
    assert [line.id for line in warned] == ["redis-password-in-clear"] and PASSWORD not in warned[0].text


def test_log_lines_have_an_id_and_fields(make_world):
    world = make_world()
    world.assert_works()
    assert [line.text for line in world.daemon.log() if not line.id] == []


def test_debug_messages_are_logged_only_for_the_chosen_areas(make_world):
    """They contain no secrets."""
    world = make_world({"log": {"level": "debug:capture,sink,api"}}, cloudshark={"token": TOKEN})
    world.assert_works()
    world.api.get("/v1/status").expect(200)
    for line_id in "ring-mapped", "consumer-started", "consumer-ended", "delivery-attempt", "api-request":
        world.daemon.wait_log(line_id)
    debug = [line for line in world.daemon.log() if " debug " in line.text]
    assert {line.fields["area"] for line in debug} == {"capture", "sink", "api"}
    assert TOKEN not in world.daemon.text()


def test_log_level_drops_what_is_less_severe(make_world):
    world = make_world({"log": {"level": "error"}}, redis=False, start=False)
    world.daemon.launch()
    until(lambda: os.path.exists(os.path.join(world.root, "control.sock")), 15, "the control socket")
    assert world.daemon.stop() == 0
    assert not world.daemon.log(), world.daemon.text()


# --- daemonize, syslog ---

def test_original_command_line_with_daemonize_works(make_world, tmp_path):
    world = make_world(start=False)
    command = world.daemon.command()  # also writes the configuration
    config = command[command.index("-config") + 1]
    pid_file, out, err = tmp_path / "pid", tmp_path / "out", tmp_path / "err"
    subprocess.run(world.host.command("daemonize", "-o", out, "-e", err, "-p", pid_file, PROGRAM, "-config", config), check=True,
                   timeout=20)
    pid = int(until(lambda: pid_file.exists() and pid_file.read_text().strip(), 10, "the pid file"))
    try:
        until(lambda: {"ready", "subscribed"} <= {parse_line(line).id for line in err.read_text().splitlines()}, 15,
              "the daemon to be ready", interval=0.02)
        world.assert_works()
        assert out.read_text() == ""
    finally:
        os.kill(pid, signal.SIGTERM)
        until(lambda: not os.path.exists(f"/proc/{pid}"), 20, "the daemon to end")
    assert "Sanitizer" not in err.read_text()


@pytest.mark.parametrize("priority, facility", [(85, 10), (134, 16)])
def test_syslog_gets_every_outcome_with_priority_and_tag(make_world, tmp_path, priority, facility):
    with private_syslog(tmp_path) as (log, wrapper):
        log.settimeout(0.1)
        world = make_world({"syslog": {"priority": priority, "tag": "mytag"}}, wrapper=wrapper)
        request = world.capture(packets=1, timeout=20)
        world.sender.send(1)
        request.done()
        refused = world.refused(packets=-1)
        messages = []

        def heard():
            with contextlib.suppress(socket.timeout):
                while True:
                    messages.append(log.recv(65536).decode())
            return all(any(request_id in m and word in m for m in messages)
                       for request_id, word in ((request.id, "done"), (refused["id"], "rejected")))

        until(heard, 10, "the outcomes in syslog")
    for message in messages:
        match = re.match(r"<(\d+)>.{15} mytag(\[\d+\])?: ", message)
        assert match, message
        assert int(match[1]) >> 3 == facility, message


# --- filesystems ---

WRITING = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC|O_APPEND|O_TMPFILE")
CHANGING = ("creat(", "mkdir", "mknod", "rename", "link(", "linkat", "symlink", "unlink", "truncate", "chmod", "chown", "utime",
            "setxattr", "mount(")
NO_FILESYSTEM = re.compile(r'"/dev/null"|"/proc/self/|"/dev/net/tun"')


def test_upload_only_daemon_writes_to_no_filesystem(make_world, tmp_path):
    """Traces the whole run, with captures and uploads: the daemon opens no file for writing and makes, moves or removes none."""
    if is_sanitized():
        pytest.skip("sanitizers open files of their own")
    trace = tmp_path / "trace"
    world = make_world({"general": {"writelocal": False, "localdir": None}, "api": {"socket": ""}}, cloudshark={"token": TOKEN},
                       wrapper=["strace", "-f", "-qq", "-s", "256", "-e", "trace=%file,ftruncate,fchmod,fchown", "-o", str(trace)])
    request = world.capture(packets=500, timeout=30)
    world.sender.send(500, size=1000, rate=5000)
    request.done(timeout=40)
    assert world.receiver.of(request.id)
    world.refused(packets=-1)
    world.capture(timeout=0.2).done()
    assert world.daemon.stop() == 0
    calls = trace.read_text().splitlines()
    assert any("openat(" in call for call in calls), "the trace is empty"
    written = [call for call in calls if not NO_FILESYSTEM.search(call) and " = -1 " not in call
               and ((("open(" in call or "openat" in call) and WRITING.search(call)) or any(word in call for word in CHANGING))]
    assert written == []


READ_ONLY = r"""
points=$(awk '{print $5}' /proc/self/mountinfo)
for point in $points; do mount -o remount,bind,ro "$point" 2>/dev/null; done
for place in / /tmp /run /dev/shm "$PWD"; do touch "$place/ro-test" 2>/dev/null && exit 99; done
exec "$@"
"""


def test_upload_only_daemon_works_on_read_only_filesystems(make_world):
    world = make_world({"general": {"writelocal": False, "localdir": None}, "api": None}, cloudshark={"token": TOKEN},
                       wrapper=["unshare", "-m", "--propagation", "private", "sh", "-c", READ_ONLY, "sh"])
    request = world.capture(packets=50, timeout=20)
    world.sender.send(50, rate=5000)
    request.done()
    assert world.receiver.of(request.id)
    world.daemon.wait_log("api-unavailable")  # the default socket's directory is read-only


# --- secrets ---

def test_token_on_the_command_line_is_wiped_from_the_process_title(make_world):
    for arguments in (["-cstoken", TOKEN], [f"--cstoken={TOKEN}"]):
        world = make_world(arguments=[*arguments, "-upload", "-cshost", "127.0.0.1", "-csscheme", "http", "-csport", "1"])
        assert TOKEN.encode() not in world.daemon.command_line()
        assert b"cstoken" in world.daemon.command_line()


def test_secrets_stay_out_of_logs_and_events_when_everything_fails(make_world):
    """The token is part of the upload URL, which error texts may quote."""
    world = make_world({"cloudshark": {"host": "127.0.0.1", "port": 1, "scheme": "http", "token": TOKEN, "upload": True},
                        "redis": {"auth": PASSWORD}, "requests": {"allow_debug": True}}, redis={"password": PASSWORD})
    request = world.capture(packets=1, timeout=20, logrequest=True)
    world.sender.send(1)
    world.daemon.wait_log("delivery-retry", id=request.id)
    assert world.daemon.stop(grace=False) == 0
    final = request.final()
    assert [d["ok"] for d in final["destinations"] if d["name"] == "cloudshark"] == [False]
    for secret in (TOKEN, PASSWORD):
        assert secret not in world.daemon.text()
        assert not any(secret.encode() in raw for raw in world.events.raw)


def test_secrets_are_read_from_files(make_world, tmp_path):
    for name, secret in (("token", TOKEN), ("auth", PASSWORD)):
        (tmp_path / name).touch(0o640)
        (tmp_path / name).write_text(secret + "\n")
    world = make_world({"cloudshark": {"token": None, "token_file": str(tmp_path / "token")},
                        "redis": {"auth_file": str(tmp_path / "auth")}}, redis={"password": PASSWORD}, cloudshark={"token": TOKEN})
    request = world.capture(packets=1, timeout=20)
    world.sender.send(1)
    assert all(d["ok"] for d in request.done()["destinations"]) and world.receiver.of(request.id)


def test_logrequest_and_packetdebug_log_more(make_world):
    world = make_world({"requests": {"allow_debug": True}})
    since = world.daemon.mark()
    request = world.capture(packets=3, timeout=20, logrequest=True, packetdebug=True, customer="unusual-name")
    world.sender.send(3, rate=1000)
    request.done()
    world.daemon.wait_lines(lambda line: request.id in line.text and "unusual-name" in line.text, since=since, what="the request")
    world.daemon.wait_lines(lambda line: request.id in line.text and line.id == "packet", 3, since=since, what="line for each packet")


def test_node_defaults_to_the_host_name(make_world):
    world = make_world({"general": {"node": None}})
    request = world.capture(node=socket.gethostname(), packets=1, timeout=20)
    world.sender.send(1)
    assert request.done()["node"] == socket.gethostname()
