/* SPDX-License-Identifier: BSD-2-Clause */
/* The peer is an OpenSSL client of this thread at the other end of a socket pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "net/connection_slots.h"
#include "net/tls_server.h"

#define PATIENCE_MS 30000

static char directory[] = "/tmp/test_tls_server.XXXXXX";

struct identity {
	EVP_PKEY *key;
	X509 *cert;
};

struct fixture {
	struct connection_slots *slots;
	struct connection_slot *slot;
	struct tls_server *tls;
	struct identity server, ca, client, stranger;
	char cert_file[64], key_file[64], ca_file[64];
	_Atomic(const char *)
		failure;       /* of the last handshake; never freed: OpenSSL's and the module's texts are constants */
	char certificate[512]; /* the last report about it */
	unsigned certificates;
};

static void on_failed(void *ctx, const char *network, const char *error)
{
	struct fixture *fixture = ctx;

	assert_string_equal(network, "192.0.2.1");
	atomic_store(&fixture->failure, error);
}

static void on_certificate(void *ctx, const char *cert_file, const char *error)
{
	struct fixture *fixture = ctx;

	assert_string_equal(cert_file, fixture->cert_file);
	snprintf(fixture->certificate, sizeof(fixture->certificate), "%s", error ? error : "changed");
	fixture->certificates++;
}

/* --- certificates --- */

static struct identity make_identity(const char *name, const struct identity *issuer)
{
	struct identity identity = {.key = EVP_EC_gen("P-256"), .cert = X509_new()};
	X509_NAME *subject = X509_get_subject_name(identity.cert);

	assert_int_equal(X509_set_version(identity.cert, X509_VERSION_3), 1);
	ASN1_INTEGER_set(X509_get_serialNumber(identity.cert), issuer ? 2 : 1);
	X509_gmtime_adj(X509_getm_notBefore(identity.cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(identity.cert), 3600);
	X509_set_pubkey(identity.cert, identity.key);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(identity.cert, issuer ? X509_get_subject_name(issuer->cert) : subject);
	if (!issuer) {
		X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");

		X509_add_ext(identity.cert, extension, -1);
		X509_EXTENSION_free(extension);
	}
	assert_true(X509_sign(identity.cert, issuer ? issuer->key : identity.key, EVP_sha256()) > 0);
	return identity;
}

static void free_identity(struct identity *identity)
{
	EVP_PKEY_free(identity->key);
	X509_free(identity->cert);
}

static void write_pem(const char *path, X509 *cert, EVP_PKEY *key)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	if (cert)
		assert_int_equal(PEM_write_X509(file, cert), 1);
	if (key)
		assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
}

static int set_up(void **state)
{
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	bool full;

	assert_non_null(fixture);
	fixture->slots = connection_slots_new(4, 4);
	fixture->slot = connection_slots_take(fixture->slots, "192.0.2.1", &full);
	fixture->ca = make_identity("ca", NULL);
	fixture->server = make_identity("server", &fixture->ca);
	fixture->client = make_identity("client", &fixture->ca);
	fixture->stranger = make_identity("stranger", NULL);
	snprintf(fixture->cert_file, sizeof(fixture->cert_file), "%s/cert.pem", directory);
	snprintf(fixture->key_file, sizeof(fixture->key_file), "%s/key.pem", directory);
	snprintf(fixture->ca_file, sizeof(fixture->ca_file), "%s/ca.pem", directory);
	write_pem(fixture->cert_file, fixture->server.cert, NULL);
	write_pem(fixture->key_file, NULL, fixture->server.key);
	write_pem(fixture->ca_file, fixture->ca.cert, NULL);
	*state = fixture;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fixture = *state;

	tls_server_free(fixture->tls);
	connection_slots_free(fixture->slots);
	free_identity(&fixture->ca);
	free_identity(&fixture->server);
	free_identity(&fixture->client);
	free_identity(&fixture->stranger);
	unlink(fixture->cert_file);
	unlink(fixture->key_file);
	unlink(fixture->ca_file);
	free(fixture);
	return 0;
}

static void start_server(struct fixture *fixture, bool certificates, unsigned handshake_ms)
{
	const struct tls_server_options options = {
		.cert_file = fixture->cert_file,
		.key_file = fixture->key_file,
		.ca_file = certificates ? fixture->ca_file : NULL,
		.handshake_failed = on_failed,
		.certificate_changed = on_certificate,
		.ctx = fixture,
		.handshake_timeout_ms = handshake_ms,
	};
	struct error err;

	fixture->tls = tls_server_new(&options, &err);
	assert_non_null(fixture->tls);
}

/* --- a client --- */

struct client {
	int peer, local; /* the client's end; what the server's user reads */
	SSL_CTX *context;
	SSL *session;
};

static struct client connect_client(struct fixture *fixture)
{
	struct client client = {.context = SSL_CTX_new(TLS_client_method())};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fcntl(pair[1], F_SETFL, O_NONBLOCK), 0);
	client.peer = pair[0];
	client.local = tls_server_start(fixture->tls, pair[1], fixture->slot);
	assert_true(client.local >= 0);
	return client;
}

/* Whether the handshake succeeds, as far as the client knows. */
static bool shake_hands(struct client *client, const struct identity *identity)
{
	if (identity) {
		assert_int_equal(SSL_CTX_use_certificate(client->context, identity->cert), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(client->context, identity->key), 1);
	}
	client->session = SSL_new(client->context);
	SSL_set_fd(client->session, client->peer);
	return SSL_connect(client->session) == 1;
}

static void close_client(struct client *client)
{
	SSL_free(client->session);
	SSL_CTX_free(client->context);
	close(client->peer);
	close(client->local);
}

/* What the server's user reads until its end; "" if nothing came. */
static const char *read_local(const struct client *client)
{
	static char text[256];
	size_t size = 0;
	ssize_t r = 1;

	while (r != 0) {
		struct pollfd polled = {.fd = client->local, .events = POLLIN};

		assert_int_equal(poll(&polled, 1, PATIENCE_MS), 1);
		r = recv(client->local, text + size, sizeof(text) - 1 - size, 0);
		assert_true(r >= 0);
		size += (size_t)r;
	}
	text[size] = '\0';
	return text;
}

/* --- */

static void test_bytes_reach_the_user_up_to_the_clients_end(void **state)
{
	struct fixture *fixture = *state;

	start_server(fixture, false, 0);
	struct client client = connect_client(fixture);
	assert_true(shake_hands(&client, NULL));
	assert_int_equal(SSL_write(client.session, "5 hello", 7), 7);
	SSL_shutdown(client.session);
	assert_string_equal(read_local(&client), "5 hello");
	close_client(&client);
	assert_null(atomic_load(&fixture->failure));
}

static void test_a_client_needs_a_certificate_of_the_authorities(void **state)
{
	struct fixture *fixture = *state;

	start_server(fixture, true, 0);
	struct client known = connect_client(fixture);
	assert_true(shake_hands(&known, &fixture->client));
	assert_int_equal(SSL_write(known.session, "known", 5), 5);
	SSL_shutdown(known.session);
	assert_string_equal(read_local(&known), "known");
	close_client(&known);
	assert_null(atomic_load(&fixture->failure));

	/* In TLS 1.3 a client learns of its refusal after its handshake. */
	struct client unnamed = connect_client(fixture);
	(void)shake_hands(&unnamed, NULL);
	assert_string_equal(read_local(&unnamed), "");
	assert_string_equal(atomic_load(&fixture->failure), "peer did not return a certificate");
	close_client(&unnamed);

	struct client stranger = connect_client(fixture);
	(void)shake_hands(&stranger, &fixture->stranger);
	assert_string_equal(read_local(&stranger), "");
	assert_string_equal(atomic_load(&fixture->failure), "certificate verify failed");
	close_client(&stranger);
	assert_int_equal(tls_server_counts(fixture->tls).failed, 2);
}

static void test_a_handshake_has_a_deadline(void **state)
{
	struct fixture *fixture = *state;

	start_server(fixture, false, 50);
	struct client silent = connect_client(fixture), half = connect_client(fixture);
	assert_int_equal(send(half.peer, "\x16\x03\x01\x02", 4, 0), 4);
	assert_string_equal(read_local(&silent), "");
	assert_string_equal(read_local(&half), "");
	assert_string_equal(atomic_load(&fixture->failure), "it took too long");
	close_client(&silent);
	close_client(&half);
}

static void test_an_open_connection_has_no_deadline_of_the_handshake(void **state)
{
	struct fixture *fixture = *state;

	start_server(fixture, false, 1000);
	struct client open = connect_client(fixture), silent = connect_client(fixture);
	assert_true(shake_hands(&open, NULL));
	assert_string_equal(read_local(&silent), ""); /* the deadline of both has passed */
	assert_int_equal(SSL_write(open.session, "still here", 10), 10);
	SSL_shutdown(open.session);
	assert_string_equal(read_local(&open), "still here");
	close_client(&open);
	close_client(&silent);
}

static void test_files_are_read_again_and_faulty_ones_change_nothing(void **state)
{
	struct fixture *fixture = *state;

	start_server(fixture, true, 0);
	write_pem(fixture->ca_file, fixture->stranger.cert, NULL);
	struct client client = connect_client(fixture);
	assert_string_equal(fixture->certificate, "changed");
	assert_true(shake_hands(&client, &fixture->stranger));
	SSL_shutdown(client.session);
	assert_string_equal(read_local(&client), "");
	assert_null(atomic_load(&fixture->failure));
	close_client(&client);

	assert_int_equal(truncate(fixture->ca_file, 0), 0);
	client = connect_client(fixture);
	assert_non_null(strstr(fixture->certificate, "authorities /tmp/"));
	assert_int_equal(fixture->certificates, 2);
	assert_true(shake_hands(&client, &fixture->stranger));
	close_client(&client);
}

int main(void)
{
#define IN_FIXTURE(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		IN_FIXTURE(test_bytes_reach_the_user_up_to_the_clients_end),
		IN_FIXTURE(test_a_client_needs_a_certificate_of_the_authorities),
		IN_FIXTURE(test_a_handshake_has_a_deadline),
		IN_FIXTURE(test_an_open_connection_has_no_deadline_of_the_handshake),
		IN_FIXTURE(test_files_are_read_again_and_faulty_ones_change_nothing),
	};

	if (!mkdtemp(directory))
		return 1;
	const int failed = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(directory);
	return failed;
}
