/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Trigger: the lines that are added to a file (Suricata's eve.json, a log), each a message. It begins at the file's
 * end, waits for a file that is absent, and follows the name to another file or back to the beginning when it is
 * rotated. Loop thread; the file is read on a thread of its own.
 */
#pragma once

#include "base/cleanup.h"
#include "base/error.h"
#include "trigger/trigger.h"

struct event_base;
struct file_input;

#define FILE_LINE_BYTES_MAX (1024 * 1024) /* longer lines are left out: messages with a `refusal` */

/* `path` is absolute; the file need not be there. NULL and `err` on failure. */
struct file_input *file_input_new(struct event_base *loop, const char *path, struct trigger_handler handler,
				  struct error *err);
/* Waits for a read that is under way. */
void file_input_free(struct file_input *input);

CLEANUP_DEFINE(file_input, struct file_input, file_input_free)
