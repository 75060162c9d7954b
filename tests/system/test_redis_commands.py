# SPDX-License-Identifier: BSD-2-Clause
"""Keyed commands on one server: each is answered exactly once, whatever happens to the connection."""

import signal
import socket
import threading
import time

import pytest

from lib.redis_client import ECANCELED, ECONNRESET, ENOBUFS, EREMOTEIO, ETIMEDOUT, commands  # noqa: F401
from lib.redis_probe import IS_MASTER, QUICK_PING, free_port, probe, server  # noqa: F401
from lib.waiting import until


def blocked(redis_server):
    with redis_server.client() as client:
        return client.info("clients")["blocked_clients"]


def test_commands_sent_before_the_server_starts_are_answered_in_order(server, commands):
    redis_server = server()
    one = commands(redis_server.port)
    one.expect("redis-down")
    numbers = [one.send("RPUSH", "list", word) for word in range(500)]
    redis_server.start()
    assert [one.reply(number) for number in numbers] == list(range(1, 501))
    assert one.do("LRANGE", "list", 0, 4) == ["0", "1", "2", "3", "4"]
    assert one.do("GET", "nothing") is None
    assert one.is_up()


def test_server_error_is_passed_to_the_caller(server, commands):
    one = commands(server().start().port)
    one.do("SET", "key", "text")
    answer = one.answer(one.send("RPUSH", "key", "x"))
    assert answer["code"] == EREMOTEIO and answer["error"].startswith("WRONGTYPE") and not answer["maybe"]


def test_arguments_may_be_large(server, commands):
    one = commands(server().start().port)
    one.do("SET", "key", "@5000000")
    assert one.do("STRLEN", "key") == 5_000_000


def test_queue_of_waiting_commands_is_bounded(commands):
    one = commands(free_port())
    for _ in range(3):
        one.send("SET", "key", "@5000000")
    number = one.send("SET", "key", "@5000000")
    assert one.answer(number) == {"id": number, "code": ENOBUFS, "refused": True}
    numbers = [one.send("GET", "key") for _ in range(4100)]
    assert one.answer(numbers[-1])["code"] == ENOBUFS
    assert sum("refused" in answer for answer in one.answers.values()) == 1 + 4100 - (4096 - 3)
    one.send_line("free")
    assert all(one.answer(number)["code"] in (ECANCELED, ENOBUFS) for number in numbers)


def test_deadline_ends_the_wait(server, commands):
    one = commands(free_port(), "--deadline-ms", 300)
    answer = one.answer(one.send("SET", "key", "x"), 5)
    assert answer["code"] == ETIMEDOUT and not answer["maybe"] and "no connection" in answer["error"]


def test_silent_server_leaves_the_outcome_unknown(server, commands):
    redis_server = server().start()
    one = commands(redis_server.port, "--deadline-ms", 3000)
    one.do("SET", "key", "x")
    redis_server.pause()
    number = one.send("INCR", "counter")
    answer = one.answer(number)
    assert answer["code"] == ETIMEDOUT and answer["maybe"]
    redis_server.resume()
    assert one.do("GET", "counter") == "1", "the late reply must not be taken for another command's"
    assert one.do("INCR", "counter") == 2


def test_lost_connection_resends_safe_commands_and_reports_the_rest_unknown(server, commands):
    redis_server = server().start()
    one = commands(redis_server.port)
    one.do("SET", "key", "x")
    redis_server.pause()
    safe = [one.send("SET", f"key{number}", "x", flags="i") for number in range(20)]
    unsafe = one.send("INCR", "counter")
    until(lambda: one.is_up(), 5)
    redis_server.stop(signal.SIGKILL)
    answer = one.answer(unsafe)
    assert answer["code"] == ECONNRESET and answer["maybe"]
    later = one.send("INCR", "counter")
    redis_server.start()
    assert [one.reply(number) for number in safe] == ["OK"] * 20
    assert one.reply(later) == 1


@pytest.mark.parametrize("flags", ["-", "f"])
def test_freeing_the_client_answers_all_pending_commands(server, commands, flags):
    redis_server = server().start()
    one = commands(redis_server.port)
    one.do("SET", "key", "x")
    redis_server.pause()
    numbers = [one.send("GET", "key") for _ in range(10)]
    one.is_up()
    if flags == "f":  # the callback of the first command frees the client
        one.send_line("last f GET key")
        redis_server.resume()
        assert one.answer("last")["code"] == 0
        assert all(one.reply(number) == "x" for number in numbers)
    else:
        one.send_line("free")
        assert all(one.answer(number)["code"] == ECANCELED and one.answer(number)["maybe"] for number in numbers)


def test_failure_callback_may_free_the_client(commands):
    one = commands(free_port(), "--deadline-ms", 200)
    numbers = [one.send("GET", "key", flags="f" if number == 5 else "-") for number in range(10)]
    codes = [one.answer(number)["code"] for number in numbers]
    assert codes == [ETIMEDOUT] * 10


def test_command_waits_until_a_replica_becomes_master(server, commands):
    redis_server = server().start()
    with redis_server.client() as client:
        client.replicaof("127.0.0.1", free_port())
        one = commands(redis_server.port)
        number = one.send("INCR", "counter")
        one.expect("redis-down .*is a replica")
        client.replicaof("NO", "ONE")
    assert one.reply(number) == 1
    assert one.do("GET", "counter") == "1"


# --- blocking ---


def test_blocking_command_outlasts_the_ping_timeout(server, commands):
    """It blocks longer than the PING timeout; a blocked connection does not answer PING."""
    redis_server = server().start()
    one = commands(redis_server.port, "--ping-interval-ms", 100, "--ping-timeout-ms", 1500, "--block-ms", 3000)
    one.do("XGROUP", "CREATE", "stream", "group", "$", "MKSTREAM", flags="k2")
    number = one.send("XREADGROUP", "GROUP", "group", "n1", "COUNT", 1, "BLOCK", 3000, "STREAMS", "stream", ">", flags="k9")
    assert one.reply(number) is None
    number = one.send("XREADGROUP", "GROUP", "group", "n1", "COUNT", 1, "BLOCK", 3000, "STREAMS", "stream", ">", flags="k9")
    until(lambda: blocked(redis_server) == 1, 5)
    with redis_server.client() as client:
        client.xadd("stream", {"request": "{}"})
    assert one.reply(number)[0][1][0][1] == ["request", "{}"]
    assert not [line for line in one.seen if "redis-down" in line]


def test_dead_server_is_noticed_during_a_blocking_command(server, commands):
    redis_server = server().start()
    one = commands(redis_server.port, *QUICK_PING, "--block-ms", 1000)
    one.do("SET", "key", "x")
    began = time.monotonic()
    number = one.send("BLPOP", "list", 1)
    one.is_up()
    redis_server.pause()
    answer = one.answer(number)
    assert answer["code"] == ECONNRESET and answer["maybe"]
    assert time.monotonic() - began >= 1


# --- faulty servers ---


def test_unsolicited_replies_end_the_connection(commands, server):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = commands(listener.getsockname()[1])
        number = one.send("GET", "key", flags="i")
        connection, _ = listener.accept()
        with connection:
            heard = b""
            while b"GET" not in heard:
                heard += connection.recv(4096)
                if b"PING" in heard:
                    connection.sendall(b"+PONG\r\n+OK\r\n" + IS_MASTER if b"GET" not in heard else b"")
                    heard = heard.replace(b"PING", b"")
            connection.sendall(b"-MOVED 99999 nowhere\r\n")  # an ordinary error
            assert one.answer(number)["code"] == EREMOTEIO
            connection.sendall(b"+OK\r\n")
            one.expect(r"redis-down .*unexpected reply")


def test_redirection_loop_ends_at_the_deadline(commands):
    listener = socket.create_server(("127.0.0.1", 0))
    port, count = listener.getsockname()[1], [0]

    def serve():
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=talk, args=(connection,), daemon=True).start()

    def talk(connection):
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                if line.strip() == b"PING":
                    connection.sendall(b"+PONG\r\n")
                elif line.strip() == b"CLIENT":
                    connection.sendall(b"+OK\r\n")
                elif line.strip() == b"ROLE":
                    connection.sendall(IS_MASTER)
                elif line.strip() == b"GET":
                    count[0] += 1
                    connection.sendall(f"-MOVED {count[0] % 16384} 127.0.0.1:{port}\r\n".encode())

    threading.Thread(target=serve, daemon=True).start()
    one = commands(port, "--deadline-ms", 3000)
    answer = one.answer(one.send("GET", "key"))
    listener.close()
    assert answer["code"] == ETIMEDOUT and "MOVED" in answer["error"]
    assert 2 <= count[0] < 120, "redirections are not followed in a tight loop"
