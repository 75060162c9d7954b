/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules for strings in the configuration. Each returns the reason to refuse the string, or NULL; it is never empty. */
#pragma once

const char *config_rule_api_token(const char *text); /* a token that is hard to guess */
const char *config_rule_destination(const char *text);
const char *config_rule_host(const char *text);	     /* a bare name or address */
const char *config_rule_host_pair(const char *text); /* HOST=NODE */
const char *config_rule_token(const char *text);     /* is put into a URL's path unchanged */
const char *config_rule_interface(const char *text); /* a name that the kernel accepts */
const char *config_rule_endpoint(const char *text);  /* host:port, with an IPv6 address in brackets */
const char *config_rule_socket(const char *text);    /* a path that fits sockaddr_un */

/* Of [s3], and of requests that override it. */
const char *config_rule_access_id(const char *text);
const char *config_rule_header_word(const char *text); /* printable ASCII without a space */
const char *config_rule_s3_acl(const char *text);
const char *config_rule_s3_bucket(const char *text);   /* may be part of a host name */
const char *config_rule_s3_endpoint(const char *text); /* [scheme://]host[:port][/] */
const char *config_rule_s3_folder(const char *text);
const char *config_rule_s3_override(const char *text); /* the name of a field */
const char *config_rule_s3_region(const char *text);
