/* SPDX-License-Identifier: BSD-2-Clause */
/*
 *   peer ── TCP, TLS ── [buffer of 16 KiB each way] ── local socket ── the user, on the loop
 *
 * A relay begins as waiting: it shakes hands once the rates allow it, those of its peer's network and of all. Then it
 * moves bytes both ways. Its two events are edge-triggered for reading and writing, so each of them moves bytes until
 * both sockets have no more, or take no more. If one direction cannot go on, its source is not read: back-pressure
 * passes through.
 *
 * A handshake must end in time. Later deadlines are the user's: it closes its end, and the relay follows; a relay
 * whose user has closed has a time of its own to deliver what is left.
 *
 * The loop hands relays over through the mailbox of the thread's own event base; nothing comes back but the end of the
 * local socket and a slot that is let go.
 */
#include "net/tls_server.h"

#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/file_stamp.h"
#include "base/lru_table.h"
#include "base/mailbox.h"
#include "base/token_bucket.h"
#include "net/connection_slots.h"

#define RELAY_BYTES (16 * 1024)	 /* one TLS record */
#define SOCKET_BYTES (64 * 1024) /* of the local socket, each way; the kernel doubles it */
#define MOVES_MAX 16		 /* of a relay before others have their turn; more than a socket holds */
#define WAIT_TICK_MS 20		 /* between looks at the relays that wait */
#define STACK_BYTES ((size_t)256 * 1024)

CLEANUP_DEFINE(ssl_ctx, SSL_CTX, SSL_CTX_free)

struct direction {
	uint8_t bytes[RELAY_BYTES];
	size_t at, size; /* bytes[at] to bytes[size] wait for their target */
	bool ended;	 /* the source sends no more */
	bool closed;	 /* and the target has been notified */
};

enum relay_state { RELAY_WAITING, RELAY_SHAKING_HANDS, RELAY_OPEN };

struct relay {
	struct mailbox_message message;
	TAILQ_ENTRY(relay) list; /* `waiting` or `relays` */
	struct tls_server *tls;
	enum relay_state state;
	int peer, local;
	struct connection_slot *slot;
	SSL_CTX *context; /* NULL once there is a session */
	SSL *session;
	struct event *peer_event, *local_event;
	struct event *timer; /* pending until hands are shaken, and once the user has closed */
	bool lingers;
	bool delayed; /* counted as such */
	bool failed;  /* nothing more goes over TLS */
	struct direction in, out;
};

TAILQ_HEAD(relay_list, relay);

struct peer_rate {
	struct lru_entry entry; /* key: the network */
	struct token_bucket bucket;
};

struct tls_server {
	struct tls_server_options options; /* its callbacks */
	struct timeval handshake_timeout;

	/* loop's thread */
	char *cert_file, *key_file, *ca_file;
	struct file_stamp cert_stamp, key_stamp, ca_stamp;
	SSL_CTX *context;
	pthread_t thread;
	bool started;
	struct mailbox_message stop;

	/* the TLS thread, once it has started */
	struct event_base *base;
	struct mailbox *mailbox; /* any thread posts */
	struct event *tick;	 /* pending while any relay waits */
	struct relay_list waiting, relays;
	struct lru_table *peers;
	struct token_bucket all;
	bool stopping;

	_Atomic uint64_t delayed, failed;
};

/* --- a relay's life --- */

static void free_relay(struct relay *relay)
{
	if (relay->peer_event)
		event_free(relay->peer_event);
	if (relay->local_event)
		event_free(relay->local_event);
	if (relay->timer)
		event_free(relay->timer);
	SSL_free(relay->session);
	SSL_CTX_free(relay->context);
	close(relay->local);
	close(relay->peer);
	connection_slot_release(relay->slot);
	free(relay);
}

static void end_relay(struct relay *relay)
{
	struct tls_server *tls = relay->tls;

	TAILQ_REMOVE(relay->state == RELAY_WAITING ? &tls->waiting : &tls->relays, relay, list);
	free_relay(relay);
}

/* Which ends there are: POLLRDHUP, POLLHUP, POLLERR. */
static short poll_ends(int fd)
{
	struct pollfd polled = {.fd = fd, .events = POLLRDHUP};

	return poll(&polled, 1, 0) > 0 ? polled.revents : 0;
}

/* --- moving bytes --- */

enum result { RESULT_DONE, RESULT_LATER, RESULT_END, RESULT_BROKEN };

static enum result result_of(const struct relay *relay, int r)
{
	switch (SSL_get_error(relay->session, r)) {
	case SSL_ERROR_NONE:
		return RESULT_DONE;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE: /* any event on the socket leads to another try */
		return RESULT_LATER;
	case SSL_ERROR_ZERO_RETURN:
		return RESULT_END;
	default:
		return RESULT_BROKEN;
	}
}

static enum result result_of_local(ssize_t r)
{
	if (r > 0)
		return RESULT_DONE;
	if (r == 0)
		return RESULT_END;
	return errno == EAGAIN || errno == EINTR ? RESULT_LATER : RESULT_BROKEN;
}

static bool set_filled(struct direction *direction, ssize_t size, enum result result)
{
	if (result == RESULT_DONE) {
		direction->at = 0;
		direction->size = (size_t)size;
	}
	direction->ended = result == RESULT_END;
	return result == RESULT_DONE || result == RESULT_END;
}

static bool set_taken(struct direction *direction, ssize_t size, enum result result)
{
	if (result == RESULT_DONE)
		direction->at += (size_t)size;
	return result == RESULT_DONE;
}

static bool is_empty(const struct direction *direction)
{
	return direction->at == direction->size;
}

/* These two return whether they have moved any bytes. */

static bool move_in(struct relay *relay)
{
	struct direction *in = &relay->in;
	bool moved = false;

	if (is_empty(in) && !in->ended) {
		ERR_clear_error();
		const int r = SSL_read(relay->session, in->bytes, sizeof(in->bytes));
		const enum result result = result_of(relay, r);

		/* A peer that has gone without a word may have sent a request: the user reads it before it sees the
		 * end. */
		relay->failed = result == RESULT_BROKEN;
		moved = set_filled(in, r, relay->failed ? RESULT_END : result);
	}
	if (!is_empty(in)) {
		const ssize_t r = send(relay->local, in->bytes + in->at, in->size - in->at, MSG_NOSIGNAL);
		const enum result result = result_of_local(r);

		if (result == RESULT_BROKEN) /* the user has closed; its answer may still be on the way */
			in->at = in->size;
		moved |= set_taken(in, r, result);
	}
	if (is_empty(in) && in->ended && !in->closed) {
		in->closed = true;
		shutdown(relay->local, SHUT_WR);
	}
	return moved;
}

/* `*broken` if there are bytes that cannot be sent. */
static bool move_out(struct relay *relay, bool *broken)
{
	struct direction *out = &relay->out;
	bool moved = false;

	if (is_empty(out) && !out->ended) {
		const ssize_t r = recv(relay->local, out->bytes, sizeof(out->bytes), 0);
		const enum result result = result_of_local(r);

		/* The user may close with bytes unread: that is an end, too. */
		moved = set_filled(out, r, result == RESULT_BROKEN ? RESULT_END : result);
	}
	if (!is_empty(out) && relay->failed) {
		*broken = true;
	} else if (!is_empty(out)) {
		ERR_clear_error();
		const int r = SSL_write(relay->session, out->bytes + out->at, (int)(out->size - out->at));
		const enum result result = result_of(relay, r);

		moved |= set_taken(out, r, result);
		*broken = result == RESULT_BROKEN || result == RESULT_END;
	}
	if (is_empty(out) && out->ended && !out->closed) {
		ERR_clear_error();
		out->closed = true;
		if (!relay->failed)
			(void)SSL_shutdown(relay->session);
		shutdown(relay->peer, SHUT_WR);
	}
	return moved;
}

/* The user has closed: what it wrote last still goes out, as long as the peer takes it. */
static void linger(struct relay *relay, bool sent)
{
	static const struct timeval timeout = {.tv_sec = TLS_LINGER_S};

	if (sent || !relay->lingers)
		(void)event_add(relay->timer, &timeout);
	relay->lingers = true;
}

/* False: the relay must end. */
static bool move_bytes(struct relay *relay)
{
	bool broken = false, received = true, sent = true, any_sent = false;

	for (int i = 0; i < MOVES_MAX && !broken && (received || sent); i++) {
		received = move_in(relay);
		sent = move_out(relay, &broken);
		any_sent |= sent;
	}
	if (broken || (relay->in.closed && relay->out.closed))
		return false;
	if (poll_ends(relay->local) & POLLHUP) {
		if (relay->out.closed)
			return false;
		linger(relay, any_sent);
	}
	if (received || sent)
		event_active(relay->local_event, EV_WRITE, 0);
	return true;
}

static const char *last_error(void)
{
	const unsigned long code = ERR_peek_last_error();
	const char *text = ERR_GET_LIB(code) == ERR_LIB_SYS ? strerror(ERR_GET_REASON(code)) : NULL;

	if (!text && code)
		text = ERR_reason_error_string(code);
	return text ? text : "the connection ended";
}

static void count_failure(const struct relay *relay, const char *error)
{
	const struct tls_server_options *options = &relay->tls->options;

	atomic_fetch_add_explicit(&relay->tls->failed, 1, memory_order_relaxed);
	if (options->handshake_failed)
		options->handshake_failed(options->ctx, relay->slot->network, error);
}

/* False: it has failed, or the user has given up on it. */
static bool shake_hands(struct relay *relay)
{
	if (poll_ends(relay->local))
		return false;
	ERR_clear_error();
	const enum result result = result_of(relay, SSL_accept(relay->session));
	if (result == RESULT_DONE) {
		relay->state = RELAY_OPEN;
		(void)event_del(relay->timer);
		return true;
	}
	if (result == RESULT_LATER)
		return true;
	count_failure(relay, last_error());
	return false;
}

static void on_event(evutil_socket_t fd, short events, void *ctx)
{
	struct relay *relay = ctx;
	bool goes_on = true;

	(void)fd;
	(void)events;
	if (relay->state == RELAY_WAITING)
		goes_on = !poll_ends(relay->local) && !poll_ends(relay->peer);
	if (relay->state == RELAY_SHAKING_HANDS)
		goes_on = shake_hands(relay);
	if (goes_on && relay->state == RELAY_OPEN)
		goes_on = move_bytes(relay);
	if (!goes_on)
		end_relay(relay);
}

static void on_timeout(evutil_socket_t fd, short events, void *ctx)
{
	struct relay *relay = ctx;

	(void)fd;
	(void)events;
	if (relay->state != RELAY_OPEN)
		count_failure(relay, "it took too long");
	end_relay(relay);
}

/* --- handshakes, as the rates allow --- */

/* A network that cannot be remembered has no rate of its own. */
static bool take_of_peer(struct tls_server *tls, const char *network, uint64_t now_ns)
{
	bool is_new;
	struct peer_rate *peer = (struct peer_rate *)(void *)lru_table_touch(tls->peers, network, &is_new);

	if (!peer)
		return true;
	if (is_new)
		token_bucket_init_burst(&peer->bucket, TLS_PEER_HANDSHAKES_PER_S, TLS_PEER_HANDSHAKES_BURST, now_ns);
	return token_bucket_take_burst(&peer->bucket, TLS_PEER_HANDSHAKES_PER_S, TLS_PEER_HANDSHAKES_BURST, now_ns);
}

static void start_handshake(struct relay *relay)
{
	struct tls_server *tls = relay->tls;

	relay->session = SSL_new(relay->context);
	SSL_CTX_free(take(relay->context));
	if (!relay->session || SSL_set_fd(relay->session, relay->peer) != 1) {
		end_relay(relay);
		return;
	}
	TAILQ_REMOVE(&tls->waiting, relay, list);
	TAILQ_INSERT_TAIL(&tls->relays, relay, list);
	relay->state = RELAY_SHAKING_HANDS;
	event_active(relay->peer_event, EV_READ, 0);
}

/* In the order of their arrival; those of a peer that is over its rate are passed by. */
static void start_handshakes(struct tls_server *tls)
{
	static const struct timeval tick = {.tv_usec = WAIT_TICK_MS * 1000};
	const uint64_t now_ns = clock_boottime_ns();
	struct relay *relay, *next;
	bool all_taken = false;

	for (relay = TAILQ_FIRST(&tls->waiting); relay; relay = next) {
		next = TAILQ_NEXT(relay, list);
		if (!all_taken && take_of_peer(tls, relay->slot->network, now_ns)) {
			all_taken = !token_bucket_take(&tls->all, TLS_HANDSHAKES_PER_S, now_ns);
			if (!all_taken) {
				start_handshake(relay);
				continue;
			}
		}
		if (!relay->delayed)
			atomic_fetch_add_explicit(&tls->delayed, 1, memory_order_relaxed);
		relay->delayed = true;
	}
	if (!TAILQ_EMPTY(&tls->waiting))
		(void)event_add(tls->tick, &tick);
}

static void on_tick(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	start_handshakes(ctx);
}

/* --- the thread --- */

static void begin_relay(struct tls_server *tls, struct relay *relay)
{
	const short wanted = EV_READ | EV_WRITE | EV_ET | EV_PERSIST;

	relay->peer_event = event_new(tls->base, relay->peer, wanted, on_event, relay);
	relay->local_event = event_new(tls->base, relay->local, wanted, on_event, relay);
	relay->timer = evtimer_new(tls->base, on_timeout, relay);
	if (!relay->peer_event || !relay->local_event || !relay->timer || event_add(relay->peer_event, NULL) < 0 ||
	    event_add(relay->local_event, NULL) < 0 || event_add(relay->timer, &tls->handshake_timeout) < 0) {
		free_relay(relay);
		return;
	}
	TAILQ_INSERT_TAIL(&tls->waiting, relay, list);
	start_handshakes(tls);
}

static void on_message(void *ctx, struct mailbox_message *message)
{
	struct tls_server *tls = ctx;

	if (message == &tls->stop) {
		tls->stopping = true;
		event_base_loopbreak(tls->base);
	} else if (tls->stopping) {
		free_relay((struct relay *)(void *)message);
	} else {
		begin_relay(tls, (struct relay *)(void *)message);
	}
}

static void *run(void *ctx)
{
	const struct tls_server *tls = ctx;

	pthread_setname_np(pthread_self(), "pcapd-tls");
	(void)event_base_loop(tls->base, EVLOOP_NO_EXIT_ON_EMPTY);
	return NULL;
}

static int start_thread(struct tls_server *tls)
{
	sigset_t all, before;
	pthread_attr_t attributes;

	if (pthread_attr_init(&attributes) != 0)
		return -EAGAIN;
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	tls->started = pthread_create(&tls->thread, &attributes, run, tls) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return tls->started ? 0 : -EAGAIN;
}

/* --- the loop's side --- */

/* A key with a passphrase is refused; without this, OpenSSL asks for it on the terminal. */
static int no_passphrase(char *text, int size, int writing, void *ctx)
{
	(void)text;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

/* False: the file can't be read. */
static bool demand_certificates(SSL_CTX *context, const char *ca_file)
{
	STACK_OF(X509_NAME) *names = SSL_load_client_CA_file(ca_file);

	if (!names || SSL_CTX_load_verify_locations(context, ca_file, NULL) != 1) {
		sk_X509_NAME_pop_free(names, X509_NAME_free);
		return false;
	}
	SSL_CTX_set_client_CA_list(context, names);
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	return true;
}

static SSL_CTX *load_context(const struct tls_server *tls, struct error *err)
{
	cleanup(cleanup_ssl_ctx) SSL_CTX *context = NULL;

	ERR_clear_error();
	context = SSL_CTX_new(TLS_server_method());
	if (!context || SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) {
		error_set(err, -ENOMEM, "TLS: %s", last_error());
		return NULL;
	}
	SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
					  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	/* A client that only writes would leave a ticket unread, so that its close discards what is on its way. */
	SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
	(void)SSL_CTX_set_num_tickets(context, 0);
	SSL_CTX_set_default_passwd_cb(context, no_passphrase);
	if (SSL_CTX_use_certificate_chain_file(context, tls->cert_file) != 1)
		error_set(err, -EINVAL, "certificate %s: %s", tls->cert_file, last_error());
	else if (SSL_CTX_use_PrivateKey_file(context, tls->key_file, SSL_FILETYPE_PEM) != 1)
		error_set(err, -EINVAL, "key %s: %s", tls->key_file, last_error());
	else if (*tls->ca_file && !demand_certificates(context, tls->ca_file))
		error_set(err, -EINVAL, "authorities %s: %s", tls->ca_file, last_error());
	else
		return take(context);
	return NULL;
}

/* False: they are as before. */
static bool look_at_files(struct tls_server *tls)
{
	const struct file_stamp cert = file_stamp_read(tls->cert_file), key = file_stamp_read(tls->key_file),
				ca = file_stamp_read(tls->ca_file);

	if (file_stamp_equal(&cert, &tls->cert_stamp) && file_stamp_equal(&key, &tls->key_stamp) &&
	    file_stamp_equal(&ca, &tls->ca_stamp))
		return false;
	tls->cert_stamp = cert;
	tls->key_stamp = key;
	tls->ca_stamp = ca;
	return true;
}

/* Connections go on with the certificate that they began with. */
static void renew_context(struct tls_server *tls)
{
	struct error err;
	SSL_CTX *context = load_context(tls, &err);

	if (context) {
		SSL_CTX_free(tls->context);
		tls->context = context;
	}
	if (tls->options.certificate_changed)
		tls->options.certificate_changed(tls->options.ctx, tls->cert_file, context ? NULL : err.text);
}

struct tls_server *tls_server_new(const struct tls_server_options *options, struct error *err)
{
	const unsigned handshake_ms =
		options->handshake_timeout_ms ? options->handshake_timeout_ms : TLS_HANDSHAKE_TIMEOUT_MS;
	cleanup(cleanup_tls_server) struct tls_server *tls = calloc(1, sizeof(*tls));

	if (tls) {
		TAILQ_INIT(&tls->waiting);
		TAILQ_INIT(&tls->relays);
		token_bucket_init(&tls->all, clock_boottime_ns());
		tls->options = *options;
		tls->handshake_timeout = (struct timeval){handshake_ms / 1000, handshake_ms % 1000 * 1000};
		tls->cert_file = strdup(options->cert_file);
		tls->key_file = strdup(options->key_file);
		tls->ca_file = strdup(options->ca_file ? options->ca_file : "");
		tls->peers = lru_table_new(TLS_PEERS_MAX, sizeof(struct peer_rate));
		tls->base = event_base_new();
		tls->mailbox = tls->base ? mailbox_new(tls->base, on_message, tls) : NULL;
		tls->tick = tls->base ? evtimer_new(tls->base, on_tick, tls) : NULL;
	}
	if (!tls || !tls->cert_file || !tls->key_file || !tls->ca_file || !tls->peers || !tls->mailbox || !tls->tick) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	(void)look_at_files(tls);
	tls->context = load_context(tls, err);
	if (!tls->context)
		return NULL;
	if (start_thread(tls) < 0) {
		error_set(err, -EAGAIN, "cannot start the thread for TLS");
		return NULL;
	}
	return take(tls);
}

static void end_relays(struct relay_list *relays)
{
	struct relay *relay;

	while ((relay = TAILQ_FIRST(relays))) {
		if (relay->state == RELAY_OPEN)
			(void)move_bytes(relay);
		end_relay(relay);
	}
}

void tls_server_free(struct tls_server *tls)
{
	if (!tls)
		return;
	if (tls->started) {
		mailbox_post(tls->mailbox, &tls->stop);
		pthread_join(tls->thread, NULL);
	}
	tls->stopping = true;
	end_relays(&tls->waiting);
	end_relays(&tls->relays);
	if (tls->tick)
		event_free(tls->tick);
	if (tls->mailbox)
		mailbox_free(tls->mailbox);
	if (tls->base)
		event_base_free(tls->base);
	lru_table_free(tls->peers);
	SSL_CTX_free(tls->context);
	free(tls->cert_file);
	free(tls->key_file);
	free(tls->ca_file);
	free(tls);
}

int tls_server_start(struct tls_server *tls, int fd, struct connection_slot *slot)
{
	struct relay *relay = calloc(1, sizeof(*relay));
	int pair[2], size = SOCKET_BYTES;

	if (!relay || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0) {
		const int r = relay ? -errno : -ENOMEM;

		free(relay);
		close(fd);
		return r;
	}
	if (look_at_files(tls))
		renew_context(tls);
	(void)setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	(void)setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	relay->tls = tls;
	relay->peer = fd;
	relay->local = pair[0];
	relay->slot = slot;
	relay->context = tls->context;
	SSL_CTX_up_ref(relay->context);
	connection_slot_hold(slot);
	mailbox_post(tls->mailbox, &relay->message);
	return pair[1];
}

struct tls_server_counts tls_server_counts(const struct tls_server *tls)
{
	return (struct tls_server_counts){
		.delayed = atomic_load_explicit(&tls->delayed, memory_order_relaxed),
		.failed = atomic_load_explicit(&tls->failed, memory_order_relaxed),
	};
}
