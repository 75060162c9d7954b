/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps other threads off the CPU on which a thread makes a call that does not yield it. The kernel allocates a ring in
 * one go: without preemption (servers, clouds) its CPU is unavailable meanwhile (15 to 200 ms were seen for 64 MiB). A
 * ring thread scheduled there, or waiting for a lock whose holder is, would be late for the open rings.
 */
#pragma once

#include <pthread.h>
#include <sched.h>

#define CPU_ISOLATION_MAX 32

struct cpu_isolation {
	int cpu;
	cpu_set_t all_cpus; /* all CPUs that an unrestricted thread may use */
	cpu_set_t affinity; /* the calling thread's, to restore */
	unsigned count;
	struct {
		pthread_t thread;
		cpu_set_t affinity;
	} others[CPU_ISOLATION_MAX]; /* to restore */
};

/* Pins the calling thread to its current CPU. If the kernel refuses, this and the following calls change nothing. */
void cpu_isolation_begin(struct cpu_isolation *isolation);

/* Keeps another thread off that CPU; it must live until cpu_isolation_end. A thread that may run nowhere else is left
 * alone, as are all after CPU_ISOLATION_MAX. */
void cpu_isolation_keep_off(struct cpu_isolation *isolation, pthread_t other);

/* Restores all threads' affinities. Call on the thread that called cpu_isolation_begin. Threads that were unrestricted
 * may also use CPUs that are added later (to the machine, or to the process's cpuset). */
void cpu_isolation_end(const struct cpu_isolation *isolation);
