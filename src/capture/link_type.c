/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is not listed gets Linux cooked v2: PPP, whose drivers disagree on the header that they show; GRE, whose packets
 * begin differently by direction; Classical IP over ATM, InfiniBand and all types that the kernel may add.
 *
 * An Ethernet interface with a switch behind it (DSA) has a tag for the switch in each frame. Four kinds of tags have
 * link types of their own. Most others follow the addresses as an EtherType or a VLAN tag would, or come at the frame's
 * end: the frame is Ethernet. For the rest, and for kinds that the kernel may add, no tool knows where Ethernet begins.
 *
 * libpcap takes interfaces named isdn… for old ISDN; Linux has none since 5.3.
 */
#include "capture/link_type.h"

#include <linux/if_arp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/network_interface.h"
#include "base/packet.h"

#define ARPHRD_RFC4338 18 /* IP over Fibre Channel, without a name in Linux */
#define ARPHRD_LAPD 8445

static const struct {
	unsigned hardware;
	struct link_type type;
} types[] = {
	{ARPHRD_ETHER, {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{ARPHRD_LOOPBACK, {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{ARPHRD_METRICOM, {LINKTYPE_ETHERNET, LINK_AS_IS}},

	{ARPHRD_NONE, {LINKTYPE_RAW, LINK_AS_IS}}, /* tun, WireGuard */
	{ARPHRD_RAWIP, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_TUNNEL, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_TUNNEL6, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_SIT, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_SLIP, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_CSLIP, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_SLIP6, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_CSLIP6, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_ADAPT, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_RAWHDLC, {LINKTYPE_RAW, LINK_AS_IS}},
	{ARPHRD_DLCI, {LINKTYPE_RAW, LINK_AS_IS}},

	{ARPHRD_EETHER, {2, LINK_AS_IS}},     /* EXP_ETHERNET */
	{ARPHRD_AX25, {202, LINK_AS_IS}},     /* AX25_KISS */
	{ARPHRD_PRONET, {4, LINK_AS_IS}},     /* PRONET */
	{ARPHRD_CHAOS, {5, LINK_AS_IS}},      /* CHAOS */
	{ARPHRD_IEEE802, {6, LINK_AS_IS}},    /* IEEE802_5 */
	{ARPHRD_IEEE802_TR, {6, LINK_AS_IS}}, /* IEEE802_5 */
	{ARPHRD_ARCNET, {129, LINK_AS_IS}},   /* ARCNET_LINUX */
	{ARPHRD_FDDI, {LINKTYPE_FDDI, LINK_AS_IS}},
	{ARPHRD_CISCO, {104, LINK_AS_IS}}, /* C_HDLC */
	{ARPHRD_FRAD, {LINKTYPE_FRELAY, LINK_AS_IS}},
	{ARPHRD_LOCALTLK, {114, LINK_AS_IS}},	     /* LTALK */
	{ARPHRD_IEEE80211, {105, LINK_AS_IS}},	     /* IEEE802_11 */
	{ARPHRD_IEEE80211_PRISM, {119, LINK_AS_IS}}, /* IEEE802_11_PRISM */
	{ARPHRD_IEEE80211_RADIOTAP, {LINKTYPE_IEEE802_11_RADIOTAP, LINK_AS_IS}},
	{ARPHRD_IEEE802154, {230, LINK_AS_IS}}, /* IEEE802_15_4_NOFCS */
	{ARPHRD_RFC4338, {122, LINK_AS_IS}},	/* IP_OVER_FC */
	{ARPHRD_FCPP, {LINKTYPE_FC_2, LINK_AS_IS}},
	{ARPHRD_FCAL, {LINKTYPE_FC_2, LINK_AS_IS}},
	{ARPHRD_FCPL, {LINKTYPE_FC_2, LINK_AS_IS}},
	{ARPHRD_FCFABRIC, {LINKTYPE_FC_2, LINK_AS_IS}},
	{ARPHRD_VSOCKMON, {271, LINK_AS_IS}}, /* VSOCK */
	{ARPHRD_CAN, {LINKTYPE_CAN_SOCKETCAN, LINK_CAN}},

	{ARPHRD_IRDA, {LINKTYPE_LINUX_IRDA, LINK_COOKED_V1}},
	{ARPHRD_LAPD, {LINKTYPE_LINUX_LAPD, LINK_COOKED_V1}},
	{ARPHRD_NETLINK, {LINKTYPE_NETLINK, LINK_COOKED_V1}},
};

struct link_type link_type_of(unsigned hardware)
{
	for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (types[i].hardware == hardware)
			return types[i].type;
	}
	return (struct link_type){LINKTYPE_LINUX_SLL2, LINK_COOKED_V2};
}

/* By the names that the drivers in net/dsa of the kernel give. */
static const struct {
	const char *name;
	struct link_type type;
} tags[] = {
	{"none", {LINKTYPE_ETHERNET, LINK_AS_IS}},

	{"brcm", {281, LINK_AS_IS}},	     /* DSA_TAG_BRCM */
	{"brcm-prepend", {282, LINK_AS_IS}}, /* DSA_TAG_BRCM_PREPEND */
	{"dsa", {284, LINK_AS_IS}},	     /* DSA_TAG_DSA */
	{"edsa", {285, LINK_AS_IS}},	     /* DSA_TAG_EDSA */

	{"brcm-legacy", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"brcm-legacy-fcs", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"lan9303", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"ocelot-8021q", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"vsc73xx-8021q", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"sja1105", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"rtl4a", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"rtl8_4", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"a5psw", {LINKTYPE_ETHERNET, LINK_AS_IS}},

	{"hellcreek", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"ksz8795", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"ksz9477", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"ksz9893", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"lan937x", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"rtl8_4t", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"trailer", {LINKTYPE_ETHERNET, LINK_AS_IS}},
	{"xrs700x", {LINKTYPE_ETHERNET, LINK_AS_IS}},
};

struct link_type link_type_of_named(unsigned hardware, const char *name, const char *tag)
{
	static const char android[] = "cdma_rmnet"; /* raw IP, whatever its hardware type says */

	if (hardware != ARPHRD_ETHER)
		return link_type_of(hardware);
	if (strncmp(name, android, sizeof(android) - 1) == 0)
		return (struct link_type){LINKTYPE_RAW, LINK_AS_IS};
	for (size_t i = 0; i < sizeof(tags) / sizeof(*tags); i++) {
		if (!*tag || strcmp(tags[i].name, tag) == 0)
			return tags[i].type;
	}
	return (struct link_type){LINKTYPE_LINUX_SLL2, LINK_COOKED_V2};
}

struct link_type link_type_read(const struct network_interface *device)
{
	char path[64], tag[64] = "";

	snprintf(path, sizeof(path), "/sys/class/net/%s/dsa/tagging", device->name);
	cleanup(cleanup_fclose) FILE *file = device->hardware == ARPHRD_ETHER ? fopen(path, "re") : NULL;
	if (file && fgets(tag, sizeof(tag), file))
		tag[strcspn(tag, "\n")] = '\0';
	return link_type_of_named(device->hardware, device->name, tag);
}

bool link_type_is_same(unsigned one, unsigned other)
{
	return link_type_of(one).linktype == link_type_of(other).linktype;
}
