/* Affinities of single threads, put back as they were: an administrator may have set them. */
#include "capture/cpu_apart.h"

#include <stdbool.h>

static bool get(pthread_t thread, cpu_set_t *cpus)
{
	return pthread_getaffinity_np(thread, sizeof(*cpus), cpus) == 0;
}

static bool set(pthread_t thread, const cpu_set_t *cpus)
{
	return pthread_setaffinity_np(thread, sizeof(*cpus), cpus) == 0;
}

void cpu_apart_begin(struct cpu_apart *apart)
{
	const int cpu = sched_getcpu();
	apart->cpu = -1;
	apart->count = 0;
	if (cpu < 0 || cpu >= CPU_SETSIZE || !get(pthread_self(), &apart->cpus))
		return;
	cpu_set_t only;
	CPU_ZERO(&only);
	CPU_SET((size_t)cpu, &only);
	if (set(pthread_self(), &only))
		apart->cpu = cpu;
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
		set(apart->others[i].thread, &apart->others[i].cpus);
	set(pthread_self(), &apart->cpus);
}
