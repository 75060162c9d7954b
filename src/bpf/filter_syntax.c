/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The place of a syntax error is the first word up to which nothing makes the expression whole: a few endings are tried
 * with libpcap's parser. Names are replaced by an address or a number, so that nothing is looked up.
 */
#include "bpf/filter_syntax.h"

#include <ctype.h>
#include <errno.h>
#include <pcap/pcap.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "base/buffer.h"
#include "base/utf8.h"
#include "bpf/filter.h"
#include "bpf/filter_internal.h"
#include "bpf/filter_names.h"

#define SNAPLEN 65535
#define NETMASK 0xffffff00u
#define SHOWN_BYTES 100		/* of the expression, on each side of the place */
#define NESTING_MAX 64		/* open brackets that an ending closes */
#define SEARCHED_BYTES_MAX 1024 /* of longer expressions, the place is not searched for */
#define ATTEMPT_BYTES_MAX (64u << 10)

/* A place in an expression. */
struct place {
	size_t begin, end; /* equal: there is none, or the end is missing */
};

static struct place place_of(const char *expression, const struct filter_scanner *scanner)
{
	const size_t begin = (size_t)(scanner->word - expression);

	return (struct place){.begin = begin, .end = begin + scanner->length};
}

static bool is_word_character(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-' || c == ':';
}

/* What stands for a name in a parse: libpcap would look the name up. */
static const char *stand_in(enum filter_word kind)
{
	switch (kind) {
	case FILTER_WORD_HOST:
		return "127.0.0.1";
	case FILTER_WORD_PORT:
		return "1";
	case FILTER_WORD_PORT_RANGE:
		return "1-2";
	case FILTER_WORD_PROTOCOL:
		return "6";
	case FILTER_WORD_SYMBOL:
	case FILTER_WORD_KEYWORD:
	case FILTER_WORD_NUMBER:
	case FILTER_WORD_PLAIN:
		break;
	}
	return NULL;
}

/* Appends the expression up to `end`, with stand-ins. The grammar takes an address or number wherever it takes a name
 * to look up. */
static int append_without_names(struct buffer *text, const char *expression, size_t end)
{
	int r = 0;

	for (struct filter_scanner scanner = filter_scan(expression);
	     r == 0 && filter_scan_next(&scanner) && (size_t)(scanner.word - expression) < end;) {
		const char *name = stand_in(scanner.kind);

		r = buffer_printf(text, " %.*s", name ? (int)strlen(name) : (int)scanner.length,
				  name ? name : scanner.word);
	}
	return r;
}

/* Whether libpcap's parser gets through it. Other errors than of syntax come when it has. */
static bool parses(pcap_t *pcap, const char *expression)
{
	struct bpf_program program;

	if (pcap_compile(pcap, &program, expression, 0, NETMASK) < 0)
		return !strstr(pcap_geterr(pcap), "syntax error");
	pcap_freecode(&program);
	return true;
}

/* What closes the brackets that are open at `end`, the innermost first. */
static void find_closing(const char *expression, size_t end, char closing[static NESTING_MAX + 1])
{
	char open[NESTING_MAX];
	unsigned depth = 0;

	for (size_t i = 0; i < end; i++) {
		if ((expression[i] == '(' || expression[i] == '[') && depth < NESTING_MAX)
			open[depth++] = expression[i] == '(' ? ')' : ']';
		else if ((expression[i] == ')' || expression[i] == ']') && depth)
			depth--;
	}
	for (unsigned i = 0; i < depth; i++)
		closing[i] = open[depth - 1 - i];
	closing[depth] = '\0';
}

/* Whether the expression up to `end` could be the beginning of a valid one. */
static bool may_begin(pcap_t *pcap, const char *expression, size_t end)
{
	static const char *const endings[] = {
		"", " 1", " 127.0.0.1", " tcp", " port 1", " host 127.0.0.1", " 1:2:3:4:5:6", " [0]"};
	static const char *const relations[] = {"", " = 1"};
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(ATTEMPT_BYTES_MAX);
	char closing[NESTING_MAX + 1];

	find_closing(expression, end, closing);
	for (size_t i = 0; i < sizeof(endings) / sizeof(*endings); i++) {
		for (size_t j = 0; j < sizeof(relations) / sizeof(*relations); j++) {
			buffer_clear(&text);
			if (append_without_names(&text, expression, end) < 0 ||
			    buffer_printf(&text, "%s %s%s", endings[i], closing, relations[j]) < 0)
				return true;
			if (parses(pcap, buffer_text(&text)))
				return true;
		}
	}
	return false;
}

/* The first word that cannot be there; empty, at the end: all can. */
static struct place find_syntax_error(pcap_t *pcap, const char *expression)
{
	struct filter_scanner scanner = filter_scan(expression);

	while (filter_scan_next(&scanner) && may_begin(pcap, expression, place_of(expression, &scanner).end))
		;
	return place_of(expression, &scanner);
}

/* The word that the reason names: in quotes, or a number. */
static struct place find_named(const char *expression, const char *reason)
{
	const char *quote = strpbrk(reason, "'\"");

	for (struct filter_scanner scanner = filter_scan(expression); filter_scan_next(&scanner);) {
		const size_t length = scanner.length;

		if (quote) {
			if (strncmp(quote + 1, scanner.word, length) == 0 &&
			    (quote[1 + length] == *quote || quote[1 + length] == '/'))
				return place_of(expression, &scanner);
			continue;
		}
		if (!isdigit((unsigned char)*scanner.word))
			continue;
		for (const char *at = reason; *at; at++) {
			if (strncmp(at, scanner.word, length) == 0 && !is_word_character(at[length]) &&
			    (at == reason || !is_word_character(at[-1])))
				return place_of(expression, &scanner);
		}
	}
	return (struct place){0};
}

/* A part of the expression on one line. */
static void append_shown(char *line, size_t size, const char *text, size_t length)
{
	size_t used = strlen(line);

	for (size_t i = 0, bytes; i < length; i += bytes) {
		uint32_t code = 0;

		bytes = utf8_decode(text + i, length - i, &code);
		if (used + 4 >= size)
			break;
		if (!bytes || code < ' ' || (code >= 0x7f && code < 0xa0)) {
			line[used++] = code && code < ' ' ? ' ' : '?';
			bytes = bytes ? bytes : 1;
		} else {
			memcpy(line + used, text + i, bytes);
			used += bytes;
		}
	}
	line[used] = '\0';
}

static bool continues_character(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

static int set_error(struct error *err, const char *reason, const char *expression, const struct place *place)
{
	const size_t length = strlen(expression);
	struct place shown = {.end = length};
	char line[4 * SHOWN_BYTES] = "";

	if (place->begin > SHOWN_BYTES)
		shown.begin = place->begin - SHOWN_BYTES;
	if (length - place->end > SHOWN_BYTES)
		shown.end = place->end + SHOWN_BYTES;
	while (shown.begin < place->begin && continues_character(expression[shown.begin]))
		shown.begin++;
	while (shown.end < length && continues_character(expression[shown.end]))
		shown.end++;
	if (shown.begin)
		strncat(line, "...", sizeof(line) - strlen(line) - 1);
	append_shown(line, sizeof(line), expression + shown.begin, place->begin - shown.begin);
	if (place->end) {
		strncat(line, ">>>", sizeof(line) - strlen(line) - 1);
		append_shown(line, sizeof(line), expression + place->begin,
			     place->end - place->begin > SHOWN_BYTES ? SHOWN_BYTES : place->end - place->begin);
		strncat(line, "<<<", sizeof(line) - strlen(line) - 1);
	}
	append_shown(line, sizeof(line), expression + place->end, shown.end - place->end);
	if (shown.end < length)
		strncat(line, "...", sizeof(line) - strlen(line) - 1);
	return error_set(err, -EINVAL, "%s: \"%s\"", reason, line);
}

static int explain_syntax(pcap_t *pcap, const char *expression, struct error *err)
{
	const struct place place =
		strlen(expression) <= SEARCHED_BYTES_MAX ? find_syntax_error(pcap, expression) : (struct place){0};
	char word[SHOWN_BYTES / 2] = "", reason[SHOWN_BYTES];

	append_shown(word, sizeof(word), expression + place.begin, place.end - place.begin);
	if (*word)
		snprintf(reason, sizeof(reason), "syntax error near \"%s\"", word);
	else
		snprintf(reason, sizeof(reason), place.end ? "syntax error, the end is missing" : "syntax error");
	return set_error(err, reason, expression, &place);
}

int filter_explain(const char *expression, const char *reason, struct error *err)
{
	if (!strstr(reason, "syntax error")) {
		const struct place place = find_named(expression, reason);

		return set_error(err, reason, expression, &place);
	}
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	if (!pcap)
		return set_error(err, "syntax error", expression, &(struct place){0});
	const int r = explain_syntax(pcap, expression, err);
	pcap_close(pcap);
	return r;
}

int filter_check_syntax(const char *expression, struct error *err)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(ATTEMPT_BYTES_MAX);

	if (!expression || !*expression)
		return 0;
	int r = filter_check_terms(expression, err);
	if (r < 0)
		return r;
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, SNAPLEN);
	if (!pcap || append_without_names(&text, expression, strlen(expression)) < 0)
		r = error_set(err, -ENOMEM, "out of memory");
	else if (!parses(pcap, buffer_text(&text)))
		r = explain_syntax(pcap, expression, err);
	if (pcap)
		pcap_close(pcap);
	return r;
}
