/* SPDX-License-Identifier: BSD-2-Clause */
/* Files delivered to a directory: whole or not at all, nothing overwritten, nothing left over. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <poll.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "sink/directory_quota.h"
#include "sink/directory_sink.h"
#include "sink/sink.h"

#define GUARD_S 20
#define KIB 1024

/* --- file whose reads the test can block --- */

struct file {
	struct sink_file file;
	uint64_t size, claimed; /* actual and announced bytes */
	uint64_t at;
	uint64_t stop_at; /* reads block at this offset until `go`; 0: never */
	sem_t reached, go;
	atomic_bool open;
	unsigned opens, closes;
	unsigned dones;
	struct sink_outcome outcome;
};

static uint8_t byte_at(uint64_t offset)
{
	return (uint8_t)(offset * 31 + offset / 251);
}

static size_t file_read(void *ctx, uint8_t *into, size_t room)
{
	struct file *file = ctx;
	size_t used = 0;

	assert_true(atomic_load(&file->open));
	if (file->stop_at && file->at >= file->stop_at) {
		file->stop_at = 0;
		sem_post(&file->reached);
		sem_wait(&file->go);
	}
	for (; used < room && used < 100 * KIB && file->at < file->size; used++)
		into[used] = byte_at(file->at++);
	return used;
}

static void file_rewind(void *ctx)
{
	((struct file *)ctx)->at = 0;
}

static bool file_open(void *ctx, struct byte_stream *stream)
{
	struct file *file = ctx;

	file->opens++;
	file->at = 0;
	atomic_store(&file->open, true);
	*stream = (struct byte_stream){.size_bytes = file->claimed,
				       .read = file_read,
				       .rewind = file_rewind,
				       .ctx = file};
	return true;
}

static void file_close(void *ctx, struct byte_stream *stream)
{
	struct file *file = ctx;

	(void)stream;
	assert_true(atomic_exchange(&file->open, false));
	file->closes++;
}

static void file_init(struct file *file, const char *name, uint64_t size)
{
	memset(file, 0, sizeof(*file));
	file->size = file->claimed = size;
	sem_init(&file->reached, 0, 0);
	sem_init(&file->go, 0, 0);
	file->file = (struct sink_file){
		.name = name, .tags = "", .id = "test", .ctx = file, .open = file_open, .close = file_close};
}

static void on_done(void *ctx, const struct sink_outcome *outcome)
{
	struct file *file = ctx;

	assert_false(atomic_load(&file->open));
	file->dones++;
	file->outcome = *outcome;
}

/* --- hung disk --- */

static struct {
	atomic_bool hangs; /* in fsync() of a directory */
	sem_t reached, go;
} disk;

static void disk_recover(void)
{
	if (atomic_exchange(&disk.hangs, false)) {
		sem_post(&disk.go);
		sem_post(&disk.go);
	}
}

/* Replaces libc's. */
int fsync(int fd)
{
	struct stat status;

	if (fstat(fd, &status) == 0 && S_ISDIR(status.st_mode) && atomic_load(&disk.hangs)) {
		sem_post(&disk.reached);
		sem_wait(&disk.go);
	}
	return (int)syscall(SYS_fsync, fd);
}

/* --- directory, sink and loop --- */

struct world {
	char path[64];
	struct event_base *loop;
	struct event *guard;
	struct sink *sink;
};

static void guard(evutil_socket_t fd, short events, void *ctx)
{
	(void)fd;
	(void)events;
	(void)ctx;
	fail_msg("nothing happened for %d s", GUARD_S);
}

static void world_open(struct world *world)
{
	struct timeval guard_time = {.tv_sec = GUARD_S};

	world->loop = event_base_new();
	assert_non_null(world->loop);
	world->guard = evtimer_new(world->loop, guard, NULL);
	event_add(world->guard, &guard_time);
	world->sink = directory_sink_new(world->loop, "local", world->path,
					 &(struct directory_quota_options){.name_prefix = "node-"});
	assert_non_null(world->sink);
}

static void world_close(struct world *world)
{
	if (world->sink)
		world->sink->class->free(world->sink);
	world->sink = NULL;
	event_free(world->guard);
	event_base_free(world->loop);
}

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));

	assert_non_null(world);
	snprintf(world->path, sizeof(world->path), "/tmp/test_directory.XXXXXX");
	assert_non_null(mkdtemp(world->path));
	world_open(world);
	*state = world;
	return 0;
}

static const char *inside(const struct world *world, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", world->path, name);
	return path;
}

/* Returns the names in the directory, sorted, each followed by a space. */
static const char *listing(const struct world *world)
{
	static char text[1024];
	struct dirent **entries;
	int count = scandir(world->path, &entries, NULL, alphasort);
	size_t used = 0;

	text[0] = '\0';
	for (int i = 0; i < count; i++) {
		const char *name = entries[i]->d_name;

		if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && used < sizeof(text) / 2)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s ", name);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
	return text;
}

static int teardown(void **state)
{
	struct world *world = *state;
	DIR *directory;

	disk_recover();
	world_close(world);
	directory = opendir(world->path);
	for (struct dirent *entry; directory && (entry = readdir(directory));)
		unlinkat(dirfd(directory), entry->d_name, 0);
	if (directory)
		closedir(directory);
	rmdir(world->path);
	unlink(world->path);
	free(world);
	return 0;
}

static struct sink_attempt *start(struct world *world, struct file *file)
{
	struct sink_attempt *attempt = world->sink->class->start(world->sink, &file->file, on_done, file);

	assert_int_equal(file->dones, 0);
	return attempt;
}

static void wait_done(struct world *world, struct file *file)
{
	while (!file->dones)
		assert_int_equal(event_base_loop(world->loop, EVLOOP_ONCE), 0);
	assert_int_equal(file->dones, 1);
	assert_int_equal(file->opens, file->closes);
}

static void deliver(struct world *world, struct file *file)
{
	assert_non_null(start(world, file));
	wait_done(world, file);
	assert_int_equal(file->opens, 1);
}

static void assert_content(const char *path, uint64_t size)
{
	FILE *file = fopen(path, "rb");
	uint64_t offset = 0;
	int byte;

	assert_non_null(file);
	for (; (byte = getc(file)) != EOF; offset++)
		if (byte != byte_at(offset))
			fail_msg("byte %llu differs", (unsigned long long)offset);
	assert_int_equal(offset, size);
	fclose(file);
}

static void put(const char *path, const char *content)
{
	FILE *file = fopen(path, "wb");

	assert_non_null(file);
	assert_true(fputs(content, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void assert_text(const char *path, const char *content)
{
	char text[64] = "";
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	assert_non_null(fgets(text, sizeof(text), file));
	assert_string_equal(text, content);
	fclose(file);
}

/* --- tests --- */

static void test_file_arrives_whole_and_alone(void **state)
{
	static const uint64_t sizes[] = {0, 1, 256 * KIB - 1, 256 * KIB, 256 * KIB + 1, 1000 * KIB};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct file file;

		file_init(&file, "a.pcapng", sizes[i]);
		deliver(world, &file);
		assert_int_equal(file.outcome.verdict, SINK_OK);
		assert_string_equal(file.outcome.url, inside(world, "a.pcapng"));
		assert_string_equal(file.outcome.error, "");
		assert_content(file.outcome.url, sizes[i]);
		assert_string_equal(listing(world), "a.pcapng ");
		assert_int_equal(unlink(file.outcome.url), 0);
	}
}

static void test_file_is_not_world_readable(void **state)
{
	struct world *world = *state;
	mode_t before = umask(0);
	struct file file;
	struct stat status;

	file_init(&file, "a.pcapng", 10);
	deliver(world, &file);
	umask(before);
	assert_int_equal(stat(file.outcome.url, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0640);
	assert_int_equal(status.st_nlink, 1);
}

static void test_final_name_appears_only_when_the_file_is_complete(void **state)
{
	struct world *world = *state;
	struct file file;

	file_init(&file, "a.pcapng", 1000 * KIB);
	file.stop_at = 1000 * KIB; /* everything is read except the end of file */
	assert_non_null(start(world, &file));
	sem_wait(&file.reached);
	assert_string_equal(listing(world), ".a.pcapng.part ");
	sem_post(&file.go);
	wait_done(world, &file);
	assert_string_equal(listing(world), "a.pcapng ");
	assert_content(file.outcome.url, 1000 * KIB);
}

static void test_existing_files_are_never_overwritten(void **state)
{
	struct world *world = *state;
	struct file file;

	put(inside(world, "a.b.pcapng"), "precious");
	for (int i = 1; i <= 2; i++) {
		char expected[32];

		snprintf(expected, sizeof(expected), "a.b-%d.pcapng", i);
		file_init(&file, "a.b.pcapng", 100);
		deliver(world, &file);
		assert_int_equal(file.outcome.verdict, SINK_OK);
		assert_string_equal(file.outcome.url, inside(world, expected));
		assert_content(file.outcome.url, 100);
	}
	assert_text(inside(world, "a.b.pcapng"), "precious");
	assert_string_equal(listing(world), "a.b-1.pcapng a.b-2.pcapng a.b.pcapng ");
	put(inside(world, "c.pcapng.zst"), "precious");
	file_init(&file, "c.pcapng.zst", 100);
	deliver(world, &file);
	assert_string_equal(file.outcome.url, inside(world, "c-1.pcapng.zst"));
}

static void test_symlink_with_the_final_name_is_not_followed(void **state)
{
	struct world *world = *state;
	struct file file;

	assert_int_equal(symlink("nowhere", inside(world, "a.pcapng")), 0);
	file_init(&file, "a.pcapng", 100);
	deliver(world, &file);
	assert_int_equal(file.outcome.verdict, SINK_OK);
	assert_string_equal(listing(world), "a-1.pcapng a.pcapng ");
}

static void test_unfinished_file_of_another_process_is_left_alone(void **state)
{
	struct world *world = *state;
	struct file file;

	put(inside(world, ".a.pcapng.part"), "another process");
	file_init(&file, "a.pcapng", 100);
	deliver(world, &file);
	assert_int_equal(file.outcome.verdict, SINK_OK);
	assert_content(inside(world, "a.pcapng"), 100);
	assert_text(inside(world, ".a.pcapng.part"), "another process");
	assert_string_equal(listing(world), ".a.pcapng.part a.pcapng ");
}

static void test_attempts_at_a_free_name_are_capped(void **state)
{
	struct world *world = *state;
	struct file file;

	put(inside(world, "a"), "x");
	for (int i = 1; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "a-%d", i);
		put(inside(world, name), "x");
	}
	file_init(&file, "a", 100);
	deliver(world, &file);
	assert_int_equal(file.outcome.verdict, SINK_REFUSED);
	assert_non_null(strstr(file.outcome.error, strerror(EEXIST)));
	assert_int_not_equal(access(inside(world, ".a.part"), F_OK), 0);
	for (int i = 1; i < 100; i++) {
		char name[16];

		snprintf(name, sizeof(name), "a-%d", i);
		unlink(inside(world, name));
	}
}

static void test_missing_directory_is_retried(void **state)
{
	struct world *world = *state;
	struct file file;

	assert_int_equal(rmdir(world->path), 0);
	file_init(&file, "a.pcapng", 100);
	deliver(world, &file);
	assert_int_equal(file.outcome.verdict, SINK_RETRY);
	assert_non_null(strstr(file.outcome.error, inside(world, "a.pcapng")));
	assert_non_null(strstr(file.outcome.error, strerror(ENOENT)));
	assert_string_equal(file.outcome.url, "");

	assert_int_equal(mkdir(world->path, 0700), 0);
	file_init(&file, "a.pcapng", 100);
	deliver(world, &file);
	assert_int_equal(file.outcome.verdict, SINK_OK);
}

static void test_directory_that_is_a_file_is_refused(void **state)
{
	struct world *world = *state;
	struct file file;

	assert_int_equal(rmdir(world->path), 0);
	put(world->path, "not a directory");
	file_init(&file, "a.pcapng", 100);
	deliver(world, &file);
	assert_int_equal(file.outcome.verdict, SINK_REFUSED);
	assert_non_null(strstr(file.outcome.error, strerror(ENOTDIR)));
	assert_text(world->path, "not a directory");
}

static void test_names_that_lead_elsewhere_are_refused(void **state)
{
	static const char *const names[] = {"", ".", "..", "../escaped", "a/b", ".hidden"};
	struct world *world = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct file file;

		file_init(&file, names[i], 100);
		deliver(world, &file);
		assert_int_equal(file.outcome.verdict, SINK_REFUSED);
	}
	assert_string_equal(listing(world), "");
}

static void test_name_that_is_too_long_is_refused(void **state)
{
	struct world *world = *state;
	char name[400];
	struct file file;

	memset(name, 'n', sizeof(name) - 1);
	for (size_t length = 250; length < sizeof(name); length += 149) {
		name[length] = '\0';
		file_init(&file, name, 100);
		deliver(world, &file);
		assert_int_equal(file.outcome.verdict, SINK_REFUSED);
		assert_non_null(strstr(file.outcome.error, strerror(ENAMETOOLONG)));
		name[length] = 'n';
	}
	assert_string_equal(listing(world), "");
}

static void test_stream_that_ends_early_leaves_no_file(void **state)
{
	struct world *world = *state;
	struct file file;

	file_init(&file, "a.pcapng", 300 * KIB);
	file.claimed = 301 * KIB;
	deliver(world, &file);
	assert_int_equal(file.outcome.verdict, SINK_REFUSED);
	assert_non_null(strstr(file.outcome.error, "cannot read all of"));
	assert_string_equal(listing(world), "");
}

/* Runs in a child process, because the limit stays. Returns the exit status; 0: all correct. */
static int write_beyond_limit(struct world *world)
{
	struct rlimit limit = {.rlim_cur = 300 * KIB, .rlim_max = 300 * KIB};
	struct file file;

	signal(SIGXFSZ, SIG_IGN);
	if (setrlimit(RLIMIT_FSIZE, &limit) < 0)
		return 2;
	world_open(world);
	file_init(&file, "a.pcapng", 1000 * KIB);
	deliver(world, &file);
	if (file.outcome.verdict != SINK_REFUSED || !strstr(file.outcome.error, strerror(EFBIG)))
		return 3;
	return listing(world)[0] ? 4 : 0;
}

static void test_write_error_leaves_no_file(void **state)
{
	struct world *world = *state;
	pid_t child;
	int status = -1;

	fflush(NULL);
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(write_beyond_limit(world));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_string_equal(listing(world), "");
}

static void test_cancelling_stops_reading_at_once(void **state)
{
	struct world *world = *state;
	struct sink_attempt *attempt;
	struct file file;

	file_init(&file, "a.pcapng", 512 * KIB * KIB); /* far from being written when it is cancelled */
	file.stop_at = 1;
	attempt = start(world, &file);
	assert_non_null(attempt);
	sem_wait(&file.reached);
	sem_post(&file.go);
	assert_false(world->sink->class->cancel(world->sink, attempt, &(struct sink_outcome){0}));
	/* A read after this would fail in file_read(). */
	assert_false(atomic_load(&file.open));
	assert_int_equal(file.closes, 1);
	world->sink->class->free(world->sink); /* waits for the thread */
	world->sink = NULL;
	assert_int_equal(file.dones, 0);
	assert_string_equal(listing(world), "");
}

/* Waits until `watch`, an inotify descriptor of a directory, reports a file of this name. */
static void wait_named(int watch, const char *name)
{
	union {
		struct inotify_event event;
		char room[sizeof(struct inotify_event) + NAME_MAX + 1];
	} buffer;
	struct pollfd ready = {.fd = watch, .events = POLLIN};
	bool named = false;

	while (!named) {
		assert_int_equal(poll(&ready, 1, GUARD_S * 1000), 1);
		const ssize_t size = read(watch, &buffer, sizeof(buffer));
		assert_true(size > 0);
		for (ssize_t at = 0; at < size;) {
			const struct inotify_event *event = (const struct inotify_event *)(buffer.room + at);

			named = named || strcmp(event->name, name) == 0;
			at += (ssize_t)(sizeof(*event) + event->len);
		}
	}
}

static void test_file_named_before_cancelling_is_reported(void **state)
{
	struct world *world = *state;
	const int watch = inotify_init1(IN_CLOEXEC);
	struct sink_outcome outcome = {.verdict = SINK_REFUSED};
	struct sink_attempt *attempt;
	struct file file;

	assert_true(inotify_add_watch(watch, world->path, IN_CREATE) >= 0);
	file_init(&file, "a.pcapng", 600 * KIB);
	attempt = start(world, &file);
	assert_non_null(attempt);
	wait_named(watch, "a.pcapng");
	assert_true(world->sink->class->cancel(world->sink, attempt, &outcome));
	assert_int_equal(outcome.verdict, SINK_OK);
	assert_string_equal(outcome.url, inside(world, "a.pcapng"));
	assert_int_equal(file.closes, 1);
	world->sink->class->free(world->sink);
	world->sink = NULL;
	assert_int_equal(file.dones, 0);
	assert_string_equal(listing(world), "a.pcapng ");
	assert_content(outcome.url, 600 * KIB);
	close(watch);
}

static double elapsed_s(const struct timespec *since)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - since->tv_sec) + (double)(now.tv_nsec - since->tv_nsec) / 1e9;
}

/*
 * The file may or may not have its name: the outcome claims neither. Cancelling the second attempt does not wait for
 * the same disk again.
 */
static void test_hung_disk_delays_cancelling_by_one_second_in_total(void **state)
{
	struct world *world = *state;
	struct sink_outcome outcomes[2] = {{.verdict = SINK_OK}, {.verdict = SINK_OK}};
	struct sink_attempt *attempts[2];
	struct file files[2];
	struct timespec begin;

	sem_init(&disk.reached, 0, 0);
	sem_init(&disk.go, 0, 0);
	atomic_store(&disk.hangs, true);
	for (int i = 0; i < 2; i++) {
		file_init(&files[i], i ? "b.pcapng" : "a.pcapng", KIB);
		attempts[i] = start(world, &files[i]);
		assert_non_null(attempts[i]);
		sem_wait(&disk.reached);
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < 2; i++) {
		assert_true(world->sink->class->cancel(world->sink, attempts[i], &outcomes[i]));
		assert_int_equal(outcomes[i].verdict, SINK_RETRY);
		assert_string_equal(outcomes[i].error,
				    "the file was being named, and may or may not have its name by now");
		assert_int_equal(files[i].closes, 1);
	}
	assert_true(elapsed_s(&begin) >= 1 && elapsed_s(&begin) < 2); /* not a second each */
	disk_recover();
	world->sink->class->free(world->sink);
	world->sink = NULL;
	assert_string_equal(listing(world), "a.pcapng b.pcapng ");
	assert_int_equal(files[0].dones + files[1].dones, 0);
}

static void test_attempts_beyond_the_queue_are_not_started(void **state)
{
	enum { FILES = 2 + 64 + 1 };
	struct world *world = *state;
	struct file *files = calloc(FILES, sizeof(*files));
	char names[FILES][8];

	assert_non_null(files);
	for (int i = 0; i < FILES; i++) {
		snprintf(names[i], sizeof(names[i]), "f%02d", i);
		file_init(&files[i], names[i], 1 + 200 * KIB);
		files[i].stop_at = i < 2 ? 100 * KIB : 0;
		if (i < FILES - 1)
			assert_non_null(start(world, &files[i]));
		if (i < 2)
			sem_wait(&files[i].reached);
	}
	assert_null(start(world, &files[FILES - 1]));
	assert_int_equal(files[FILES - 1].opens, files[FILES - 1].closes);
	sem_post(&files[0].go);
	sem_post(&files[1].go);
	for (int i = 0; i < FILES - 1; i++) {
		wait_done(world, &files[i]);
		assert_int_equal(files[i].outcome.verdict, SINK_OK);
	}
	assert_int_equal(files[FILES - 1].dones, 0);
	free(files);
}

/* --- files that grow --- */

#define BLOCK 100 /* bytes */

/* A file of blocks that grows as the test says. */
struct growing {
	struct sink_file file;
	uint64_t at, size; /* read so far; there so far */
	bool ended, restarts, open;
	unsigned dones;
	struct sink_outcome outcome;
	struct sink_attempt *attempt;
};

static uint8_t block_byte(uint64_t offset)
{
	return offset % BLOCK == 4 ? BLOCK : offset % BLOCK < 8 ? 0 : byte_at(offset);
}

static size_t growing_read(void *ctx, uint8_t *into, size_t room)
{
	struct growing *growing = ctx;
	size_t used = 0;

	assert_true(growing->open);
	for (; used < room && growing->at < growing->size; used++)
		into[used] = block_byte(growing->at++);
	return used;
}

static bool growing_ended(void *ctx)
{
	const struct growing *growing = ctx;

	return growing->ended && growing->at == growing->size;
}

static bool growing_open(void *ctx, struct byte_stream *stream)
{
	struct growing *growing = ctx;

	growing->open = true;
	*stream = (struct byte_stream){.size_bytes = BYTE_STREAM_GROWS,
				       .read = growing_read,
				       .ended = growing_ended,
				       .ctx = growing};
	return true;
}

static void growing_close(void *ctx, struct byte_stream *stream)
{
	struct growing *growing = ctx;

	(void)stream;
	assert_true(growing->open);
	growing->open = false;
}

static bool growing_restarts(void *ctx)
{
	return ((const struct growing *)ctx)->restarts;
}

static void on_growing_done(void *ctx, const struct sink_outcome *outcome)
{
	struct growing *growing = ctx;

	assert_false(growing->open);
	growing->dones++;
	growing->outcome = *outcome;
}

static void start_growing(struct world *world, struct growing *growing)
{
	growing->file = (struct sink_file){.name = "a.pcapng",
					   .tags = "",
					   .id = "test",
					   .ctx = growing,
					   .open = growing_open,
					   .close = growing_close,
					   .restarts = growing_restarts};
	growing->attempt = world->sink->class->start_growing(world->sink, &growing->file, on_growing_done, growing);
	assert_non_null(growing->attempt);
	assert_int_equal(growing->dones, 0);
}

static void grow(struct world *world, struct growing *growing, uint64_t size)
{
	growing->size += size;
	world->sink->class->more(world->sink, growing->attempt);
}

static void wait_growing(struct world *world, const struct growing *growing, uint64_t read)
{
	while (growing->at < read || (growing->ended && !growing->dones))
		assert_int_equal(event_base_loop(world->loop, EVLOOP_ONCE), 0);
}

static void assert_blocks(const char *path, uint64_t size)
{
	FILE *file = fopen(path, "rb");
	uint64_t offset = 0;
	int byte;

	assert_non_null(file);
	for (; (byte = getc(file)) != EOF; offset++)
		if (byte != block_byte(offset))
			fail_msg("byte %llu differs", (unsigned long long)offset);
	assert_int_equal(offset, size);
	fclose(file);
}

static void test_growing_file_gets_its_name_when_it_has_ended(void **state)
{
	struct world *world = *state;
	struct growing growing = {.size = 10};

	start_growing(world, &growing);
	wait_growing(world, &growing, 10);
	grow(world, &growing, 3000 * KIB);
	wait_growing(world, &growing, 3000 * KIB);
	assert_string_equal(listing(world), ".a.pcapng.part ");
	growing.ended = true;
	grow(world, &growing, 90);
	wait_growing(world, &growing, 0);
	assert_int_equal(growing.outcome.verdict, SINK_OK);
	assert_string_equal(growing.outcome.url, inside(world, "a.pcapng"));
	assert_string_equal(listing(world), "a.pcapng ");
	assert_blocks(growing.outcome.url, 3000 * KIB + 100);
}

/* The file may not become larger than 64 KiB. */
static void run_into_limit(struct world *world, struct growing *growing)
{
	const struct rlimit small = {.rlim_cur = 64 * KIB, .rlim_max = RLIM_INFINITY};
	struct rlimit before;

	signal(SIGXFSZ, SIG_IGN);
	start_growing(world, growing);
	grow(world, growing, 1050);
	wait_growing(world, growing, 1050);
	getrlimit(RLIMIT_FSIZE, &before);
	setrlimit(RLIMIT_FSIZE, &small);
	grow(world, growing, 100 * KIB);
	while (!growing->dones)
		assert_int_equal(event_base_loop(world->loop, EVLOOP_ONCE), 0);
	setrlimit(RLIMIT_FSIZE, &before);
}

static void test_growing_file_that_fails_keeps_its_whole_blocks(void **state)
{
	struct world *world = *state;
	struct growing growing = {0};

	run_into_limit(world, &growing);
	assert_int_not_equal(growing.outcome.verdict, SINK_OK);
	assert_non_null(strstr(growing.outcome.error, "cannot write"));
	assert_string_equal(growing.outcome.url, inside(world, "a.pcapng"));
	assert_int_equal(growing.outcome.sent_bytes, 1000); /* of the first 1050; the second piece failed */
	assert_string_equal(listing(world), "a.pcapng ");
	assert_blocks(growing.outcome.url, 1000);
}

static void test_growing_file_that_restarts_leaves_nothing(void **state)
{
	struct world *world = *state;
	struct growing growing = {.restarts = true};

	assert_int_equal(rmdir(world->path), 0);
	start_growing(world, &growing);
	grow(world, &growing, 1000);
	while (!growing.dones)
		assert_int_equal(event_base_loop(world->loop, EVLOOP_ONCE), 0);
	assert_int_equal(growing.outcome.verdict, SINK_RETRY);
	assert_int_equal(mkdir(world->path, 0700), 0);
	assert_string_equal(growing.outcome.url, "");
}

static void test_cancelled_growing_file_is_kept_or_removed(void **state)
{
	struct world *world = *state;

	for (int restarts = 0; restarts < 2; restarts++) {
		struct growing growing = {.restarts = restarts};
		struct sink_outcome outcome = {0};

		start_growing(world, &growing);
		grow(world, &growing, 1050);
		wait_growing(world, &growing, 1050);
		assert_false(world->sink->class->cancel(world->sink, growing.attempt, &outcome));
		assert_false(growing.open);
		world->sink->class->free(take(world->sink)); /* waits for its thread */
		assert_int_equal(growing.dones, 0);
		assert_string_equal(listing(world), restarts ? "" : "a.pcapng ");
		if (!restarts)
			assert_blocks(inside(world, "a.pcapng"), 1000);
		unlink(inside(world, "a.pcapng"));
		world_close(world);
		world_open(world);
	}
}

int main(void)
{
#define directory_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		directory_test(test_file_arrives_whole_and_alone),
		directory_test(test_file_is_not_world_readable),
		directory_test(test_final_name_appears_only_when_the_file_is_complete),
		directory_test(test_existing_files_are_never_overwritten),
		directory_test(test_symlink_with_the_final_name_is_not_followed),
		directory_test(test_unfinished_file_of_another_process_is_left_alone),
		directory_test(test_attempts_at_a_free_name_are_capped),
		directory_test(test_missing_directory_is_retried),
		directory_test(test_directory_that_is_a_file_is_refused),
		directory_test(test_names_that_lead_elsewhere_are_refused),
		directory_test(test_name_that_is_too_long_is_refused),
		directory_test(test_stream_that_ends_early_leaves_no_file),
		directory_test(test_write_error_leaves_no_file),
		directory_test(test_cancelling_stops_reading_at_once),
		directory_test(test_file_named_before_cancelling_is_reported),
		directory_test(test_hung_disk_delays_cancelling_by_one_second_in_total),
		directory_test(test_attempts_beyond_the_queue_are_not_started),
		directory_test(test_growing_file_gets_its_name_when_it_has_ended),
		directory_test(test_growing_file_that_fails_keeps_its_whole_blocks),
		directory_test(test_growing_file_that_restarts_leaves_nothing),
		directory_test(test_cancelled_growing_file_is_kept_or_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
