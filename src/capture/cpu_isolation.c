/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel reports a thread's effective affinity: the requested one, reduced to the cpuset and the CPUs present.
 * Setting that again would make the reduction permanent. So a thread that had every available CPU is allowed all CPUs
 * instead.
 */
#include "capture/cpu_isolation.h"

#include <stdbool.h>
#include <string.h>

static bool get_affinity(pthread_t thread, cpu_set_t *affinity)
{
	return pthread_getaffinity_np(thread, sizeof(*affinity), affinity) == 0;
}

static bool set_affinity(pthread_t thread, const cpu_set_t *affinity)
{
	return pthread_setaffinity_np(thread, sizeof(*affinity), affinity) == 0;
}

static bool allow_all_cpus(pthread_t thread)
{
	cpu_set_t everything;

	memset(&everything, 0xff, sizeof(everything));
	return set_affinity(thread, &everything);
}

static void restore_affinity(const struct cpu_isolation *isolation, pthread_t thread, const cpu_set_t *affinity)
{
	if (CPU_EQUAL(affinity, &isolation->all_cpus) || !set_affinity(thread, affinity))
		allow_all_cpus(thread); /* also if none of its CPUs are left */
}

void cpu_isolation_begin(struct cpu_isolation *isolation)
{
	const pthread_t self = pthread_self();

	isolation->cpu = -1;
	isolation->count = 0;
	if (!get_affinity(self, &isolation->affinity) || !allow_all_cpus(self))
		return;
	cpu_set_t only;
	CPU_ZERO(&only);
	if (get_affinity(self, &isolation->all_cpus) && set_affinity(self, &isolation->affinity)) {
		const int cpu = sched_getcpu();

		CPU_SET((size_t)cpu, &only);
		if (set_affinity(self, &only))
			isolation->cpu = cpu;
	}
	if (isolation->cpu < 0)
		restore_affinity(isolation, self, &isolation->affinity);
}

void cpu_isolation_keep_off(struct cpu_isolation *isolation, pthread_t other)
{
	cpu_set_t affinity;

	if (isolation->cpu < 0 || isolation->count == CPU_ISOLATION_MAX || !get_affinity(other, &affinity))
		return;
	cpu_set_t rest = affinity;
	CPU_CLR((size_t)isolation->cpu, &rest);
	if (CPU_EQUAL(&rest, &affinity) || !CPU_COUNT(&rest) || !set_affinity(other, &rest))
		return;
	isolation->others[isolation->count].thread = other;
	isolation->others[isolation->count++].affinity = affinity;
}

void cpu_isolation_end(const struct cpu_isolation *isolation)
{
	if (isolation->cpu < 0)
		return;
	for (unsigned i = 0; i < isolation->count; i++)
		restore_affinity(isolation, isolation->others[i].thread, &isolation->others[i].affinity);
	restore_affinity(isolation, pthread_self(), &isolation->affinity);
}
