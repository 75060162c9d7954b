/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A look reads one piece of the file, on a thread of this input, so that a disk that hangs delays only its own alerts;
 * the loop then takes the piece apart. inotify says when to look; where it says nothing (network file systems) a timer
 * does.
 *
 * Rotation: a writer goes on with the old file until it opens the new one. So the old file is left once it is read to
 * its end and the new one has bytes. A file that no longer has the bytes that were read last was truncated
 * (copytruncate), even if it has grown to its old size since, and is read from its beginning; what was added between
 * the last look and the truncation is lost, as with tail -F.
 */
#include "trigger/file_input.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/log.h"
#include "base/offload.h"

#define CHUNK 65536
#define KNOWN_MAX 512 /* bytes before the offset, to recognise the file's content by */
#define LOOK_S 1
#define CHANGES (IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE)

enum beginning { CONTINUES, OTHER_FILE, TRUNCATED };

/* Owned by the thread from submission to `done`, else by the loop. */
struct look {
	struct offload_task task;
	struct file_input *input;
	bool watch; /* look for the directory again */
	bool first; /* no look before this one */
	int fd;	    /* -1: none is open */
	off_t offset;
	/* What it found. */
	enum beginning beginning; /* before the bytes */
	bool inside_line;	  /* the first line's beginning was there before this input */
	bool more;		  /* there may be more bytes at once */
	int error;		  /* negative errno; -ENOENT is none */
	size_t size;		  /* of the bytes, which come after the known ones */
	size_t known;		  /* the bytes before the offset: they begin `bytes` */
	char bytes[KNOWN_MAX + CHUNK];
};

struct file_input {
	struct event_base *loop;
	struct trigger_handler handler;
	char *path, *directory, *origin;
	const char *name; /* in the directory */
	int inotify;	  /* -1: none */
	struct event *changed, *timer;
	struct offload *reader;
	struct look look;
	struct buffer line; /* the last line so far */
	struct log_rate rate;
	bool looking, again, skipping, ended;
};

/* --- on the thread --- */

static void watch_directory(const struct file_input *input)
{
	if (input->inotify >= 0) /* of a directory that is watched already this changes nothing */
		(void)inotify_add_watch(input->inotify, input->directory, CHANGES);
}

/* At its end if it was there first. */
static void open_file(struct look *look)
{
	struct stat status;
	const int fd = open(look->input->path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	if (fd < 0) {
		look->error = -errno;
		return;
	}
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		look->error = -EMEDIUMTYPE;
		close(fd);
		return;
	}
	look->fd = fd;
	look->offset = look->first ? status.st_size : 0;
	look->known = look->offset < KNOWN_MAX ? (size_t)look->offset : KNOWN_MAX;
	if (pread(fd, look->bytes, look->known, look->offset - (off_t)look->known) != (ssize_t)look->known) {
		look->offset = 0; /* truncated just now */
		look->known = 0;
	}
	look->inside_line = look->known && look->bytes[look->known - 1] != '\n';
}

static void close_file(struct look *look)
{
	if (look->fd >= 0)
		close(look->fd);
	look->fd = -1;
}

/* Whether the name belongs to another file, to which the writer has moved on. */
static bool is_replaced(const struct look *look)
{
	struct stat ours, named;

	return fstat(look->fd, &ours) == 0 && stat(look->input->path, &named) == 0 && named.st_size > 0 &&
	       (ours.st_ino != named.st_ino || ours.st_dev != named.st_dev);
}

/* The known bytes become the last ones of the latest piece. */
static void move_known(struct look *look)
{
	const size_t all = look->known + look->size, keep = all < KNOWN_MAX ? all : KNOWN_MAX;

	memmove(look->bytes, look->bytes + all - keep, keep);
	look->known = keep;
	look->size = 0;
}

/* As pread() after the known bytes; if these have changed, from the file's beginning. */
static ssize_t read_on(struct look *look)
{
	char known[KNOWN_MAX];

	memcpy(known, look->bytes, look->known);
	const ssize_t size = pread(look->fd, look->bytes, look->known + CHUNK, look->offset - (off_t)look->known);
	if (size < 0) {
		memcpy(look->bytes, known, look->known);
		return size;
	}
	if ((size_t)size >= look->known && memcmp(known, look->bytes, look->known) == 0)
		return size - (ssize_t)look->known;
	look->beginning = TRUNCATED;
	look->offset = 0;
	look->known = 0;
	return pread(look->fd, look->bytes, CHUNK, 0);
}

static void read_piece(struct look *look)
{
	const bool replaced = is_replaced(look); /* before the read: nothing comes after this end */
	const ssize_t size = read_on(look);

	if (size > 0) {
		look->size = (size_t)size;
		look->offset += size;
		look->more = true;
	} else if (size < 0 && errno != EINTR) {
		look->error = -errno;
		if (errno == ESTALE) /* replaced on its server; else the same place is tried again */
			close_file(look);
	} else if (replaced) {
		close_file(look);
		look->beginning = OTHER_FILE;
		look->more = true;
	}
}

static void run_look(struct offload_task *task)
{
	struct look *look = (struct look *)task;

	look->beginning = CONTINUES;
	look->more = look->inside_line = false;
	look->error = 0;
	move_known(look);
	if (look->watch)
		watch_directory(look->input);
	if (look->fd < 0)
		open_file(look);
	if (look->fd >= 0)
		read_piece(look);
	look->first = false;
}

/* --- on the loop --- */

static void look_now(struct file_input *input)
{
	input->again = input->looking;
	if (!input->looking && offload_submit(input->reader, &input->look.task) == 0)
		input->looking = true;
}

static void warn(struct file_input *input, const char *error)
{
	uint64_t suppressed;

	if (log_rate_allow(&input->rate, &suppressed))
		log_warning("input-read-failed", log_str("input", input->origin), log_str("error", error),
			    log_uint("suppressed", suppressed));
}

static void refuse(const struct file_input *input, const char *why)
{
	const struct trigger_message message = {.origin = input->origin, .bytes = "", .refusal = why};

	input->handler.message(input->handler.ctx, &message);
}

/* Without a carriage return at its end. */
static void pass_on(const struct file_input *input, const char *text, size_t size)
{
	size -= size && text[size - 1] == '\r';
	const struct trigger_message message = {.origin = input->origin, .bytes = text, .size = size};

	if (size)
		input->handler.message(input->handler.ctx, &message);
}

static void end_line(struct file_input *input)
{
	if (!input->skipping)
		pass_on(input, buffer_text(&input->line), input->line.size);
	input->skipping = false;
	buffer_clear(&input->line);
}

static void add_to_line(struct file_input *input, const char *text, size_t size)
{
	if (input->skipping || buffer_append(&input->line, text, size) == 0)
		return;
	refuse(input, "a line is too long");
	buffer_clear(&input->line);
	input->skipping = true;
}

static void take_bytes(struct file_input *input, const char *text, size_t size)
{
	const char *end;

	while ((end = memchr(text, '\n', size))) {
		const size_t length = (size_t)(end - text);

		add_to_line(input, text, length);
		end_line(input);
		text += length + 1;
		size -= length + 1;
	}
	add_to_line(input, text, size);
}

static void on_looked(struct offload_task *task)
{
	struct look *look = (struct look *)task;
	struct file_input *input = look->input;

	input->looking = false;
	look->watch = false;
	if (input->ended)
		return;
	if (look->error && look->error != -ENOENT)
		warn(input, look->error == -EMEDIUMTYPE ? "is not a file" : strerror(-look->error));
	if (look->beginning == OTHER_FILE)
		end_line(input); /* the last one may have no end */
	else if (look->beginning == TRUNCATED)
		buffer_clear(&input->line);
	if (look->beginning != CONTINUES || look->inside_line)
		input->skipping = look->inside_line;
	take_bytes(input, look->bytes + look->known, look->size);
	if (look->more || input->again)
		look_now(input);
}

/* Events of the directory; those of other files in it do not count. */
static void on_changed(evutil_socket_t fd, short what, void *ctx)
{
	struct file_input *input = ctx;
	_Alignas(struct inotify_event) char events[16384];
	const ssize_t size = read(fd, events, sizeof(events));
	const struct inotify_event *event;
	bool ours = false;

	(void)what;
	for (ssize_t at = 0; at < size; at += (ssize_t)(sizeof(*event) + event->len)) {
		event = (const struct inotify_event *)(const void *)(events + at);
		ours |= !event->len || strcmp(event->name, input->name) == 0;
	}
	if (ours)
		look_now(input);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct file_input *input = ctx;

	(void)fd;
	(void)what;
	if (!input->looking)
		input->look.watch = true;
	look_now(input);
}

static int set_names(struct file_input *input, const char *path, struct error *err)
{
	const char *slash = strrchr(path, '/');

	if (*path != '/' || !slash[1])
		return error_set(err, -EINVAL, "must be the absolute path of a file");
	input->path = strdup(path);
	input->directory = slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	if (asprintf(&input->origin, "file:%s", path) < 0)
		input->origin = NULL;
	if (!input->path || !input->directory || !input->origin)
		return error_set(err, -ENOMEM, "out of memory");
	input->name = strrchr(input->path, '/') + 1;
	return 0;
}

/* Without inotify the timer is enough, if late. */
static int start(struct file_input *input, struct error *err)
{
	const struct timeval interval = {.tv_sec = LOOK_S};

	input->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (input->inotify >= 0)
		input->changed = event_new(input->loop, input->inotify, EV_READ | EV_PERSIST, on_changed, input);
	input->timer = event_new(input->loop, -1, EV_PERSIST, on_timer, input);
	input->reader = offload_new(input->loop, "pcapd-file", 1, 1);
	if (!input->timer || !input->reader || (input->inotify >= 0 && !input->changed) ||
	    event_add(input->timer, &interval) < 0 || (input->changed && event_add(input->changed, NULL) < 0))
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

struct file_input *file_input_new(struct event_base *loop, const char *path, struct trigger_handler handler,
				  struct error *err)
{
	cleanup(cleanup_file_input) struct file_input *input = calloc(1, sizeof(*input));

	if (!input) {
		error_set(err, -ENOMEM, "out of memory");
		return NULL;
	}
	input->loop = loop;
	input->handler = handler;
	input->inotify = -1;
	input->rate.burst = 1;
	input->line = (struct buffer)BUFFER_INIT(FILE_LINE_BYTES_MAX);
	input->look = (struct look){
		.task = {.run = run_look, .done = on_looked}, .input = input, .watch = true, .first = true, .fd = -1};
	if (set_names(input, path, err) < 0 || start(input, err) < 0)
		return NULL;
	/* Its end is where it ends now, whatever the thread is doing meanwhile. */
	run_look(&input->look.task);
	on_looked(&input->look.task);
	log_notice("input-ready", log_str("input", input->origin));
	return take(input);
}

void file_input_free(struct file_input *input)
{
	if (!input)
		return;
	input->ended = true;
	offload_free(input->reader);
	if (input->changed)
		event_free(input->changed);
	if (input->timer)
		event_free(input->timer);
	if (input->inotify >= 0)
		close(input->inotify);
	close_file(&input->look);
	buffer_deinit(&input->line);
	free(input->path);
	free(input->directory);
	free(input->origin);
	free(input);
}
