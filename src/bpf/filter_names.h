/* SPDX-License-Identifier: BSD-2-Clause */
/* Which words of a filter libpcap would look up as the name of a host or network. */
#pragma once

#include <stddef.h>

/*
 * The first word of the expression (NULL: none) that libpcap would look up as a host or network, and so might ask a
 * name server; NULL: there is none. Names of services and protocols, which are in files of this host, do not count. A
 * word that is a mistake may be taken for a name.
 */
const char *filter_find_host_name(const char *expression, size_t *length);
