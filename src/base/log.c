/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A line is built in LOG_LINE_BYTES_MAX on the stack, so that logging works without memory, and written by one
 * write(2), so that lines of different threads do not mix; from log_start() on, by a thread for each output
 * (log_output.h). A line that is too long is cut and marked. Values other than plain words are quoted; inside quotes,
 * control characters, bytes that are not UTF-8 and characters that reorder text or break lines on a terminal are
 * escaped.
 *
 * Under systemd both stderr and syslog end up in the journal, so stderr is used only until syslog is open.
 */
#include "base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <paths.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log_output.h"
#include "base/printable.h"
#include "base/suggest.h"
#include "base/utf8.h"

#define CUT_MARK " [cut]"
#define STOP_NS NS_PER_S /* for what is queued at the end */
#define STALL_NS NS_PER_S
#define TAIL_BYTES sizeof("\"" CUT_MARK "\n") /* room kept free for what may follow a cut */

/* Set by log_open_syslog and log_divert before other threads start. */
static bool syslog_is_open;
static bool stderr_is_journal;
static log_handler diverted;
static void *diverted_ctx;

/* Relaxed: each is read alone, and a message that races a change of level may be logged or not. */
static _Atomic int severity_max = LOG_INFO;
_Atomic uint32_t log_debug_areas;

struct line {
	struct log_line *log;
	size_t size;
	bool cut; /* nothing more is appended */
};

/* Appends all of the text or nothing. */
static void put(struct line *line, const char *text, size_t size)
{
	if (line->cut || line->size + size > sizeof(line->log->text) - TAIL_BYTES) {
		line->cut = true;
		return;
	}
	memcpy(line->log->text + line->size, text, size);
	line->size += size;
}

static void put_string(struct line *line, const char *text)
{
	put(line, text, strlen(text));
}

static bool is_plain(const char *text)
{
	static const char plain[] = PLAIN_CHARACTERS ":/@+,=";

	return *text != '\0' && text[strspn(text, plain)] == '\0';
}

/* Appends one character, or one byte that is none. Returns the bytes of `text` it used. */
static size_t put_escaped(struct line *line, const char *text, size_t size)
{
	char escaped[4 * 4 + 1];
	uint32_t code = 0;
	size_t used = utf8_decode(text, size, &code);

	if (*text == '"' || *text == '\\') {
		put(line, (char[]){'\\', *text}, 2);
	} else if (*text == '\n') {
		put(line, "\\n", 2);
	} else if (used > 0 && !utf8_is_unprintable(code)) {
		put(line, text, used);
	} else {
		size_t escaped_size = 0;

		used = used > 0 ? used : 1;
		for (size_t i = 0; i < used; i++)
			escaped_size += (size_t)snprintf(escaped + escaped_size, sizeof(escaped) - escaped_size,
							 "\\x%02X", (unsigned)(uint8_t)text[i]);
		put(line, escaped, escaped_size);
	}
	return used;
}

static void put_value(struct line *line, const char *text)
{
	if (is_plain(text)) {
		/* Byte by byte, so that a long value is cut, not dropped. */
		for (; *text && !line->cut; text++)
			put(line, text, 1);
		return;
	}

	put(line, "\"", 1);
	if (line->cut)
		return;
	for (size_t left = strnlen(text, LOG_LINE_BYTES_MAX); left > 0 && !line->cut;) {
		size_t used = put_escaped(line, text, left);

		text += used;
		left -= used;
	}
	line->log->text[line->size++] = '"'; /* TAIL_BYTES keeps room for it */
}

static void put_field(struct line *line, const struct log_field *field)
{
	char number[40];

	if (field->type == LOG_TYPE_STRING && !field->string)
		return;

	put(line, " ", 1);
	put_string(line, field->key);
	put(line, "=", 1);
	switch (field->type) {
	case LOG_TYPE_END:
		break;
	case LOG_TYPE_STRING:
		put_value(line, field->string);
		break;
	case LOG_TYPE_INT:
		snprintf(number, sizeof(number), "%" PRId64, field->integer);
		put_string(line, number);
		break;
	case LOG_TYPE_UINT:
		snprintf(number, sizeof(number), "%" PRIu64, field->natural);
		put_string(line, number);
		break;
	case LOG_TYPE_NUMBER:
		snprintf(number, sizeof(number), "%.15g", field->number);
		put_string(line, number);
		break;
	case LOG_TYPE_BOOL:
		put_string(line, field->boolean ? "true" : "false");
		break;
	}
}

/* Appends the cut mark, if any, and NUL, for which TAIL_BYTES keeps room. */
static void finish(struct line *line)
{
	if (line->cut) {
		memcpy(line->log->text + line->size, CUT_MARK, strlen(CUT_MARK));
		line->size += strlen(CUT_MARK);
	}
	line->log->text[line->size] = '\0';
}

static const char *const severity_words[] = {
	[LOG_EMERG] = "emergency", [LOG_ALERT] = "alert",   [LOG_CRIT] = "critical", [LOG_ERR] = "error",
	[LOG_WARNING] = "warning", [LOG_NOTICE] = "notice", [LOG_INFO] = "info",     [LOG_DEBUG] = "debug",
};

/* --- the outputs --- */

/* A failure to write the log cannot be reported anywhere. */
static void write_stderr(struct log_line *line)
{
	ssize_t r;

	line->text[line->size] = '\n';
	do
		r = write(STDERR_FILENO, line->text, (size_t)line->size + 1);
	while (r < 0 && errno == EINTR);
}

static void write_syslog(struct log_line *line)
{
	syslog(line->severity, "%s", line->text + line->stamp_bytes);
}

static struct log_output syslog_output = LOG_OUTPUT_INIT("syslog", write_syslog);
static struct log_output stderr_output = LOG_OUTPUT_INIT("stderr", write_stderr);

int log_start(void)
{
	int r = syslog_is_open ? log_output_start(&syslog_output) : 0;

	if (r == 0 && !stderr_is_journal)
		r = log_output_start(&stderr_output);
	return r;
}

void log_stop(void)
{
	log_output_stop(&syslog_output, STOP_NS);
	log_output_stop(&stderr_output, STOP_NS);
}

bool log_wait(void)
{
	const bool syslog_flows = log_output_wait(&syslog_output, STALL_NS);

	return log_output_wait(&stderr_output, STALL_NS) && syslog_flows;
}

uint64_t log_dropped(void)
{
	return log_output_dropped(&syslog_output) + log_output_dropped(&stderr_output);
}

void log_fields(int severity, const char *id, const struct log_field *fields)
{
	struct log_line log;
	struct line line = {.log = &log};
	char now[CLOCK_TEXT_SIZE];
	int saved_errno = errno;

	if (diverted) {
		diverted(diverted_ctx, severity, id, fields);
		return;
	}
	if (LOG_PRI(severity) > atomic_load_explicit(&severity_max, memory_order_relaxed))
		return;
	put_string(&line, clock_format(clock_realtime_ns(), now));
	put(&line, " ", 1);
	log.severity = (uint8_t)LOG_PRI(severity);
	log.stamp_bytes = (uint8_t)line.size;
	put_string(&line, severity_words[LOG_PRI(severity)]);
	put(&line, " ", 1);
	put_string(&line, id);
	for (; fields->type != LOG_TYPE_END; fields++)
		put_field(&line, fields);
	finish(&line);
	log.size = (uint16_t)line.size;

	if (syslog_is_open)
		log_output_put(&syslog_output, &log);
	if (!stderr_is_journal)
		log_output_put(&stderr_output, &log);
	errno = saved_errno;
}

/* The index of the word in a list, or -EINVAL. */
static int find_word(const char *word, const char *const *words, size_t count, const char *what, struct error *err)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(words[i], word) == 0)
			return (int)i;
	const char *meant = suggest(word, words, count);
	if (meant)
		return error_set(err, -EINVAL, "there is no %s \"%s\" (did you mean \"%s\"?)", what, word, meant);
	error_set(err, -EINVAL, "there is no %s \"%s\"; use one of", what, word);
	for (size_t i = 0; i < count; i++)
		error_set(err, -EINVAL, "%s%s %s", err->text, i ? "," : "", words[i]);
	return -EINVAL;
}

/* Parses "AREA,…", which it overwrites. */
static int parse_areas(char *text, uint32_t *areas, struct error *err)
{
#define AREA_WORD(area) #area,
	static const char *const words[] = {LOG_AREAS(AREA_WORD)};
	char *word;

	*areas = 0;
	while ((word = strsep(&text, ",")) != NULL) {
		int area = find_word(word, words, LOG_AREA_COUNT, "log area", err);

		if (area < 0)
			return area;
		*areas |= UINT32_C(1) << area;
	}
	return 0;
}

int log_level_parse(const char *text, struct log_level *level, struct error *err)
{
	char copy[256];
	char *areas = copy;

	if (strlen(text) >= sizeof(copy))
		return error_set(err, -EINVAL, "is longer than %zu bytes", sizeof(copy) - 1);
	memcpy(copy, text, strlen(text) + 1);
	const char *word = strsep(&areas, ":");
	int r = find_word(word, severity_words + LOG_ERR, LOG_DEBUG - LOG_ERR + 1, "log level", err);
	if (r < 0)
		return r;
	struct log_level parsed = {.severity = LOG_ERR + r};
	if (areas && parsed.severity != LOG_DEBUG)
		return error_set(err, -EINVAL, "only debug has areas, not \"%s\"", word);
	if (parsed.severity == LOG_DEBUG)
		parsed.areas = UINT32_MAX;
	if (areas && (r = parse_areas(areas, &parsed.areas, err)) < 0)
		return r;
	*level = parsed;
	return 0;
}

void log_set_level(const struct log_level *level)
{
	atomic_store_explicit(&severity_max, level->severity, memory_order_relaxed);
	atomic_store_explicit(&log_debug_areas, level->areas, memory_order_relaxed);
}

void log_divert(log_handler handler, void *ctx)
{
	diverted = handler;
	diverted_ctx = ctx;
}

/* systemd.exec(5): JOURNAL_STREAM is <device>:<inode> of the stream it connected. */
static bool is_journal(int fd)
{
	const char *stream = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat st;

	if (!stream || fstat(fd, &st) < 0)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, own) == 0;
}

void log_open_syslog(int facility, const char *tag)
{
	static char kept_tag[64]; /* openlog() keeps the pointer */

	snprintf(kept_tag, sizeof(kept_tag), "%s", tag);
	openlog(kept_tag, LOG_PID | LOG_NDELAY, facility);
	syslog_is_open = true;
	/* Without a syslog socket, stderr is the only way to the journal. */
	stderr_is_journal = is_journal(STDERR_FILENO) && access(_PATH_LOG, W_OK) == 0;
}

bool log_rate_allow(struct log_rate *rate, uint64_t *suppressed)
{
	uint64_t second = clock_boottime_ns() / NS_PER_S;

	if (second != rate->second) {
		rate->second = second;
		rate->used = 0;
	}
	if (rate->used >= rate->burst) {
		rate->suppressed++;
		return false;
	}
	rate->used++;
	*suppressed = rate->suppressed;
	rate->suppressed = 0;
	return true;
}
