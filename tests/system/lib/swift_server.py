#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""OpenStack Swift with its S3 API (Debian's python3-swift): a real service that checks signatures and bodies. All of its servers run in one
process, on loopback, in a private directory, with one replica; a dictionary stands in for memcached.

    swift_server.py DIRECTORY        prints {"port": …} once it answers"""

import contextlib
import json
import os
import signal
import subprocess
import sys

BACKENDS = ("account", "container", "object")


class DictionaryCache:
    """What Swift wants of memcached."""

    def __init__(self, app):
        self.app, self.values = app, {}

    def __call__(self, env, start_response):
        env["swift.cache"] = self
        return self.app(env, start_response)

    def get(self, key, *_, **__):
        return self.values.get(key)

    def set(self, key, value, *_, **__):
        self.values[key] = value

    def incr(self, key, delta=1, **_):
        self.values[key] = self.values.get(key, 0) + delta
        return self.values[key]

    def decr(self, key, delta=1, **_):
        return self.incr(key, -delta)

    def delete(self, key, *_, **__):
        self.values.pop(key, None)


def cache_factory(_global_conf, **_local_conf):
    return DictionaryCache


def write(directory, name, text):
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def serve(directory):
    """In a process of its own: everything is patched for eventlet."""
    import eventlet
    os.makedirs(directory, exist_ok=True)
    eventlet.monkey_patch()
    import eventlet.wsgi
    import swift.common.utils
    write(directory, "swift.conf", "[swift-hash]\nswift_hash_path_suffix = test\n[storage-policy:0]\nname = one\ndefault = yes\n")
    swift.common.utils.SWIFT_CONF_FILE = os.path.join(directory, "swift.conf")
    import swift.common.storage_policy
    swift.common.storage_policy.reload_storage_policies()
    import swift.common.ring
    import swift.common.wsgi
    listeners = {name: eventlet.listen(("127.0.0.1", 0)) for name in (*BACKENDS, "proxy")}
    os.makedirs(os.path.join(directory, "devices", "one"))
    for name in BACKENDS:
        ring = swift.common.ring.RingBuilder(4, 1, 1)
        ring.add_dev({"id": 0, "region": 1, "zone": 1, "weight": 1, "ip": "127.0.0.1", "port": listeners[name].getsockname()[1], "device": "one"})
        ring.rebalance()
        ring.get_ring().save(os.path.join(directory, f"{name}.ring.gz"))
    common = f"[DEFAULT]\nswift_dir = {directory}\ndevices = {directory}/devices\nmount_check = false\nlog_level = ERROR\n"
    for name in BACKENDS:
        start(write(directory, f"{name}.conf", common + f"[pipeline:main]\npipeline = {name}-server\n[app:{name}-server]\nuse = egg:swift#{name}\n"),
              listeners[name])
    filters = "".join(f"[filter:{name}]\nuse = egg:swift#{name}\n{more}" for name, more in (
        ("catch_errors", ""), ("gatekeeper", ""), ("listing_formats", ""), ("bulk", ""), ("slo", ""), ("dlo", ""), ("versioned_writes", ""),
        ("s3api", "location = us-east-1\nallow_multipart_uploads = true\n"), ("tempauth", "user_test_tester = testing .admin\n")))
    start(write(directory, "proxy.conf", common + "[pipeline:main]\npipeline = catch_errors gatekeeper listing_formats cache bulk s3api tempauth slo dlo "
                "versioned_writes proxy-server\n[app:proxy-server]\nuse = egg:swift#proxy\naccount_autocreate = true\n"
                "[filter:cache]\npaste.filter_factory = swift_server:cache_factory\n" + filters), listeners["proxy"])
    print(json.dumps({"port": listeners["proxy"].getsockname()[1]}), flush=True)
    eventlet.event.Event().wait()


def start(conf, listener):
    import eventlet
    import swift.common.wsgi
    app = swift.common.wsgi.loadapp(conf)
    eventlet.spawn(eventlet.wsgi.server, listener, app, log=open(os.devnull, "w", encoding="utf-8"), log_output=False)


class SwiftServer:
    """Runs during the `with` block. The key is test:tester, its secret testing."""

    def __init__(self, directory):
        self.directory = str(directory)

    def __enter__(self):
        self.process = subprocess.Popen(["/usr/bin/python3", os.path.abspath(__file__), self.directory], stdout=subprocess.PIPE,
                                        env={**os.environ, "PYTHONPATH": os.path.dirname(os.path.abspath(__file__))}, text=True)
        line = self.process.stdout.readline()
        assert line, "Swift did not start"
        self.port = json.loads(line)["port"]
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    with contextlib.suppress(KeyboardInterrupt):
        serve(sys.argv[1])
