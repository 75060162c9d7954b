/* SPDX-License-Identifier: BSD-2-Clause */
/* A list that events can borrow as it is. */
#include "job/skipped.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"

static void add(struct skipped *skipped, const char *interface, const char *reason)
{
	const size_t name_size = strlen(interface) + 1, reason_size = strnlen(reason, SKIPPED_REASON_MAX);

	if (skipped->total++ >= SKIPPED_LISTED_MAX)
		return;
	struct event_skipped *items = reallocarray(skipped->items, skipped->listed + 1, sizeof(*items));
	if (items)
		skipped->items = items;
	char **texts = reallocarray(skipped->texts, skipped->listed + 1, sizeof(*texts));
	if (texts)
		skipped->texts = texts;
	char *text = items && texts ? calloc(1, name_size + reason_size + 1) : NULL;
	if (!text)
		return;
	memcpy(text, interface, name_size);
	memcpy(text + name_size, reason, reason_size);
	skipped->texts[skipped->listed] = text;
	skipped->items[skipped->listed++] = (struct event_skipped){text, text + name_size};
}

void skipped_add(struct skipped *skipped, const char *interface, int code, const char *text)
{
	add(skipped, interface, code == -ENODEV ? "gone" : code == -ENOMEM ? "memory" : text);
}

void skipped_add_all(struct skipped *skipped, const struct skipped *more)
{
	for (size_t i = 0; i < more->listed; i++)
		add(skipped, more->items[i].interface, more->items[i].reason);
	skipped->total += more->total - more->listed;
}

void skipped_deinit(struct skipped *skipped)
{
	for (size_t i = 0; i < skipped->listed; i++)
		free(skipped->texts[i]);
	free(skipped->texts);
	free(skipped->items);
	*skipped = (struct skipped){0};
}

char *skipped_text(const struct skipped *skipped)
{
	cleanup(buffer_deinit) struct buffer text = BUFFER_INIT(SKIPPED_TEXT_MAX);
	size_t shown = 0;
	int r = 0;

	for (; r == 0 && shown < skipped->listed; shown += r == 0) {
		const struct event_skipped *item = &skipped->items[shown];
		const bool same_follows =
			shown + 1 < skipped->listed && strcmp(item->reason, skipped->items[shown + 1].reason) == 0;

		r = same_follows ? buffer_printf(&text, "%s%s", shown ? ", " : "", item->interface)
				 : buffer_printf(&text, "%s%s (%s)", shown ? ", " : "", item->interface, item->reason);
	}
	if (shown < skipped->total)
		text.cap_bytes += 64;
	if (shown < skipped->total &&
	    buffer_printf(&text, "%s%zu more", shown ? " and " : "", skipped->total - shown) < 0)
		return NULL;
	return take(text.data);
}
