/* SPDX-License-Identifier: BSD-2-Clause */
/* A connection, and with https the certificate, are what goes wrong; the token shows only with an upload. */
#include "pcapctl/doctor/doctor_destinations.h"

#include <curl/curl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "pcapctl/doctor/findings.h"

#define CONNECT_TIMEOUT_S 10L
#define URL_SIZE 1024

static CURLcode connect_to(const struct config *config, const char *url, char error[static CURL_ERROR_SIZE])
{
	CURL *easy = curl_easy_init();

	*error = '\0';
	if (!easy)
		return CURLE_OUT_OF_MEMORY;
	curl_easy_setopt(easy, CURLOPT_URL, url);
	curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error);
	if (strcmp(config->cloudshark.scheme, "http") == 0)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* as the daemon does */
	if (!config->cloudshark.verify) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (*config->cloudshark.ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, config->cloudshark.ca_file);
	const CURLcode code = curl_easy_perform(easy);
	curl_easy_cleanup(easy);
	return code;
}

static void check_cloudshark(struct findings *findings, const struct config *config)
{
	char url[URL_SIZE], error[CURL_ERROR_SIZE], port[16] = "";

	if (config->cloudshark.port)
		snprintf(port, sizeof(port), ":%u", (unsigned)config->cloudshark.port);
	snprintf(url, sizeof(url), "%s://%s%s", config->cloudshark.scheme, config->cloudshark.host, port);
	const CURLcode code = connect_to(config, url, error);
	if (code == CURLE_OK)
		finding_add(findings, FINDING_OK, "cloudshark", "", "%s can be reached", url);
	else
		finding_add(findings, FINDING_FAULT, "cloudshark",
			    "check host, port, scheme and ca_file of [cloudshark], and the firewall", "%s: %s", url,
			    *error ? error : curl_easy_strerror(code));
}

/* The daemon's user may be another one: -check judges that. */
static void check_local(struct findings *findings, const struct config *config)
{
	if (access(config->local.directory, F_OK) == 0)
		finding_add(findings, FINDING_OK, "local", "", "the local directory %s exists",
			    config->local.directory);
}

void doctor_destinations(struct findings *findings, const struct config *config)
{
	if (config->cloudshark.upload)
		check_cloudshark(findings, config);
	if (config->general.writelocal)
		check_local(findings, config);
}
