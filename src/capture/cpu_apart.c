/*
 * The kernel tells of a thread's affinity only what it comes to today: what was asked for, as far as the cpuset allows
 * and CPUs are there. Put back as a wish, that would be forever. So a thread that had all there is is given everything.
 */
#include "capture/cpu_apart.h"

#include <stdbool.h>
#include <string.h>

static bool get(pthread_t thread, cpu_set_t *cpus)
{
	return pthread_getaffinity_np(thread, sizeof(*cpus), cpus) == 0;
}

static bool set(pthread_t thread, const cpu_set_t *cpus)
{
	return pthread_setaffinity_np(thread, sizeof(*cpus), cpus) == 0;
}

static bool set_everything(pthread_t thread)
{
	cpu_set_t everything;
	memset(&everything, 0xff, sizeof(everything));
	return set(thread, &everything);
}

static void put_back(const struct cpu_apart *apart, pthread_t thread, const cpu_set_t *cpus)
{
	if (CPU_EQUAL(cpus, &apart->whole) || !set(thread, cpus))
		set_everything(thread); /* also if none of its own are left */
}

void cpu_apart_begin(struct cpu_apart *apart)
{
	const pthread_t self = pthread_self();
	apart->cpu = -1;
	apart->count = 0;
	if (!get(self, &apart->cpus) || !set_everything(self))
		return;
	cpu_set_t only;
	CPU_ZERO(&only);
	if (get(self, &apart->whole) && set(self, &apart->cpus)) {
		const int cpu = sched_getcpu();
		CPU_SET((size_t)cpu, &only);
		if (set(self, &only))
			apart->cpu = cpu;
	}
	if (apart->cpu < 0)
		put_back(apart, self, &apart->cpus);
}

void cpu_apart_keep_off(struct cpu_apart *apart, pthread_t other)
{
	cpu_set_t cpus;
	if (apart->cpu < 0 || apart->count == CPU_APART_MAX || !get(other, &cpus))
		return;
	cpu_set_t rest = cpus;
	CPU_CLR((size_t)apart->cpu, &rest);
	if (CPU_EQUAL(&rest, &cpus) || !CPU_COUNT(&rest) || !set(other, &rest))
		return;
	apart->others[apart->count].thread = other;
	apart->others[apart->count++].cpus = cpus;
}

void cpu_apart_end(const struct cpu_apart *apart)
{
	if (apart->cpu < 0)
		return;
	for (unsigned i = 0; i < apart->count; i++)
		put_back(apart, apart->others[i].thread, &apart->others[i].cpus);
	put_back(apart, pthread_self(), &apart->cpus);
}
