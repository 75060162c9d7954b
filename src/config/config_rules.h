/* SPDX-License-Identifier: BSD-2-Clause */
/* Rules for strings in the configuration. Each returns the reason to refuse the string, or NULL; it is never empty. */
#pragma once

const char *config_rule_api_token(const char *text);	    /* a token that is hard to guess */
const char *config_rule_destination(const char *text);	    /* could be one's name */
const char *config_rule_destination_name(const char *text); /* is free for a [[destination]] */
const char *config_rule_host(const char *text);		    /* a bare name or address */
const char *config_rule_host_pair(const char *text);	    /* HOST=NODE */
const char *config_rule_token(const char *text);	    /* is put into a URL's path unchanged */
const char *config_rule_interface(const char *text);	    /* a name that the kernel accepts */
const char *config_rule_endpoint(const char *text);	    /* host:port, with an IPv6 address in brackets */
const char *config_rule_socket(const char *text);	    /* a path that fits sockaddr_un */
const char *config_rule_http_url(const char *text);	    /* http:// or https://, placeholders only after the host */
const char *config_rule_header(const char *text);	    /* "Name: value" with placeholders */
const char *config_rule_form(const char *text);		    /* "name=value" with placeholders */
const char *config_rule_bearer(const char *text);	    /* a token as in RFC 6750 */
const char *config_rule_sftp_path(const char *text);	    /* a path with placeholders */
const char *config_rule_fingerprint(const char *text);	    /* of a key: SHA-256 in base64, "SHA256:" or not */
const char *config_rule_plain_header(const char *text);	    /* "Name: value" */
const char *config_rule_event(const char *text);	    /* a kind of event */
const char *config_rule_web_url(const char *text);	    /* the beginning of links: http or https */

/* Of [s3], and of requests that override it. */
const char *config_rule_access_id(const char *text);
const char *config_rule_header_word(const char *text); /* printable ASCII without a space */
const char *config_rule_s3_acl(const char *text);
const char *config_rule_s3_bucket(const char *text);   /* may be part of a host name */
const char *config_rule_s3_endpoint(const char *text); /* [scheme://]host[:port][/] */
const char *config_rule_s3_folder(const char *text);
const char *config_rule_s3_override(const char *text); /* the name of a field */
const char *config_rule_s3_region(const char *text);
