/* SPDX-License-Identifier: BSD-2-Clause */
/* Every type of destination has a function that turns its settings into a sink, and a place in add_sinks. */
#include "daemon/sink_setup.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "config/config.h"
#include "daemon/redis_setup.h"
#include "daemon/secrets.h"
#include "pcapng/capture_file.h"
#include "sink/cloudshark_sink.h"
#include "sink/compressed_sink.h"
#include "sink/delivery.h"
#include "sink/directory_quota.h"
#include "sink/directory_sink.h"
#include "sink/http_sink.h"
#include "sink/memory_sink.h"
#include "sink/redis_sink.h"
#include "sink/s3/s3_sink.h"
#include "sink/sftp_sink.h"

#define SECTIONS_MAX (SINKS_MAX - CONFIG_DESTINATIONS_MAX)

static_assert(SECTIONS_MAX >= 6, "room for the destinations of sections");

/* The sinks made so far. */
struct sinks {
	struct sink *list[SINKS_MAX];
	size_t count;
	size_t enabled; /* not only on request */
};

/* --- a sink of each type --- */

/* `kind`: the destination's key `compress`. */
static struct sink *compressed(const struct sink_setup_options *options, const char *kind, struct sink *sink)
{
	return compressed_sink_new(options->loop, sink,
				   &(struct compressed_file_options){
					   .kind = compression_by_name(kind),
					   .slabs = options->slabs,
					   .account = options->account,
				   });
}

static struct sink *make_cloudshark(const struct sink_setup_options *options, const char *name,
				    const struct config_cloudshark *settings, struct secret *token,
				    struct secret *customers)
{
	const struct config *config = options->config;

	return compressed(options, settings->compress,
			  cloudshark_sink_new(options->loop, name,
					      &(struct cloudshark_sink_options){
						      .scheme = settings->scheme,
						      .host = settings->host,
						      .secret = token,
						      .customers = customers,
						      .public_url = settings->public_url,
						      .filter_links = settings->filter_links,
						      .port = (uint16_t)settings->port,
						      .timeout_ns = settings->timeout_ns,
						      .min_speed = config->limits.upload_speed,
						      .window_ns = config->limits.upload_window_ns,
						      .verify = settings->verify,
						      .ca_file = settings->ca_file,
					      }));
}

static struct sink *make_local(const struct sink_setup_options *options, const char *name,
			       const struct config_local *settings)
{
	char prefix[CAPTURE_FILE_NAME_SIZE];

	return compressed(options, settings->compress,
			  directory_sink_new(options->loop, name, settings->directory,
					     &(struct directory_quota_options){
						     .name_prefix =
							     capture_file_name_prefix(prefix,
										      options->config->general.node),
						     .max_bytes = settings->max_bytes,
						     .min_free = (unsigned)settings->min_free,
						     .max_age_ns = settings->max_age_ns,
					     }));
}

static struct sink *make_memory(const struct sink_setup_options *options, const char *name,
				const struct config_memory *settings)
{
	return memory_sink_new(options->loop, name,
			       &(struct memory_sink_options){
				       .bytes_max = settings->bytes,
				       .max_age_ns = settings->keep_ns,
				       .slabs = options->slabs,
			       });
}

static struct sink *make_redis(const struct sink_setup_options *options, const char *name,
			       const struct config_redis *settings, const struct redis_options *connection)
{
	return compressed(options, settings->compress,
			  redis_sink_new(options->loop, name, connection,
					 &(struct redis_sink_options){
						 .channel = settings->channel,
						 .node = options->config->general.node,
						 .bytes_max = settings->file_size_bytes,
						 .held_bytes_max = settings->files_size_bytes,
						 .ttl_ns = settings->file_ttl_ns,
					 }));
}

static struct sink *make_http(const struct sink_setup_options *options, const char *name,
			      const struct config_http *settings, struct secret *url, struct secret *token,
			      struct secret *password)
{
	const struct config *config = options->config;

	return compressed(options, settings->compress,
			  http_sink_new(options->loop, name,
					&(struct http_sink_options){
						.url = url,
						.token = token,
						.password = password,
						.username = settings->username,
						.post = strcmp(settings->method, "POST") == 0,
						.form_field = settings->form_field,
						.forms = settings->form.items,
						.form_count = settings->form.count,
						.headers = settings->header.items,
						.header_count = settings->header.count,
						.cert_file = settings->cert_file,
						.key_file = settings->key_file,
						.ca_file = settings->ca_file,
						.verify = settings->verify,
						.timeout_ns = settings->timeout_ns,
						.min_speed = config->limits.upload_speed,
						.window_ns = config->limits.upload_window_ns,
					}));
}

static struct sink *make_sftp(const struct sink_setup_options *options, const char *name,
			      const struct config_sftp *settings, struct secret *passphrase)
{
	return compressed(options, settings->compress,
			  sftp_sink_new(options->loop, name,
					&(struct sftp_sink_options){
						.host = settings->host,
						.port = (uint16_t)settings->port,
						.user = settings->user,
						.key_file = settings->key_file,
						.passphrase = passphrase,
						.known_hosts = settings->known_hosts,
						.host_key_sha256 = settings->host_key_sha256,
						.path = settings->path,
						.timeout_ns = settings->timeout_ns,
						.min_speed = options->config->limits.upload_speed,
						.window_ns = options->config->limits.upload_window_ns,
					}));
}

static struct sink *make_s3(const struct sink_setup_options *options, const char *name,
			    const struct config_s3 *settings, struct secret *key, struct secret *token)
{
	const struct config *config = options->config;

	return compressed(options, settings->compress,
			  s3_sink_new(options->loop, name,
				      &(struct s3_sink_options){
					      .endpoint = settings->endpoint,
					      .region = settings->region,
					      .bucket = settings->bucket,
					      .folder = settings->folder,
					      .acl = settings->acl,
					      .encryption = s3_encryption(settings->encryption),
					      .kms_key = settings->kms_key_id,
					      .style = s3_style(settings->path_style),
					      .overrides = s3_overrides(settings->allow_override.items,
									settings->allow_override.count),
					      .access_id = settings->accessid,
					      .access_key = key,
					      .session_token = token,
					      .credentials_file = settings->credentials_file,
					      .profile = settings->profile,
					      .verify = settings->verify,
					      .ca_file = settings->ca_file,
					      .min_speed = config->limits.upload_speed,
					      .window_ns = config->limits.upload_window_ns,
				      }));
}

static struct sink *make_named_s3(const struct sink_setup_options *options,
				  const struct config_destination *destination)
{
	return make_s3(options, destination->name, &destination->s3,
		       secrets_of_destination(options->secrets, destination, "accesskey"),
		       secrets_of_destination(options->secrets, destination, "session_token"));
}

static struct sink *make_named_cloudshark(const struct sink_setup_options *options,
					  const struct config_destination *destination)
{
	return make_cloudshark(options, destination->name, &destination->cloudshark,
			       secrets_of_destination(options->secrets, destination, "token"), NULL);
}

static struct sink *make_named_local(const struct sink_setup_options *options,
				     const struct config_destination *destination)
{
	return make_local(options, destination->name, &destination->local);
}

static struct sink *make_named_redis(const struct sink_setup_options *options,
				     const struct config_destination *destination)
{
	struct redis_options connection = redis_setup_options(&destination->redis);

	connection.secret = secrets_of_destination(options->secrets, destination, "auth");
	connection.sentinel_secret = secrets_of_destination(options->secrets, destination, "sentinel_auth");
	return make_redis(options, destination->name, &destination->redis, &connection);
}

static struct sink *make_named_http(const struct sink_setup_options *options,
				    const struct config_destination *destination)
{
	return make_http(options, destination->name, &destination->http,
			 secrets_of_destination(options->secrets, destination, "url"),
			 secrets_of_destination(options->secrets, destination, "token"),
			 secrets_of_destination(options->secrets, destination, "password"));
}

static struct sink *make_named_sftp(const struct sink_setup_options *options,
				    const struct config_destination *destination)
{
	return make_sftp(options, destination->name, &destination->sftp,
			 secrets_of_destination(options->secrets, destination, "passphrase"));
}

/* The types of [[destination]]. */
static const struct {
	const char *type;
	struct sink *(*make)(const struct sink_setup_options *options, const struct config_destination *destination);
} makers[] = {
	{"cloudshark", make_named_cloudshark},
	{"local", make_named_local},
	{"redis", make_named_redis},
	{"http", make_named_http},
	{"sftp", make_named_sftp},
	{"s3", make_named_s3},
};

/* --- all of them --- */

/* Takes ownership; `sink` NULL: it could not be made. */
static int add_sink(struct sinks *sinks, const char *type, struct sink *sink, bool enabled)
{
	if (!sink)
		return -ENOMEM;
	sink->type = type;
	sink->on_request = !enabled;
	sinks->enabled += enabled;
	sinks->list[sinks->count++] = sink;
	return 0;
}

static int add_named(struct sinks *sinks, const struct sink_setup_options *options,
		     const struct config_destination *destination)
{
	for (size_t i = 0; i < sizeof(makers) / sizeof(*makers); i++)
		if (strcmp(makers[i].type, destination->type) == 0)
			return add_sink(sinks, makers[i].type, makers[i].make(options, destination),
					destination->upload);
	return -EINVAL; /* the configuration has no such type */
}

static int add_sinks(struct sinks *sinks, struct sink_setup *setup, const struct sink_setup_options *options)
{
	const struct config *config = options->config;
	int r = 0;

	if (config->cloudshark.upload)
		r = add_sink(sinks, "cloudshark",
			     make_cloudshark(options, "cloudshark", &config->cloudshark, options->secrets->cloudshark,
					     options->secrets->cloudshark_customers),
			     true);
	if (r == 0 && config->general.writelocal)
		r = add_sink(sinks, "local", make_local(options, "local", &config->local), true);
	if (r == 0 && config->http.upload)
		r = add_sink(sinks, "http",
			     make_http(options, "http", &config->http, options->secrets->http_url,
				       options->secrets->http_token, options->secrets->http_password),
			     true);
	if (r == 0 && config->sftp.upload)
		r = add_sink(sinks, "sftp",
			     make_sftp(options, "sftp", &config->sftp, options->secrets->sftp_passphrase), true);
	if (r == 0 && config->s3.upload)
		r = add_sink(sinks, "s3",
			     make_s3(options, "s3", &config->s3, options->secrets->s3_key, options->secrets->s3_token),
			     true);
	if (r == 0 && config->memory.bytes) {
		setup->memory = make_memory(options, "memory", &config->memory);
		r = add_sink(sinks, "memory", setup->memory, false);
	}
	if (r == 0 && config->redis.listen)
		r = add_sink(sinks, "redis", make_redis(options, "redis", &config->redis, options->redis),
			     config->redis.upload);
	for (size_t i = 0; r == 0 && i < config->destination_count; i++)
		r = add_named(sinks, options, &config->destinations[i]);
	sinks->enabled += config->general.first_of.count > 0;
	if (r < 0)
		return r;
	if (setup->memory)
		setup->memory->on_request = sinks->enabled > 0; /* files that go nowhere else go there */
	else if (sinks->enabled == 0)
		log_warning("no-destination",
			    log_str("hint", "captures are counted and dropped; switch on cloudshark.upload, "
					    "general.writelocal, s3.upload, http.upload, sftp.upload, redis.upload "
					    "or memory.bytes, or upload of a "
					    "[[destination]]"));
	return 0;
}

int sink_setup_init(struct sink_setup *setup, const struct sink_setup_options *options)
{
	const uint64_t retry_ns = options->config->limits.retry_ns;
	const struct config *config = options->config;
	const struct delivery_options delivery = {
		.give_up_after_ns = retry_ns,
		.max_attempts = retry_ns ? 0 : 1,
		.breaker = {.failures = retry_ns ? (unsigned)config->limits.breaker_failures : 0,
			    .first_wait_ns = config->limits.breaker_wait_ns},
		.defaults = {.first_of = config->general.first_of.items,
			     .first_of_count = config->general.first_of.count},
	};
	struct sinks sinks = {0};
	const int r = add_sinks(&sinks, setup, options);

	if (r == 0)
		setup->deliveries = deliveries_new(options->loop, &delivery, sinks.list, sinks.count);
	if (setup->deliveries)
		return 0;
	for (size_t i = 0; i < sinks.count; i++)
		sinks.list[i]->class->free(sinks.list[i]);
	return -ENOMEM;
}

void sink_setup_deinit(struct sink_setup *setup)
{
	deliveries_free(take(setup->deliveries));
}
