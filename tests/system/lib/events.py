# SPDX-License-Identifier: BSD-2-Clause
"""The daemon's events as a Redis subscriber gets them, and requests with their answers."""

import contextlib
import itertools
import json
import os
import threading
import time

import redis

from .waiting import seconds

FINAL = ("done", "failed")
NOTHING = {"kernel": 0, "evicted": 0, "memory": 0}  # `lost` of a capture without losses
_numbers = itertools.count(1)


class Events:
    """Subscribes to the events channel, keeps all events, and resubscribes when Redis restarts."""

    def __init__(self, server, channel="capture:events"):
        self.server, self.channel = server, channel
        self.items = []  # events as dicts in order of arrival
        self.raw = []
        self._news = threading.Condition()
        self._subscribed = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.wait_subscribed()

    def wait_subscribed(self, timeout=10):
        assert self._subscribed.wait(seconds(timeout)), "the test's own subscriber did not connect to Redis"

    def expect_restart(self):
        """Call before Redis ends: the next wait_subscribed() then waits for the new server."""
        self._subscribed.clear()

    def _run(self):
        while not self._stop.is_set():
            with contextlib.suppress(redis.exceptions.RedisError, OSError, ValueError):
                with self.server.client() as client, client.pubsub() as subscription:
                    subscription.subscribe(self.channel)
                    self._follow(subscription)
            self._stop.wait(0.005)

    def _follow(self, subscription):
        while not self._stop.is_set():
            message = subscription.get_message(timeout=0.1)
            if not message:
                continue
            if message["type"] == "subscribe":
                self._subscribed.set()
            elif message["type"] == "message":
                with self._news:
                    self.raw.append(message["data"])
                    self.items.append(json.loads(message["data"]))
                    self._news.notify_all()

    def close(self):
        self._stop.set()
        self._thread.join(5)

    def mark(self):
        with self._news:
            return len(self.items)

    def all(self, predicate=lambda event: True, since=0):
        with self._news:
            return [event for event in self.items[since:] if predicate(event)]

    def wait_count(self, predicate, count, timeout=10, since=0):
        """Waits for the first `count` matching events."""
        deadline = time.monotonic() + seconds(timeout)
        with self._news:
            while True:
                found = [event for event in self.items[since:] if predicate(event)]
                if len(found) >= count:
                    return found[:count]
                left = deadline - time.monotonic()
                if left <= 0:
                    seen = "\n".join(json.dumps(event) for event in self.items[since:][-20:])
                    raise AssertionError(f"{len(found)} of {count} events within {seconds(timeout):g} s; last seen:\n{seen}")
                self._news.wait(left)

    def wait(self, predicate, timeout=10, since=0):
        return self.wait_count(predicate, 1, timeout, since)[0]


def new_id(label="r"):
    return f"{label}-{os.getpid()}-{next(_numbers)}"


class Request:
    """A published request and its events."""

    def __init__(self, events, request_id, fields, since):
        self.events, self.id, self.fields, self.since = events, request_id, fields, since

    def all(self, *kinds, **fields):
        return self.events.all(lambda event: self._mine(event, kinds, fields), self.since)

    def _mine(self, event, kinds, fields):
        return (event.get("id") == self.id and (not kinds or event["event"] in kinds)
                and all(event.get(key) == value for key, value in fields.items()))

    def wait(self, *kinds, timeout=10, count=1, **fields):
        found = self.events.wait_count(lambda event: self._mine(event, kinds, fields), count, timeout, self.since)
        return found[0] if count == 1 else found

    def answer(self, timeout=10):
        return self.wait("accepted", "rejected", timeout=timeout)

    def accepted(self, captures=1, timeout=10):
        """Waits until all its captures are armed: every packet sent from now on is in the files. Returns the first event."""
        events = self.events.wait_count(lambda event: self._mine(event, ("accepted", "rejected"), {}), captures, timeout, self.since)
        for event in events:
            assert event["event"] == "accepted", f"refused: {event}"
        return events[0]

    def rejected(self, timeout=10):
        event = self.answer(timeout)
        assert event["event"] == "rejected", f"not refused: {event}"
        return event

    def captured(self, timeout=15, **fields):
        return self.wait("captured", *FINAL, timeout=timeout, **fields)

    def final(self, timeout=20, **fields):
        return self.wait(*FINAL, timeout=timeout, **fields)

    def finals(self, count, timeout=20):
        found = self.wait(*FINAL, timeout=timeout, count=count)
        return found if count > 1 else [found]

    def done(self, timeout=20, **fields):
        event = self.final(timeout, **fields)
        assert event["event"] == "done", f"failed: {event}"
        return event
