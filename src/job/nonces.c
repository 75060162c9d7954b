/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A signature stands for its nonce: without the key one can only repeat the whole. The memory is a ring of records in a
 * file that is mapped, so that noting one costs no system call, and a process that is killed loses none. The file is
 * meant for a file system in memory; it need not survive the host's restart.
 *
 * What is forgotten while it would not be stale yet raises the floor: older signatures are then refused, since they may
 * have been used. At first, with no file from an earlier run, the floor is the start. Entries of a stream have no
 * floor, or a restart of the host would lose them: there the reply store knows the request by its id, which comes from
 * the signature if the request has none.
 */
#include "job/nonces.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "request/request.h"

#define MAC_BYTES 16 /* of the MAC: enough to tell signatures apart */
#define BUCKETS NONCES_MAX
#define NONE UINT32_MAX

static const char magic[8] = "pcapsig2";

struct record {
	uint8_t mac[MAC_BYTES];
	uint64_t signed_s;
	uint64_t entry; /* digest of the stream entry's id; 0: none */
};

/* The file, in the host's byte order. */
struct nonces_file {
	char magic[sizeof(magic)];
	uint64_t capacity;
	uint64_t floor_s; /* signatures from before are refused */
	uint64_t count;	  /* of all records ever written; the last NONCES_MAX are there */
	struct record records[NONCES_MAX];
};

struct nonces {
	struct nonces_file *file;
	int fd; /* -1: memory only */
	uint64_t max_age_s;
	uint32_t buckets[BUCKETS], next[NONCES_MAX]; /* record numbers */
};

/* --- the index --- */

static uint32_t bucket_of(const uint8_t mac[static MAC_BYTES])
{
	uint32_t hash;

	memcpy(&hash, mac, sizeof(hash));
	return hash % BUCKETS;
}

static struct record *find_record(const struct nonces *nonces, const uint8_t mac[static MAC_BYTES])
{
	for (uint32_t i = nonces->buckets[bucket_of(mac)]; i != NONE; i = nonces->next[i])
		if (memcmp(nonces->file->records[i].mac, mac, MAC_BYTES) == 0)
			return &nonces->file->records[i];
	return NULL;
}

static void link_record(struct nonces *nonces, uint32_t number)
{
	uint32_t *bucket = &nonces->buckets[bucket_of(nonces->file->records[number].mac)];

	nonces->next[number] = *bucket;
	*bucket = number;
}

static void unlink_record(struct nonces *nonces, uint32_t number)
{
	uint32_t *at = &nonces->buckets[bucket_of(nonces->file->records[number].mac)];

	while (*at != number && *at != NONE)
		at = &nonces->next[*at];
	if (*at == number)
		*at = nonces->next[number];
}

static void build_index(struct nonces *nonces)
{
	const uint64_t count = nonces->file->count < NONCES_MAX ? nonces->file->count : NONCES_MAX;

	memset(nonces->buckets, 0xff, sizeof(nonces->buckets));
	for (uint32_t i = 0; i < count; i++)
		link_record(nonces, i);
}

/* --- use --- */

/* Makes room in a full ring. */
static void forget(struct nonces *nonces, uint32_t number, uint64_t now_s)
{
	struct nonces_file *file = nonces->file;
	const uint64_t signed_s = file->records[number].signed_s;

	unlink_record(nonces, number);
	if (signed_s + nonces->max_age_s >= now_s && signed_s >= file->floor_s)
		file->floor_s = signed_s + 1;
}

static void remember(struct nonces *nonces, const struct request *request, uint64_t entry, uint64_t now_s)
{
	struct nonces_file *file = nonces->file;
	const uint32_t number = (uint32_t)(file->count % NONCES_MAX);
	struct record *record = &file->records[number];

	if (file->count >= NONCES_MAX)
		forget(nonces, number, now_s);
	memcpy(record->mac, request->mac, MAC_BYTES);
	record->signed_s = request->signed_s;
	record->entry = entry;
	file->count++;
	link_record(nonces, number);
}

/* A publisher chooses the ids of its entries, so it must not find another one with the same digest. 0: failure. */
static uint64_t digest_of(const char *entry)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	uint64_t number = 0;

	if (EVP_Digest(entry, strlen(entry), digest, NULL, EVP_sha256(), NULL) == 1)
		memcpy(&number, digest, sizeof(number));
	return number;
}

int nonces_use(struct nonces *nonces, const struct request *request, const char *entry, uint64_t now_ns,
	       struct error *err)
{
	const uint64_t digest = entry ? digest_of(entry) : 0;
	const struct record *record = find_record(nonces, request->mac);

	if (record && digest && record->entry == digest)
		return 0;
	if (record)
		return error_set(err, -EALREADY, "was used before: a request needs a nonce of its own");
	if (!entry && request->signed_s < nonces->file->floor_s)
		return error_set(err, -ESTALE, "was made before what this node remembers: sign the request again");
	remember(nonces, request, digest, now_ns / NS_PER_S);
	return 0;
}

/* --- the file --- */

/* The control socket, beside which the file usually is, is made later. */
static void make_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	cleanup(cleanup_free) char *parent = slash && slash != path ? strndup(path, (size_t)(slash - path)) : NULL;

	if (parent)
		(void)!mkdir(parent, 0755); /* opening the file shows whether that worked */
}

/* `size`: of a new file. The descriptor, locked against other daemons, or -errno. */
static int open_file(const char *path, off_t size, bool *is_new)
{
	cleanup(cleanup_close) int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct stat st;

	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	*is_new = st.st_size != size;
	if (*is_new && ftruncate(fd, 0) < 0)
		return -errno;
	const int r = *is_new ? posix_fallocate(fd, 0, size) : 0; /* a write to the map must not fail later */
	return r ? -r : take_fd(fd);
}

static struct nonces_file *map(int fd)
{
	void *file = mmap(NULL, sizeof(struct nonces_file), PROT_READ | PROT_WRITE,
			  fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED, fd, 0);

	return file == MAP_FAILED ? NULL : file;
}

static bool is_valid(const struct nonces_file *file)
{
	return memcmp(file->magic, magic, sizeof(magic)) == 0 && file->capacity == NONCES_MAX;
}

static void reset(struct nonces_file *file, uint64_t now_ns)
{
	memset(file, 0, sizeof(*file));
	file->capacity = NONCES_MAX;
	file->floor_s = now_ns / NS_PER_S; /* signatures have whole seconds, and no host restarts within one */
	memcpy(file->magic, magic, sizeof(magic));
}

struct nonces *nonces_new(const struct nonces_options *options, struct error *err)
{
	cleanup(cleanup_nonces) struct nonces *nonces = calloc(1, sizeof(*nonces));
	bool is_new = true;

	error_set(err, -ENOMEM, "out of memory");
	if (!nonces)
		return NULL;
	make_parent(options->path);
	nonces->fd = *options->path ? open_file(options->path, sizeof(struct nonces_file), &is_new) : -ENOENT;
	if (nonces->fd < 0)
		log_warning("nonces-not-kept", log_str("file", options->path), log_str("error", strerror(-nonces->fd)),
			    log_str("effect", "requests signed before a start of this daemon are refused after it"));
	nonces->max_age_s = options->max_age_ns / NS_PER_S + 1;
	nonces->file = map(nonces->fd);
	if (!nonces->file)
		return NULL;
	if (is_new || !is_valid(nonces->file))
		reset(nonces->file, options->now_ns);
	build_index(nonces);
	return take(nonces);
}

void nonces_free(struct nonces *nonces)
{
	if (!nonces)
		return;
	if (nonces->file)
		munmap(nonces->file, sizeof(*nonces->file));
	if (nonces->fd >= 0)
		close(nonces->fd);
	free(nonces);
}
