/* A finished capture as the file that destinations get: its packets, and in the section's comments all that is known
 * about it. */
#pragma once

#include "base/packet.h"
#include "capture/engine.h"
#include "pcapng/capture_file.h"
#include "request/request.h"
#include "sink/sink.h"

struct image {
	enum capture_file_format format;
	struct capture_file_info info;
	struct packet_interface interface;
	const struct store *store;
	char name[CAPTURE_FILE_NAME_SIZE];
	struct sink_file file; /* to hand to a delivery; valid as long as the image */
	char *comments[8];
};

/*
 * Everything passed in must outlive the image (comments are made and owned here). 0 or -ENOMEM. Streams opened from the
 * file may be read on any thread.
 */
warn_unused int image_init(struct image *image, const struct request *request, const char *node, const char *interface,
			   const char *tags, const struct capture_report *report, const struct store *store);
void image_deinit(struct image *image);
