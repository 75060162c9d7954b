/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A classic BPF program that computes how many bytes of a packet are headers, from the link layer to the transport
 * layer. It runs in the kernel, as the last part of a recorder's filter, and in bpf_vm on packets as they were on the
 * wire.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;

#define HEADERS_EXTENSIONS_MAX 6 /* IPv6 extension headers; anything after more of them is payload */
#define HEADERS_PROGRAM_MAX 1024 /* instructions */

/*
 * Writes the program for a link type that headers_knows and returns its length. The program returns the bytes of:
 * Ethernet and up to two VLAN tags; Linux cooked v2; ARP; IPv4 with options; IPv6 with extension headers; TCP with
 * options, UDP, UDP-Lite, ICMP, ICMPv6, IGMP, SCTP's common header, DCCP. Fragments after the first end with their
 * network header; tunnels are payload. It never returns less than `min_bytes`, never 0; a packet that ends inside its
 * headers is kept whole.
 */
bool headers_knows(uint16_t linktype);
size_t headers_program(uint16_t linktype, uint32_t min_bytes, struct sock_filter *program);
