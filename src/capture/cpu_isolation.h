/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Keeps other threads off the CPU on which a thread makes a call that does not give the CPU up. The kernel allocates a
 * ring in one go: without preemption (servers, clouds) its CPU is gone meanwhile (15 to 200 ms were seen for 64 MiB),
 * and a ring thread that was to run there, or that waits for a lock of somebody who was, comes too late for the rings
 * there are.
 */
#pragma once

#include <pthread.h>
#include <sched.h>

#define CPU_ISOLATION_MAX 32

struct cpu_isolation {
	int cpu;
	cpu_set_t all_cpus; /* what there is for threads that nobody has restricted */
	cpu_set_t affinity; /* of the calling thread, as they were */
	unsigned count;
	struct {
		pthread_t thread;
		cpu_set_t affinity;
	} others[CPU_ISOLATION_MAX]; /* as they were */
};

/* Confines the calling thread to the CPU it is on. Where the kernel refuses, this and what follows change nothing. */
void cpu_isolation_begin(struct cpu_isolation *isolation);

/*
 * Keeps another thread, which must live until the end, off that CPU. One that may run nowhere else stays as it is; so
 * do all after CPU_ISOLATION_MAX.
 */
void cpu_isolation_keep_off(struct cpu_isolation *isolation, pthread_t other);

/*
 * The calling thread of the beginning: all may run where they could before. Those that could run everywhere may also
 * run on CPUs that come later (to the machine, or to the process's cpuset).
 */
void cpu_isolation_end(const struct cpu_isolation *isolation);
