/* SPDX-License-Identifier: BSD-2-Clause */
/* The few texts that we need of a service's XML answers. Not an XML parser: it looks for an element by its name. Pure;
 * any thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * Copies the text of the first element `name` at or after `xml` into `text` (room bytes), with its entities decoded.
 * Returns what follows the element. NULL if there is none, it holds other elements, or its text does not fit; `text` is
 * then "".
 */
const char *xml_text(const char *xml, const char *name, char *text, size_t room);

/* Whether the answer has an element of this name. */
bool xml_has(const char *xml, const char *name);
