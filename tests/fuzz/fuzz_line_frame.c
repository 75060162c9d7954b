/* SPDX-License-Identifier: BSD-2-Clause */
/* Any bytes are messages: each lies within what it takes, all is taken but the last, and pieces make no difference. */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "require.h"
#include "trigger/line_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *bytes = (const char *)data;
	struct line_frame frame, again;
	enum line_frame_kind kind;
	size_t at = 0;

	while ((kind = line_frame_first(bytes + at, size - at, &frame)) == LINE_FRAME_WHOLE) {
		REQUIRE(frame.taken > 0 && frame.taken <= size - at && frame.size <= frame.taken);
		REQUIRE(frame.text >= bytes + at && frame.text + frame.size <= bytes + at + frame.taken);
		REQUIRE(line_frame_first(bytes + at, frame.taken, &again) == LINE_FRAME_WHOLE);
		REQUIRE(again.size == frame.size && again.taken == frame.taken);
		at += frame.taken;
	}
	REQUIRE(kind == LINE_FRAME_NONE || kind == LINE_FRAME_TOO_LONG);
	kind = line_frame_last(bytes + at, size - at, &frame);
	REQUIRE(kind != LINE_FRAME_NONE || at == size);
	REQUIRE(kind != LINE_FRAME_WHOLE || frame.taken == size - at);
	return 0;
}
