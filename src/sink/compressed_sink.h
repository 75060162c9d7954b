/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sink: another sink, which gets each file compressed, its name with ".gz" or ".zst" at the end. An offload pool
 * compresses the file into memory before the other sink's attempt starts; each attempt compresses it anew, so that none
 * of that memory is held in between. A file for which there is no memory is delivered as it is, with a warning; unless
 * it may be there from an earlier attempt, and must not get a second name.
 */
#pragma once

struct compressed_file_options;
struct event_base;
struct sink;

/*
 * Takes ownership of `inner`, even on failure. Returns `inner` itself if the options' kind is COMPRESSION_NONE; NULL on
 * ENOMEM, or if `inner` is NULL. The options are copied; what they refer to must outlive the sink.
 */
struct sink *compressed_sink_new(struct event_base *loop, struct sink *inner,
				 const struct compressed_file_options *options);
