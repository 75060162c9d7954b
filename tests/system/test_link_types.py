# SPDX-License-Identifier: BSD-2-Clause
"""Every hardware type that a tun can be given: its packets get libpcap's link type, or Linux cooked v2 where libpcap uses cooked mode,
and filters find what they mean in them. Judged by tshark, and by tcpdump on the same packets."""

import signal
import struct
import subprocess
import time

import pytest

from lib.history import NS, ns, recorder, rfc3339, status
from lib.pcapfile import CaptureFile, fields, tshark
from lib.waiting import seconds, until
from lib.world import World

RAW, COOKED, COOKED_V1 = 101, 276, 113
IP, CAN, CANFD, CANXL = 0x0800, 0x0C, 0x0D, 0x0E


def ip_of(protocol, payload):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0, 64, protocol, 0, b"\x0a\0\0\x01", b"\x0a\0\0\x02")
    total = sum(struct.unpack("!10H", head))
    check = ~(total + (total >> 16)) & 0xFFFF
    return head[:10] + struct.pack("!H", check) + head[12:] + payload


def ip(port, payload=b"payload!"):
    return ip_of(17, struct.pack("!HHHH", 1000, port, 8 + len(payload), 0) + payload)


LLC_SNAP = bytes.fromhex("aaaa030000000800")
MACS = bytes.fromhex("020000000002020000000001")
WLAN_DATA = bytes.fromhex("08000000") + MACS + MACS[:6] + bytes(2)

# What stands before the IP packet, by link type. None: no IP, or none that a filter finds.
HEADERS = {
    1: MACS + bytes.fromhex("0800"),
    6: bytes.fromhex("1040") + MACS + LLC_SNAP,
    10: bytes.fromhex("50") + MACS + LLC_SNAP,
    RAW: b"",
    104: bytes.fromhex("0f000800"),
    105: WLAN_DATA + LLC_SNAP,
    119: struct.pack("<II16s", 0x44, 144, b"wlan0") + bytes(120) + WLAN_DATA + LLC_SNAP,
    122: bytes(2) + MACS[:6] + bytes(2) + MACS[6:] + LLC_SNAP,
    127: bytes.fromhex("0000080000000000") + WLAN_DATA + LLC_SNAP,
    129: bytes.fromhex("01020000d4000000"),
    COOKED: b"",
}
# By the hardware type's number in linux/if_arp.h: libpcap's link type.
LINK_TYPES = {
    1: 1, 772: 1, 23: 1,  # Ethernet, loopback, Metricom
    256: RAW, 257: RAW, 258: RAW, 259: RAW, 264: RAW,  # SLIP and its kin
    768: RAW, 776: RAW, 518: RAW, 15: RAW, 0xFFFE: RAW,  # IPIP, SIT, raw HDLC, DLCI, none
    2: 2, 3: 202, 4: 4, 5: 5, 6: 6, 800: 6, 7: 129, 774: 10, 513: 104, 770: 107, 773: 114,
    801: 105, 802: 119, 803: 127, 804: 230, 18: 122, 784: 224, 785: 224, 786: 224, 787: 224, 826: 271, 280: 227,
    783: 144, 8445: 177, 824: 253,  # IrDA, LAPD, netlink: in cooked mode, with a link type of their own
}
# libpcap uses cooked mode for these, and we for the two that it knows no better.
OURS = {769: RAW, 519: RAW}
NOT_BY_TCPDUMP = (2, 4, 5)  # it compiles even an empty filter, which libpcap cannot for these
PROTOCOLS = {280: CAN, 783: 0x17, 8445: 0x30}
OTHERS = [0, 8, 13, 19, 24, 27, 32, 260, 270, 271, 272, 290, 512, 516, 517, 771, 775, 777, 778, 779, 780, 781, 782, 788, 805, 820, 821, 822,
          823, 825, 0xFFFF, 12345]
TYPES = sorted({**LINK_TYPES, **OURS, **dict.fromkeys(OTHERS, COOKED)}.items())


class Reference:
    """tcpdump on the same interface, for some packets."""

    def __init__(self, world, interface, count, path):
        self.path = str(path)
        self.process = world.host.popen("tcpdump", "-i", interface, "-n", "-c", str(count), "-U", "-Z", "root", "--immediate-mode", "-w",
                                        self.path, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        for line in self.process.stderr:
            if b"listening on" in line:
                return
        raise AssertionError("tcpdump does not listen")

    def file(self):
        self.process.communicate(timeout=seconds(20))
        return CaptureFile(self.path)


@pytest.fixture(scope="module")
def shared_world(tmp_path_factory):
    with World(tmp_path_factory.mktemp("types")) as installation:
        installation.tun = installation.host.add_tun("tun0", bare=True)
        yield installation
        installation.tun.close()


def test_the_table_is_whole():
    """All hardware types that this host's headers name."""
    with open("/usr/include/linux/if_arp.h", encoding="ascii") as header:
        words = [line.split() for line in header if line.startswith("#define\tARPHRD_") or line.startswith("#define ARPHRD_")]
    named = {int(word[2], 0) for word in words if word[2][0].isdigit()}
    assert named <= set(dict(TYPES)), sorted(named - set(dict(TYPES)))


def compare(file, judged, count, raw):
    """The file has what tcpdump has; raw: without the cooked header that tcpdump adds."""
    linktype, theirs = file.interfaces[0].linktype, judged.packets[-count:]
    if linktype == COOKED or raw:
        assert judged.interfaces[0].linktype == COOKED_V1, "libpcap knows this type"
        assert [packet.data[0 if raw else 20:] for packet in file.packets] == [packet.data[16:] for packet in theirs]
    else:
        assert judged.interfaces[0].linktype == linktype
        assert [packet.data for packet in file.packets] == [packet.data for packet in theirs]


@pytest.mark.parametrize("hardware,linktype", TYPES, ids=lambda value: str(value))
def test_link_type_of(world, tmp_path, hardware, linktype):
    world.tun.set_type(hardware)
    header = HEADERS.get(linktype)
    bpf = None if header is None else "udp dst port 53"
    frames = [bytes(range(60)), bytes(range(3, 63))] if header is None else [header + ip(54), header + ip(53)]
    protocol = PROTOCOLS.get(hardware, IP)
    wanted = frames if header is None else frames[1:]
    reference = None if hardware in NOT_BY_TCPDUMP else Reference(world, "tun0", len(frames), tmp_path / "reference.pcap")
    request = world.capture(interface=["tun0"], packets=len(wanted), timeout=20, bpf=bpf)
    for frame in frames:
        world.tun.write(frame, protocol)
    event = request.done()
    file = world.file(request)
    assert event["packets"] == len(wanted) and file.interfaces[0].linktype == linktype, event
    if reference:
        compare(file, reference.file(), len(wanted), hardware in OURS)
    assert [packet.wirelen for packet in file.packets] == [len(packet.data) for packet in file.packets]
    shown = {"ip.src": "10.0.0.1", "udp.dstport": "53"} if header is not None else {}
    if linktype == COOKED:
        shown |= {"sll.hatype": str(hardware), "sll.ifindex": str(world.host.index("tun0")), "sll.pkttype": "0",
                  "sll.gretype" if hardware == 778 else "sll.etype": "0x0800"}
    if shown:
        assert fields(world.path(request), *shown) == [tuple(shown.values())]
    else:
        tshark(world.path(request))


def test_can_frames_are_as_tshark_wants_them(world):
    """The kernel has identifiers in the machine's byte order, and old drivers do not mark the kind of frame."""
    world.tun.set_type(280)
    request = world.capture(interface=["tun0"], packets=4, timeout=20)
    world.tun.write(struct.pack("=IBBBB8s", 0x123, 3, 0x04, 0, 0, b"abc"), CAN)
    world.tun.write(struct.pack("=IBBBB8s", 0x80000000 | 0x12345678, 8, 0, 0, 0, b"abcdefgh"), CAN)
    world.tun.write(struct.pack("=IBBBB64s", 0x7FF, 12, 0, 0, 0, b"abcdefghijkl"), CANFD)
    world.tun.write(struct.pack("=IBBHI16s", 0x42, 0, 3, 16, 0xCAFE, b"x" * 16), CANXL)
    request.done()
    data = [packet.data for packet in world.file(request).packets]
    assert data[0][:6] == bytes.fromhex("000001230300") and data[1][:6] == bytes.fromhex("923456780800")
    assert data[2][:6] == bytes.fromhex("000007ff0c04")
    assert data[3][:12] == bytes.fromhex("000000428003") + struct.pack("<HI", 16, 0xCAFE)
    shown = fields(world.path(request), "can.id", "can.flags.xtd", "can.len")
    assert shown[0][0] in ("291", "0x00000123") and shown[0][2] == "3", shown
    assert shown[1][0] in ("305419896", "0x12345678") and shown[1][2] == "8", shown


def test_netlink_frames_are_as_tshark_wants_them(world):
    world.tun.set_type(824)
    request = world.capture(interface=["tun0"], packets=1, timeout=20)
    world.tun.write(struct.pack("=IHHIIBBHiII", 32, 16, 0, 7, 0, 0, 0, 1, 0, 0, 0), 0)  # RTM_NEWLINK over NETLINK_ROUTE
    request.done()
    assert fields(world.path(request), "netlink-route.nltype", "netlink.hdr_seq") == [("16", "7")]


@pytest.mark.parametrize("bpf,expected", [
    ("inbound", [53, 54]), ("outbound", []), ("ip", [53, 54]), ("ip6 or arp", []), ("len = 56", [53, 54]), ("udp[2:2] = 54", [54]),
    ("ip[2:2] = 36 and udp port 53", [53]), ("src host 10.0.0.1 and not udp port 53", [54]), ("less 40", [])])
def test_filters_of_cooked_packets(world, bpf, expected):
    """As in PPP; the kernel runs them on packets without the header."""
    world.tun.set_type(512)
    request = world.capture(interface=["tun0"], packets=10, timeout=20, bpf=bpf)
    everything = world.capture(interface=["tun0"], packets=2, timeout=20)
    for port in (53, 54):
        world.tun.write(ip(port))
    everything.done()
    world.wait_packets(request, len(expected))
    world.stop(request)
    event = request.done()
    assert event["packets"] == len(expected), event
    if expected:
        assert [int(port) for port, in fields(world.path(request), "udp.dstport")] == expected


def test_direction_of_packets_with_a_radiotap_header(world):
    """libpcap compiles no working test for it where the header's length varies."""
    world.tun.set_type(803)
    received = world.capture(interface=["tun0"], packets=10, timeout=20, bpf="inbound and udp")
    sent = world.capture(interface=["tun0"], packets=10, timeout=20, bpf="outbound or udp port 54")
    for port in (53, 54):
        world.tun.write(HEADERS[127] + ip(port))
    world.wait_packets(received, 2)
    world.wait_packets(sent, 1)
    for request, count in ((received, 2), (sent, 1)):
        world.stop(request)
        assert request.done()["packets"] == count


def test_inner_filter_of_cooked_packets(world):
    world.tun.set_type(512)
    request = world.capture(interface=["tun0"], packets=1, timeout=20, inner="udp port 53")
    for port in (54, 53):
        world.tun.write(ip_of(47, bytes.fromhex("00000800") + ip(port)))  # GRE
    request.done()
    assert fields(world.path(request), "udp.dstport") == [("53",)]


def test_tap_without_a_link_layer_has_it_removed(world):
    """A tap's packets have an Ethernet header, which cooked mode replaces."""
    tap = world.host.add_tun("tap0", tap=True)
    tap.set_type(512)
    request = world.capture(interface=["tap0"], packets=1, timeout=20, bpf="udp dst port 53")
    for port in (54, 53):
        tap.write(HEADERS[1] + ip(port))
    request.done()
    file = world.file(request)
    assert file.interfaces[0].linktype == COOKED and file.packets[0].data[20:] == ip(53)
    tap.close()


def test_recorder_of_cooked_packets_keeps_headers_only(make_world):
    world = make_world(recorder(interfaces=["eth0", "tun0"], snaplength="headers"), start=False)
    tun = world.host.add_tun("tun0", bare=True)
    tun.set_type(512)
    world.daemon.start()
    tun.write(ip(53, b"secret" * 20))
    tun.write(b"\xc0\x21secret", 0x8021)
    until(lambda: int(status(world, "tun0")["packets"]) == 2, what="two packets")
    request = world.capture(interface=["tun0"], before=20, packets=2, timeout=20)
    request.done()
    packets = world.file(request).packets
    assert packets[0].data[20:] == ip(53, b"secret" * 20)[:28] and len(packets[1].data) == 20
    tun.close()


def test_merged_file_has_each_interface_with_its_link_type(world):
    world.tun.set_type(512)
    request = world.capture(captures=1, interface=["eth0", "tun0"], merge=True, packets=2, timeout=20, bpf="udp dst port 53")
    world.tun.write(ip(53))
    world.wait_packets(request, 1)
    world.sender.send(1, dst_port=53)
    request.done()
    assert [interface.linktype for interface in world.file(request).interfaces] == [1, COOKED]
    assert fields(world.path(request), "frame.interface_name", "udp.dstport") == [("tun0", "53"), ("eth0", "53")]


# --- a link type that changes ---

def test_capture_ends_when_the_link_type_changes(world):
    """The file holds what came before, and says until when; the next capture has the new type."""
    world.tun.set_type(0xFFFE)
    request = world.capture(interface=["tun0"], packets=100, timeout=30)
    world.tun.write(ip(53))
    world.wait_packets(request, 1)
    world.tun.set_type(512)
    after = time.time_ns()
    world.tun.write(ip(54))
    event = request.done()
    assert (event["reason"], event["packets"]) == ("interface-gone", 1) and ns(event["window"]["to"]) <= after + NS, event
    assert world.file(request).interfaces[0].linktype == RAW
    assert fields(world.path(request), "udp.dstport") == [("53",)]
    request = world.capture(interface=["tun0"], packets=1, timeout=20)
    world.tun.write(ip(55))
    request.done()
    assert world.file(request).interfaces[0].linktype == COOKED and fields(world.path(request), "udp.dstport") == [("55",)]


def test_no_packet_after_a_change_of_the_link_type_gets_into_the_file(world):
    """The daemon learns of the change when it has the packets already."""
    world.tun.set_type(0xFFFE)
    request = world.capture(interface=["tun0"], packets=1000, timeout=30)
    for _ in range(5):
        world.tun.write(ip(53))
    world.daemon.signal(signal.SIGSTOP)
    world.tun.set_type(512)
    changed = time.time_ns()
    for _ in range(200):
        world.tun.write(ip(54))
    world.daemon.signal(signal.SIGCONT)
    event = request.done()
    assert (event["reason"], event["packets"]) == ("interface-gone", 5) and ns(event["window"]["to"]) >= changed, event
    assert set(fields(world.path(request), "udp.dstport")) == {("53",)}


def test_capture_goes_on_when_the_link_type_is_set_to_what_it_is(world):
    world.tun.set_type(0xFFFE)
    request = world.capture(interface=["tun0"], packets=2, timeout=30)
    world.tun.write(ip(53))
    for hardware in (768, 0xFFFE):  # both raw IP
        world.tun.set_type(hardware)
    world.tun.write(ip(54))
    event = request.done()
    assert event["packets"] == 2 and event["reason"] == "packets", event


def test_merged_capture_goes_on_without_the_interface_whose_link_type_changes(world):
    world.tun.set_type(0xFFFE)
    request = world.capture(captures=1, interface=["eth0", "tun0"], merge=True, packets=3, timeout=30, bpf="udp dst port 53")
    world.tun.write(ip(53))
    world.wait_packets(request, 1)
    since = world.daemon.mark()
    world.tun.set_type(512)
    world.daemon.wait_log("interface-retyped", interface="tun0", since=since)
    world.tun.write(ip(53))
    world.sender.send(2, dst_port=53)
    event = request.done()
    assert event["packets"] == 3 and event["window"]["complete"] is False, event
    assert [interface for interface, in fields(world.path(request), "frame.interface_name")] == ["tun0", "eth0", "eth0"]


def test_recorder_goes_on_with_the_new_link_type(make_world):
    world = make_world(recorder(interfaces=["tun0"], seconds=0), start=False)
    tun = world.host.add_tun("tun0", bare=True)
    world.daemon.start()
    begin = time.time_ns()
    for hardware, linktype, port in ((512, COOKED, 54), (803, 127, 55), (512, COOKED, 56)):
        tun.write(ip(53))
        since, changed = world.daemon.mark(), time.time_ns()
        tun.set_type(hardware)
        world.daemon.wait_log("recording", interface="tun0", since=since)
        recorded = time.time_ns()
        tun.write(HEADERS[linktype] + ip(port))
        request = world.request(interface=["tun0"], bpf="udp", **{"from": rfc3339(recorded), "to": rfc3339(time.time_ns())})
        event = request.done()
        assert event["packets"] == 1 and event["window"]["complete"] is True, event
        assert world.file(request).interfaces[0].linktype == linktype
        assert fields(world.path(request), "udp.dstport") == [(str(port),)]
        request = world.request(interface=["tun0"], **{"from": rfc3339(begin), "to": rfc3339(time.time_ns())})
        event = request.done()
        assert event["window"]["complete"] is False and ns(event["window"]["from"]) >= changed, event
    assert world.host.packet_sockets() == 2, "the latest and the one before"
    tun.close()


def test_renamed_recorder_records_again_when_its_link_type_is_back(make_world):
    """No setting has its name any more, so no other ring takes its place."""
    world = make_world(recorder(interfaces=["tun0"], seconds=0), start=False)
    tun = world.host.add_tun("tun0", bare=True)
    world.daemon.start()
    world.host.ip("link", "set", "tun0", "down")
    world.host.ip("link", "set", "tun0", "name", "other0", "up")
    tun.name = "other0"
    world.daemon.wait_log("interface-renamed", name="other0")
    since = world.daemon.mark()
    tun.set_type(512)
    world.daemon.wait_log("interface-retyped", interface="other0", since=since)
    tun.set_type(0xFFFE)
    world.daemon.wait_log("recording-again", interface="other0", since=since)
    recorded = int(status(world, "other0")["packets"])

    def records():
        tun.write(ip(53))  # the ring's filter rejects everything until a worker has renewed it
        return int(status(world, "other0")["packets"]) > recorded
    until(records, what="a packet to be recorded", interval=0.05)
    tun.close()


def test_history_from_before_a_change_of_the_link_type_remains(make_world):
    world = make_world(recorder(interfaces=["tun0"], seconds=0), start=False)
    tun = world.host.add_tun("tun0", bare=True)
    world.daemon.start()
    begin = time.time_ns()
    for _ in range(5):
        tun.write(ip(53))
    until(lambda: int(status(world, "tun0")["packets"]) == 5, what="five packets")
    end, since = time.time_ns(), world.daemon.mark()
    tun.set_type(512)
    world.daemon.wait_log("recording", interface="tun0", since=since)
    for _ in range(5):
        tun.write(ip(54))
    request = world.request(interface=["tun0"], **{"from": rfc3339(begin), "to": rfc3339(end)})
    event = request.done()
    assert event["packets"] == 5 and event["window"]["complete"] is True, event
    assert world.file(request).interfaces[0].linktype == RAW
    assert set(fields(world.path(request), "udp.dstport")) == {("53",)}
    tun.close()
