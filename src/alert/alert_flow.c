/* SPDX-License-Identifier: BSD-2-Clause */
/* The first row of which the alert has both hosts tells where the rest is. */
#include "alert/alert_flow.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "alert/alert_value.h"
#include "alert/alert_why.h"

static const struct flow_fields {
	const char *hosts[2], *ports[2], *protocol;
} sources[] = {
	{{"src_ip", "dest_ip"}, {"src_port", "dest_port"}, "proto"},	   /* Suricata */
	{{"id.orig_h", "id.resp_h"}, {"id.orig_p", "id.resp_p"}, "proto"}, /* Zeek */
	{{"output_fields.fd.cip", "output_fields.fd.sip"},
	 {"output_fields.fd.cport", "output_fields.fd.sport"},
	 "output_fields.fd.l4proto"},							      /* Falco */
	{{"data.srcip", "data.dstip"}, {"data.srcport", "data.dstport"}, "data.protocol"},    /* Wazuh */
	{{"data.src_ip", "data.dest_ip"}, {"data.src_port", "data.dest_port"}, "data.proto"}, /* Suricata by Wazuh */
	{{"source.ip", "destination.ip"},
	 {"source.port", "destination.port"},
	 "network.transport"}, /* Elastic Common Schema: Elastic, Wazuh 5 */
	{{"json.src_ip", "json.dest_ip"}, {"json.src_port", "json.dest_port"}, "json.proto"}, /* Suricata by syslog */
	{{"kv.SRC", "kv.DST"}, {"kv.SPT", "kv.DPT"}, "kv.PROTO"},			      /* Linux' packet filter */
};

static bool has_ports(const char *protocol)
{
	return strcmp(protocol, "tcp") == 0 || strcmp(protocol, "udp") == 0 || strcmp(protocol, "sctp") == 0;
}

static int print_field(const json_t *alert, const char *path, enum alert_type type, char text[static ALERT_TEXT_SIZE],
		       struct error *why)
{
	const json_t *value = alert_path_find(alert, path);

	if (!value)
		return alert_why_missing(alert, path, why);
	if (alert_value_print(type, value, text) < 0)
		return alert_why_type(value, path, type, why);
	return 0;
}

static const struct flow_fields *find_source(const json_t *alert)
{
	for (size_t i = 0; i < sizeof(sources) / sizeof(*sources); i++)
		if (alert_path_find(alert, sources[i].hosts[0]) && alert_path_find(alert, sources[i].hosts[1]))
			return &sources[i];
	return NULL;
}

static int append_ports(const json_t *alert, const struct flow_fields *fields, struct buffer *conversation,
			struct error *why)
{
	char port[ALERT_TEXT_SIZE];
	int r = 0;

	for (int i = 0; r == 0 && i < 2; i++) {
		r = print_field(alert, fields->ports[i], ALERT_PORT, port, why);
		if (r == 0)
			r = buffer_printf(conversation, " and port %s", port);
	}
	return r;
}

int alert_flow_append(const json_t *alert, struct buffer *out, struct error *why)
{
	const struct flow_fields *fields = find_source(alert);
	char protocol[ALERT_TEXT_SIZE], host[ALERT_TEXT_SIZE];
	struct buffer conversation = BUFFER_INIT(ALERT_TEXT_SIZE);

	if (!fields)
		return error_set(
			why, -ENOENT,
			"{flow}: the alert has no two hosts in fields that Suricata, Zeek, Falco, Wazuh or ECS use");
	int r = print_field(alert, fields->protocol, ALERT_PROTO, protocol, why);
	if (r == 0)
		r = buffer_append_string(&conversation, protocol);
	for (int i = 0; r == 0 && i < 2; i++) {
		r = print_field(alert, fields->hosts[i], ALERT_IP, host, why);
		if (r == 0)
			r = buffer_printf(&conversation, " and host %s", host);
	}
	if (r == 0 && has_ports(protocol))
		r = append_ports(alert, fields, &conversation, why);
	if (r == 0)
		r = buffer_printf(out, "((%s) or (vlan and %s))", buffer_text(&conversation),
				  buffer_text(&conversation));
	buffer_deinit(&conversation);
	return r;
}
