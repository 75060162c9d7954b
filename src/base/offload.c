/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A queue under a mutex, and up to `threads` threads that serve it; each finished task returns to the loop as a
 * message. A thread is started when tasks outnumber threads, so an unused pool costs nothing. Threads live as long as
 * the pool and block every signal.
 *
 * Waiting tasks are counted as tasks minus threads, so whether a submit is refused does not depend on how fast a thread
 * takes its task off the queue.
 */
#include "base/offload.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>

#include "base/container_of.h"

/*
 * Address space; only touched pages take memory. pcap_compile() recurses over a filter's blocks, about 0.5 KiB per
 * term: "port 1 or port 2 or …" of 8 KiB overflows 256 KiB.
 */
#define STACK_BYTES (8 * 1024 * 1024)
#define NAME_SIZE 16 /* the kernel's limit, NUL included */

struct offload {
	char name[NAME_SIZE];
	size_t queue_cap;
	unsigned threads_cap;
	unsigned threads; /* started; loop thread only */
	struct mailbox *finished;

	pthread_mutex_t lock; /* guards what follows */
	pthread_cond_t changed;
	struct mailbox_message *first, *last;
	size_t unfinished; /* queued or running */
	bool ending;

	pthread_t ids[];
};

static struct offload_task *task_of(struct mailbox_message *message)
{
	return container_of(message, struct offload_task, message);
}

/* Waits for the next task; NULL once the pool ends and the queue is empty. */
static struct offload_task *next_task(struct offload *offload)
{
	pthread_mutex_lock(&offload->lock);
	while (!offload->first && !offload->ending)
		pthread_cond_wait(&offload->changed, &offload->lock);
	struct mailbox_message *message = offload->first;
	if (message)
		offload->first = message->next;
	pthread_mutex_unlock(&offload->lock);
	return message ? task_of(message) : NULL;
}

static void *work(void *ctx)
{
	struct offload *offload = ctx;
	struct offload_task *task;

	pthread_setname_np(pthread_self(), offload->name);
	while ((task = next_task(offload))) {
		task->run(task);

		pthread_mutex_lock(&offload->lock);
		offload->unfinished--;
		pthread_mutex_unlock(&offload->lock);
		mailbox_post(offload->finished, &task->message);
	}
	return NULL;
}

static void on_finished(void *ctx, struct mailbox_message *message)
{
	struct offload_task *task = task_of(message);

	(void)ctx;
	task->done(task);
}

/* A thread inherits its creator's signal mask: signals stay with the loop. */
static bool start_thread(struct offload *offload)
{
	pthread_attr_t attr;
	sigset_t all, before;

	if (pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setstacksize(&attr, STACK_BYTES);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	bool started = pthread_create(&offload->ids[offload->threads], &attr, work, offload) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);

	if (started)
		offload->threads++;
	return started;
}

int offload_submit(struct offload *offload, struct offload_task *task)
{
	struct mailbox_message *message = &task->message;
	int r = 0;

	pthread_mutex_lock(&offload->lock);
	if (offload->unfinished >= offload->threads && offload->threads < offload->threads_cap && !offload->ending)
		start_thread(offload); /* if this fails, the running threads must do */
	if (offload->threads == 0 || offload->ending)
		r = -EAGAIN;
	else if (offload->unfinished >= offload->threads &&
		 offload->unfinished - offload->threads >= offload->queue_cap)
		r = -ENOBUFS;
	if (r == 0) {
		message->next = NULL;
		if (offload->first)
			offload->last->next = message;
		else
			offload->first = message;
		offload->last = message;
		offload->unfinished++;
		pthread_cond_signal(&offload->changed);
	}
	pthread_mutex_unlock(&offload->lock);
	return r;
}

struct offload *offload_new(struct event_base *loop, const char *name, unsigned threads, size_t queue_cap)
{
	cleanup(cleanup_free) struct offload *offload = calloc(1, sizeof(*offload) + threads * sizeof(pthread_t));

	if (!offload)
		return NULL;
	snprintf(offload->name, sizeof(offload->name), "%s", name);
	offload->threads_cap = threads;
	offload->queue_cap = queue_cap;
	/* With default attributes neither can fail on Linux. */
	pthread_mutex_init(&offload->lock, NULL);
	pthread_cond_init(&offload->changed, NULL);
	offload->finished = mailbox_new(loop, on_finished, offload);
	return offload->finished ? take(offload) : NULL;
}

void offload_free(struct offload *offload)
{
	if (!offload)
		return;

	pthread_mutex_lock(&offload->lock);
	offload->ending = true;
	pthread_cond_broadcast(&offload->changed);
	pthread_mutex_unlock(&offload->lock);
	for (unsigned i = 0; i < offload->threads; i++)
		pthread_join(offload->ids[i], NULL);

	mailbox_free(offload->finished); /* calls the remaining `done`s */
	pthread_cond_destroy(&offload->changed);
	pthread_mutex_destroy(&offload->lock);
	free(offload);
}
