/* What a text in the configuration may look like: rules that the table's rows name. */
#include "config/config_rules.h"

#include <ctype.h>
#include <string.h>

/* linux/if.h: ALTIFNAMSIZ is 128 with the NUL; a name proper has 15. */
#define INTERFACE_NAME_MAX 127

const char *config_rule_host(const char *text)
{
	const char *colon = strchr(text, ':');

	if (strchr(text, '/') || strchr(text, '\\'))
		return "must be a bare host name or address, without a scheme or a path";
	if (strpbrk(text, " \t@?#"))
		return "must be a host name or address; it cannot hold a space, '@', '?' or '#'";
	if (colon && colon == strrchr(text, ':'))
		return "must be a host name or address alone; the port has a key of its own";
	return NULL;
}

const char *config_rule_token(const char *text)
{
	if (!strcmp(text, ".") || !strcmp(text, ".."))
		return "cannot be a token: it is a step in a path";
	for (; *text; text++)
		if (!isalnum((unsigned char)*text) && !strchr("_-.~", *text))
			return "has a character that no token has (letters, digits and _ - . ~ are allowed)";
	return NULL;
}

const char *config_rule_interface(const char *text)
{
	if (strlen(text) > INTERFACE_NAME_MAX)
		return "is longer than any interface name";
	if (strpbrk(text, "/ \t"))
		return "is no interface name: it cannot hold a slash or a space";
	return NULL;
}
