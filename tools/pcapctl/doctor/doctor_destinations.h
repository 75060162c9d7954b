/* SPDX-License-Identifier: BSD-2-Clause */
/* Whether the destinations of a configuration can be reached from here. */
#pragma once

struct config;
struct findings;

/* Connects to servers, with TLS where they use it, and sends nothing. Blocks for 10 s at most. */
void doctor_destinations(struct findings *findings, const struct config *config);
