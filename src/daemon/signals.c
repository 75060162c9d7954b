/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One table (signal(7), those whose default is to end the process), and the real-time signals. Missing on purpose:
 * SIGKILL cannot be caught; SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP and SIGABRT mean a crash; SIGPIPE and
 * SIGXFSZ make a write fail instead.
 */
#include "daemon/signals.h"

#include <event2/event.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"

static const int stop_signals[] = {SIGTERM, SIGINT,    SIGQUIT, SIGUSR2, SIGALRM, SIGVTALRM,
				   SIGPROF, SIGSTKFLT, SIGIO,	SIGPWR,	 SIGXCPU};

#define STOP_SIGNALS (sizeof(stop_signals) / sizeof(*stop_signals))

struct signals {
	struct signal_handler handler;
	size_t count;
	struct event *events[_NSIG];
};

static void on_stop(evutil_socket_t number, short what, void *ctx)
{
	const struct signals *signals = ctx;

	(void)what;
	signals->handler.stop(signals->handler.ctx, strsignal(number),
			      number == SIGTERM || number == SIGINT || number == SIGQUIT);
}

static void on_status(evutil_socket_t number, short what, void *ctx)
{
	const struct signals *signals = ctx;

	(void)number;
	(void)what;
	signals->handler.status(signals->handler.ctx);
}

static void on_ignored(evutil_socket_t number, short what, void *ctx)
{
	(void)what;
	(void)ctx;
	log_notice("signal-ignored", log_str("signal", strsignal(number)),
		   log_str("hint", "the configuration is not read again; restart the daemon"));
}

static bool add(struct signals *signals, struct event_base *loop, int number, event_callback_fn callback)
{
	struct event *event = evsignal_new(loop, number, callback, signals);

	if (!event)
		return false;
	signals->events[signals->count++] = event;
	return event_add(event, NULL) == 0;
}

struct signals *signals_new(struct event_base *loop, const struct signal_handler *handler)
{
	cleanup(cleanup_signals) struct signals *signals = calloc(1, sizeof(*signals));

	if (!signals)
		return NULL;
	signals->handler = *handler;
	for (size_t i = 0; i < STOP_SIGNALS; i++)
		if (!add(signals, loop, stop_signals[i], on_stop))
			return NULL;
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		if (!add(signals, loop, number, on_stop))
			return NULL;
	if (!add(signals, loop, SIGHUP, on_ignored) || !add(signals, loop, SIGUSR1, on_status))
		return NULL;
	signal(SIGXFSZ, SIG_IGN); /* let a file size limit fail the write instead of killing us */
	return take(signals);
}

void signals_block(void)
{
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < STOP_SIGNALS; i++)
		sigaddset(&signals, stop_signals[i]);
	for (int number = SIGRTMIN; number <= SIGRTMAX; number++)
		sigaddset(&signals, number);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

void signals_free(struct signals *signals)
{
	if (!signals)
		return;
	for (size_t i = 0; i < signals->count; i++)
		event_free(signals->events[i]);
	free(signals);
}
