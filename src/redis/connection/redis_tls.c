/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hiredis can make TLS sessions itself, but accepts any name in the certificate and reports a refused certificate as
 * "Success". So the session is made here, with the expected name, and its failure is read here.
 */
#include "redis/connection/redis_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "redis/connection/redis_options.h"

CLEANUP_DEFINE(ssl_ctx, SSL_CTX, SSL_CTX_free)
CLEANUP_DEFINE(ssl, SSL, SSL_free)

static bool is_set(const char *text)
{
	return text && *text;
}

static const char *last_error(void)
{
	unsigned long code = ERR_peek_last_error();
	const char *text = ERR_GET_LIB(code) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(code)) : NULL;

	if (!text && code)
		text = ERR_reason_error_string(code);
	return text ? text : "unknown error";
}

static int load_client_certificate(SSL_CTX *context, const struct redis_options *options, struct error *err)
{
	if (!is_set(options->cert_file) && !is_set(options->key_file))
		return 0;
	if (!is_set(options->cert_file) || !is_set(options->key_file))
		return error_set(err, -EINVAL, "a client certificate needs both cert_file and key_file");
	if (SSL_CTX_use_certificate_chain_file(context, options->cert_file) != 1)
		return error_set(err, -EINVAL, "certificate %s: %s", options->cert_file, last_error());
	if (SSL_CTX_use_PrivateKey_file(context, options->key_file, SSL_FILETYPE_PEM) != 1)
		return error_set(err, -EINVAL, "key %s: %s", options->key_file, last_error());
	return 0;
}

static int load_authorities(SSL_CTX *context, const struct redis_options *options, struct error *err)
{
	if (!is_set(options->ca_file)) {
		if (SSL_CTX_set_default_verify_paths(context) != 1)
			return error_set(err, -EINVAL, "the system's certificate authorities: %s", last_error());
		return 0;
	}
	if (SSL_CTX_load_verify_locations(context, options->ca_file, NULL) != 1)
		return error_set(err, -EINVAL, "certificate authorities %s: %s", options->ca_file, last_error());
	return 0;
}

SSL_CTX *redis_tls_context(const struct redis_options *options, struct error *err)
{
	cleanup(cleanup_ssl_ctx) SSL_CTX *context = NULL;

	ERR_clear_error();
	context = SSL_CTX_new(TLS_client_method());
	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
		error_set(err, -ENOMEM, "TLS: %s", last_error());
		return NULL;
	}
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
	if (load_authorities(context, options, err) < 0 || load_client_certificate(context, options, err) < 0)
		return NULL;
	return take(context);
}

static bool is_address(const char *host)
{
	struct in6_addr address;

	return inet_pton(AF_INET, host, &address) == 1 || inet_pton(AF_INET6, host, &address) == 1;
}

/* --- the alternative name --- */

static int alternative_name_index = -1;

static void free_alternative_name(void *parent, void *name, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)argl;
	(void)argp;
	free(name);
}

/* OpenSSL requires the expected address *and* the expected name in a certificate. Here one is enough: a mismatch with
 * `host` is forgiven if `alternative_name` matches. */
static int verify_either_name(int ok, X509_STORE_CTX *store)
{
	const SSL *session = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	int error = X509_STORE_CTX_get_error(store);
	const char *alternative_name;

	if (ok || (error != X509_V_ERR_HOSTNAME_MISMATCH && error != X509_V_ERR_IP_ADDRESS_MISMATCH))
		return ok;
	alternative_name = session ? SSL_get_ex_data(session, alternative_name_index) : NULL;
	if (!alternative_name || X509_check_host(X509_STORE_CTX_get0_cert(store), alternative_name, 0,
						 X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) != 1)
		return 0;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static int set_alternative_name(SSL *session, const char *alternative_name)
{
	cleanup(cleanup_free) char *copy = NULL;

	if (!is_set(alternative_name) || is_address(alternative_name))
		return 1;
	if (alternative_name_index < 0)
		alternative_name_index = SSL_get_ex_new_index(0, NULL, NULL, NULL, free_alternative_name);
	copy = strdup(alternative_name);
	if (alternative_name_index < 0 || !copy || SSL_set_ex_data(session, alternative_name_index, copy) != 1)
		return 0;
	copy = NULL; /* owned by the session now */
	SSL_set_verify(session, SSL_VERIFY_PEER, verify_either_name);
	return 1;
}

SSL *redis_tls_session(SSL_CTX *context, const char *host, const char *alternative_name, struct error *err)
{
	cleanup(cleanup_ssl) SSL *session = NULL;
	int done;

	ERR_clear_error();
	session = SSL_new(context);
	if (!session)
		goto fail;
	if (is_address(host)) {
		done = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(session), host);
	} else {
		SSL_set_hostflags(session, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
		/* OpenSSL's macro takes the name as a void pointer that it does not write through. */
		done = SSL_set1_host(session, host) == 1 &&
		       SSL_set_tlsext_host_name(session, (void *)(uintptr_t)host) == 1;
	}
	if (done == 1 && set_alternative_name(session, alternative_name) == 1)
		return take(session);
fail:
	error_set(err, -ENOMEM, "TLS: %s", last_error());
	return NULL;
}

bool redis_tls_failure(const SSL *session, struct error *err)
{
	long verdict = SSL_get_verify_result(session);

	if (verdict != X509_V_OK) {
		error_set(err, -EPROTO, "TLS: the server's certificate is refused: %s",
			  X509_verify_cert_error_string(verdict));
		return true;
	}
	if (ERR_peek_last_error() == 0)
		return false;
	error_set(err, -EPROTO, "TLS: %s", last_error());
	return true;
}
