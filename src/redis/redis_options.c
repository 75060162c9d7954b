/* Options live as long as the link, whoever read them from a file may be gone: they are copied, and the secret among
 * them does not outlive them in freed memory. */
#include "redis/redis_options.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "redis/redis_link.h"

#define PING_INTERVAL_NS (10 * NS_PER_S)
#define PING_TIMEOUT_NS (5 * NS_PER_S)

static int copy_string(const char **copy, const char *text)
{
	*copy = text ? strdup(text) : NULL;
	return text && !*copy ? -ENOMEM : 0;
}

static void free_string(const char *text)
{
	free((char *)(uintptr_t)text);
}

int redis_options_copy(struct redis_options *copy, const struct redis_options *options)
{
	*copy = (struct redis_options){
		.port = options->port,
		.tls = options->tls,
		.quiet = options->quiet,
		.ping_interval_ns = options->ping_interval_ns ? options->ping_interval_ns : PING_INTERVAL_NS,
		.ping_timeout_ns = options->ping_timeout_ns ? options->ping_timeout_ns : PING_TIMEOUT_NS,
	};
	if (copy_string(&copy->host, options->host) < 0 || copy_string(&copy->username, options->username) < 0 ||
	    copy_string(&copy->auth, options->auth) < 0 || copy_string(&copy->ca_file, options->ca_file) < 0 ||
	    copy_string(&copy->cert_file, options->cert_file) < 0 ||
	    copy_string(&copy->key_file, options->key_file) < 0)
		return -ENOMEM;
	return 0;
}

void redis_options_free(struct redis_options *options)
{
	if (options->auth)
		explicit_bzero((char *)(uintptr_t)options->auth, strlen(options->auth));
	free_string(options->host);
	free_string(options->username);
	free_string(options->auth);
	free_string(options->ca_file);
	free_string(options->cert_file);
	free_string(options->key_file);
}
