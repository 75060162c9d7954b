/* SPDX-License-Identifier: BSD-2-Clause */
/* What a text in the configuration may look like. Each returns what is wrong with it, or NULL; the text is not empty.
 */
#pragma once

const char *config_rule_host(const char *text);	     /* a name or an address, nothing around it */
const char *config_rule_token(const char *text);     /* goes into a URL path as it is */
const char *config_rule_interface(const char *text); /* what the kernel takes for a name */
const char *config_rule_endpoint(const char *text);  /* host:port, the address of IPv6 in brackets */
const char *config_rule_socket(const char *text);    /* a path that fits sockaddr_un */
