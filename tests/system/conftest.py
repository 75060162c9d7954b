# SPDX-License-Identifier: BSD-2-Clause
import functools
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))

from lib import netns as netns_module  # noqa: E402
from lib.fleet import Fleet, Single  # noqa: E402
from lib.netns import Netns  # noqa: E402
from lib.stream import with_stream  # noqa: E402
from lib.world import World  # noqa: E402


@pytest.fixture(scope="session", autouse=True)
def clean_machine():
    if os.geteuid() != 0:
        pytest.exit("the system tests make network namespaces: run them as root", returncode=1)
    netns_module.remove_stale()
    yield


@pytest.fixture
def netns():
    """Makes namespaces: netns("label")."""
    made = []

    def make(label="ns"):
        made.append(Netns(label))
        return made[-1]

    yield make
    for namespace in made:
        namespace.close()


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    """One installation for all tests of a file that leave it unchanged: two veth pairs, aliases, local files."""
    config = {"interface": [{"name": "eth0", "alias": ["main", "both"]},
                            {"name": "eth1", "alias": ["second", "both"]},
                            {"name": "absent0", "alias": ["gone"]}]}
    with World(tmp_path_factory.mktemp("world"), config, pairs=2) as installation:
        yield installation


@pytest.fixture
def world(shared_world):
    """The shared installation; the daemon must survive the test."""
    yield shared_world
    assert shared_world.daemon.is_alive(), f"the daemon ended during this test:\n{shared_world.daemon.tail()}"


@pytest.fixture
def make_world(tmp_path):
    """Makes installations for one test: make_world(config={…}, pairs=2, redis=False, …)."""
    made = []

    def make(config=None, **options):
        directory = tmp_path / f"world{len(made)}"
        directory.mkdir()
        made.append(World(directory, config, **options))
        return made[-1]

    yield make
    faults = []
    for installation in made:
        try:
            installation.close()
        except AssertionError as fault:
            faults.append(fault)
    if faults:
        raise faults[0]


@pytest.fixture
def durable(make_world):
    """Makes installations that take requests from a stream: durable(config={…}, …)."""
    return functools.partial(with_stream, make_world)


@pytest.fixture
def make_fleet(tmp_path):
    """Makes a fleet for a test that breaks something."""
    made = []

    def make(names, bus=Single, **options):
        directory = tmp_path / "fleet"
        directory.mkdir()
        made.append(Fleet(directory, names, bus, **options))
        return made[-1]

    yield make
    for fleet in made:
        fleet.close()
