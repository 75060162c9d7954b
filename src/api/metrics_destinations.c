/* SPDX-License-Identifier: BSD-2-Clause */
/* Every destination has a sample from the start. */
#include "api/metrics_destinations.h"

#include "sink/delivery.h"

static double breaker_open(const struct destination_status *status)
{
	return status->breaker != BREAKER_CLOSED;
}

static double breaker_openings(const struct destination_status *status)
{
	return (double)status->breaker_openings;
}

static double waiting_files(const struct destination_status *status)
{
	return (double)status->waiting_files;
}

static double waiting_bytes(const struct destination_status *status)
{
	return (double)status->waiting_bytes;
}

int metrics_write_destinations(struct metric_writer *out, const struct deliveries *deliveries)
{
	static const struct {
		struct metric_family family;
		double (*read)(const struct destination_status *status);
	} metrics[] = {
		{{"pcapdaemon_destination_breaker_open", METRIC_GAUGE, NULL,
		  "Whether the destination has been failing, so that it gets one attempt at a time or none."},
		 breaker_open},
		{{"pcapdaemon_destination_breaker_openings", METRIC_COUNTER, NULL,
		  "How often the destination's breaker has opened."},
		 breaker_openings},
		{{"pcapdaemon_destination_waiting_files", METRIC_GAUGE, NULL,
		  "Files on their way to the destination, those being sent included."},
		 waiting_files},
		{{"pcapdaemon_destination_waiting_bytes", METRIC_GAUGE, "bytes", "Packet data of these files."},
		 waiting_bytes},
	};
	struct destination_status status[SINKS_MAX];
	const size_t count = deliveries_status(deliveries, status);
	int r = 0;

	for (size_t m = 0; r == 0 && m < sizeof(metrics) / sizeof(*metrics); m++) {
		r = metric_header(out, &metrics[m].family);
		for (size_t i = 0; r == 0 && i < count; i++) {
			const struct metric_label labels[] = {{"destination", status[i].name}, {NULL, NULL}};

			r = metric_sample(out, &metrics[m].family, labels, metrics[m].read(&status[i]));
		}
	}
	return r;
}
