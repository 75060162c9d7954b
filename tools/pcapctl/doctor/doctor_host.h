/* SPDX-License-Identifier: BSD-2-Clause */
/* The host: kernel settings, memory, offloads of interfaces. Needs no rights. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

struct findings;

/* `root`: "" or a folder that stands for /, for tests. */
void doctor_kernel(struct findings *findings, const char *root);

/* What of an interface's offloads is on: "gro, tso"; "": nothing but perhaps LRO. */
void doctor_judge_offloads(struct findings *findings, const char *interface, bool lro, const char *names);

/* The interfaces of GET /v1/interfaces whose packets are recorded or captured; those that are up if there are none. */
void doctor_offloads(struct findings *findings, const json_t *interfaces);
