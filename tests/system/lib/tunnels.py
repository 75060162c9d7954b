# SPDX-License-Identifier: BSD-2-Clause
"""Packets in tunnels."""


def tunnelled(source):
    """Frames of each kind of tunnel, around UDP from the source to port 53."""
    from scapy.all import GRE, IP, UDP, Dot1Q, Ether, IPv6, IPv6ExtHdrDestOpt
    from scapy.contrib.geneve import GENEVE
    from scapy.layers.vxlan import VXLAN
    mac, inner = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02"), IP(src=source, dst="10.0.0.2") / UDP(dport=53) / b"inside"
    outer4, outer6 = IP(src="192.0.2.1", dst="192.0.2.2"), IPv6(src="2001:db8::1", dst="2001:db8::2")
    packets = [
        mac / outer4 / UDP(dport=4789) / VXLAN(vni=7, flags="Instance") / mac / inner,
        mac / outer6 / UDP(dport=4789) / VXLAN(vni=7, flags="Instance") / mac / inner,
        mac / Dot1Q(vlan=5) / outer4 / UDP(dport=4789) / VXLAN(vni=7, flags="Instance") / mac / inner,
        mac / outer4 / UDP(dport=4789) / VXLAN(vni=7, flags="Instance") / mac / Dot1Q(vlan=6) / inner,
        mac / outer4 / UDP(sport=40000, dport=6081) / GENEVE(proto=0x6558, vni=7, optionlen=2, options=bytes.fromhex("0102030100000000")) / mac / inner,
        mac / outer6 / UDP(sport=40000, dport=6081) / GENEVE(proto=0x0800, vni=7) / inner,
        mac / outer4 / GRE(proto=0x0800) / inner,
        mac / outer4 / GRE(proto=0x0800, key_present=1, key=5, seqnum_present=1, sequence_number=9, chksum_present=1) / inner,
        mac / outer6 / IPv6ExtHdrDestOpt() / GRE(proto=0x0800, key_present=1, key=5) / inner,
        mac / outer4 / GRE(proto=0x6558, key_present=1, key=0x123400) / mac / inner,
    ]
    return [bytes(packet) for packet in packets]
