/* SPDX-License-Identifier: BSD-2-Clause */
/* Findings are kept as the JSON that --json prints. */
#include "pcapctl/doctor/findings.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/printable.h"
#include "pcapctl/cli/request_build.h"
#include "pcapctl/output/format.h"
#include "pcapctl/output/results.h"
#include "pcapctl/output/terminal.h"

struct findings {
	json_t *list;
	size_t counts[FINDING_FAULT + 1];
	bool incomplete;
};

static const char *const states[] = {
	[FINDING_OK] = "ok",
	[FINDING_NOTE] = "note",
	[FINDING_WARNING] = "warning",
	[FINDING_FAULT] = "fault",
};

static const enum tone tones[] = {
	[FINDING_OK] = TONE_GOOD,
	[FINDING_NOTE] = TONE_FAINT,
	[FINDING_WARNING] = TONE_BUSY,
	[FINDING_FAULT] = TONE_BAD,
};

struct findings *findings_new(void)
{
	struct findings *findings = calloc(1, sizeof(*findings));

	if (!findings)
		return NULL;
	findings->list = json_array();
	if (findings->list)
		return findings;
	free(findings);
	return NULL;
}

void findings_free(struct findings *findings)
{
	if (!findings)
		return;
	json_decref(findings->list);
	free(findings);
}

void finding_add(struct findings *findings, enum finding_state state, const char *check, const char *advice,
		 const char *fmt, ...)
{
	char text[FINDING_TEXT_MAX], what[FINDING_TEXT_MAX], todo[FINDING_TEXT_MAX];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	printable(what, sizeof(what), text);
	printable(todo, sizeof(todo), advice);
	json_t *finding =
		json_pack("{s:s, s:s, s:s, s:s}", "state", states[state], "check", check, "what", what, "do", todo);
	if (!finding || json_array_size(findings->list) >= FINDINGS_MAX ||
	    json_array_append_new(findings->list, finding) < 0)
		findings->incomplete = true;
	else
		findings->counts[state]++;
}

void finding_add_error(struct findings *findings, enum finding_state state, const char *check, const struct error *err)
{
	const char *advice = strstr(err->text, "; ");
	const int size = advice ? (int)(advice - err->text) : (int)strlen(err->text);

	finding_add(findings, state, check, advice ? advice + 2 : "", "%.*s", size, err->text);
}

static enum finding_state state_of(const json_t *finding)
{
	enum finding_state state = FINDING_OK;

	while (state < FINDING_FAULT && strcmp(states[state], json_text(finding, "state")) != 0)
		state++;
	return state;
}

static int print_lines(const struct findings *findings, const struct terminal *terminal)
{
	size_t i;
	json_t *finding;

	json_array_foreach(findings->list, i, finding)
	{
		const enum finding_state state = state_of(finding);
		const char *todo = json_text(finding, "do");

		if (terminal->quiet && state < FINDING_WARNING)
			continue;
		fprintf(terminal->results, "%s%-7s%s  %s%s%s\n", terminal_begin(terminal, tones[state]), states[state],
			terminal_end(terminal, tones[state]), json_text(finding, "what"), *todo ? ": " : "", todo);
	}
	return 0;
}

enum exit_status findings_print(const struct findings *findings, const struct terminal *terminal)
{
	int r = findings->incomplete ? -ENOMEM : 0;

	if (r == 0 && terminal->json) {
		cleanup(cleanup_json) json_t *answer =
			json_pack("{s:O, s:I, s:I}", "findings", findings->list, "warnings",
				  (json_int_t)findings->counts[FINDING_WARNING], "faults",
				  (json_int_t)findings->counts[FINDING_FAULT]);

		r = answer ? json_print(terminal, answer, false) : -ENOMEM;
	} else {
		(void)print_lines(findings, terminal);
	}
	if (r < 0)
		terminal_error("not all findings are shown: %s", strerror(-r));
	if (r < 0 || findings->counts[FINDING_FAULT])
		return STATUS_FAILED;
	return findings->counts[FINDING_WARNING] ? STATUS_PARTIAL : STATUS_OK;
}

int finding_get(const struct findings *findings, size_t index, char text[static 2 * FINDING_TEXT_MAX])
{
	const json_t *finding = json_array_get(findings->list, index);

	if (!finding)
		return -1;
	snprintf(text, 2 * FINDING_TEXT_MAX, "%s %s: %s", json_text(finding, "check"), json_text(finding, "what"),
		 json_text(finding, "do"));
	return state_of(finding);
}
