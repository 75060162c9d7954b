/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What is not listed gets Linux cooked v2: PPP, whose drivers disagree on the header that they show; GRE, whose packets
 * begin differently by direction; Classical IP over ATM, InfiniBand and all types that the kernel may add.
 */
#include "capture/link_type.h"

#include <linux/if_arp.h>
#include <stddef.h>

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

bool link_type_is_same(unsigned one, unsigned other)
{
	return link_type_of(one).linktype == link_type_of(other).linktype;
}
