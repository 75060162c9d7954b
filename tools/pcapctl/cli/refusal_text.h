/* SPDX-License-Identifier: BSD-2-Clause */
/* A daemon's refusal names a field of the request; the user typed an option. */
#pragma once

struct buffer;

/*
 * The reason with the option's name for the field's: "to_destinations: …" becomes "-d: …". Returns the text of `into`,
 * which is replaced, or `reason` if no option makes this field or memory is lacking.
 */
const char *refusal_text(const char *field, const char *reason, struct buffer *into);
