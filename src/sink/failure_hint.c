/* SPDX-License-Identifier: BSD-2-Clause */
/* Sinks, libcurl, libraries and servers put the cause into words; the first row with words of the error has the hint.
 */
#include "sink/failure_hint.h"

#include <stddef.h>
#include <string.h>

#define TOKEN "check the token, key or password of this destination, and what its owner may do there"
#define TYPE "another program uses this key in Redis; give the destination a channel of its own"

static const struct {
	const char *words, *hint;
} hints[] = {
	{"resolve host", "check the host name and this host's name servers (getent hosts NAME)"},
	{"Could not resolve", "check the host name and this host's name servers (getent hosts NAME)"},
	{"Name or service not known", "check the host name and this host's name servers (getent hosts NAME)"},
	{"server's key is not the one",
	 "compare the server's key (ssh-keyscan HOST) with known_hosts or host_key_sha256"},
	{"refuses the user or its key", "check user, key_file and passphrase, and authorized_keys on the server"},
	{"another file has this name", "put {name} or {capture} into the path"},
	{"certificate", "check ca_file, the server's certificate and the host name in it, and this host's clock"},
	{"SSL", "check scheme, port and tls: the server may not speak TLS there, or want a client certificate"},
	{"TLS", "check scheme, port and tls: the server may not speak TLS there, or want a client certificate"},
	{"Failed to connect", "check host and port, whether the server runs, and the firewall"},
	{"Couldn't connect", "check host and port, whether the server runs, and the firewall"},
	{"refused", "check host and port, and whether the server runs; a firewall may refuse, too"},
	{"No route to host", "check the address, the routes and the firewall"},
	{"unreachable", "check the address, the routes and the firewall"},
	{"not connected", "check host, port and tls, the password, and whether the server runs"},
	{"timed out", "check the address and the firewall; the server may be overloaded, too"},
	{"no answer", "check the address and the firewall; the server may be overloaded, too"},
	{"HTTP 401", TOKEN},
	{"HTTP 403", TOKEN},
	{"NOAUTH", TOKEN},
	{"WRONGPASS", TOKEN},
	{"NOPERM", "the Redis user lacks rights: the manual's SECURITY has the ACL that the daemon needs"},
	{"WRONGTYPE", TYPE},
	{"changed or removed", TYPE},
	{"READONLY", "this is a replica: name the master, or Sentinels that know it"},
	{"OOM command", "Redis is full: raise its maxmemory, or lower file_ttl"},
	{"redirected", "configure the address that the server redirects to"},
	{"HTTP 404", "check host and path: the server does not know this address"},
	{"HTTP 413", "the server takes no file of this size"},
	{"HTTP 429", "the server limits requests; try again later"},
	{"HTTP 507", "the server is full"},
	{"HTTP 5", "the server has a problem of its own; see its log"},
	{"No space left", "free disk space"},
	{"Disk quota", "raise the disk quota of the daemon's user, or free space"},
	{"min_free", "free disk space, or lower min_free"},
	{"max_bytes", "remove files, or raise max_bytes"},
	{"Permission denied", "let the daemon's user write there, also in its unit (ReadWritePaths)"},
	{"Read-only file system", "mount it writable; in the daemon's unit, put the directory into ReadWritePaths"},
	{"No such file or directory", "create the directory, or correct its path"},
	{"Not a directory", "correct the path: it must be a directory"},
	{"connection", "check host, port and tls, the password, and whether the server runs"},
	{"files_size", "wait until files expire, or raise files_size"},
};

const char *failure_hint(const char *error)
{
	for (size_t i = 0; i < sizeof(hints) / sizeof(*hints); i++)
		if (strcasestr(error, hints[i].words))
			return hints[i].hint;
	return "see the daemon's log and the destination's";
}
