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

static CURLcode connect_to(const struct config_cloudshark *settings, const char *url,
			   char error[static CURL_ERROR_SIZE])
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
	if (strcmp(settings->scheme, "http") == 0)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*"); /* as the daemon does */
	if (!settings->verify) {
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
		curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	}
	if (*settings->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, settings->ca_file);
	const CURLcode code = curl_easy_perform(easy);
	curl_easy_cleanup(easy);
	return code;
}

static void check_cloudshark(struct findings *findings, const char *name, const struct config_cloudshark *settings)
{
	char url[URL_SIZE], error[CURL_ERROR_SIZE], port[16] = "";

	if (settings->port)
		snprintf(port, sizeof(port), ":%u", (unsigned)settings->port);
	snprintf(url, sizeof(url), "%s://%s%s", settings->scheme, settings->host, port);
	const CURLcode code = connect_to(settings, url, error);
	if (code == CURLE_OK)
		finding_add(findings, FINDING_OK, name, "", "%s can be reached", url);
	else
		finding_add(findings, FINDING_FAULT, name,
			    "check host, port, scheme and ca_file of this destination, and the firewall", "%s: %s", url,
			    *error ? error : curl_easy_strerror(code));
}

/* The daemon's user may be another one: -check judges that. */
static void check_local(struct findings *findings, const char *name, const struct config_local *settings)
{
	if (access(settings->directory, F_OK) == 0)
		finding_add(findings, FINDING_OK, name, "", "the local directory %s exists", settings->directory);
}

void doctor_destinations(struct findings *findings, const struct config *config)
{
	if (config->cloudshark.upload)
		check_cloudshark(findings, "cloudshark", &config->cloudshark);
	if (config->general.writelocal)
		check_local(findings, "local", &config->local);
	for (size_t i = 0; i < config->destination_count; i++) {
		const struct config_destination *destination = &config->destinations[i];

		if (strcmp(destination->type, "cloudshark") == 0)
			check_cloudshark(findings, destination->name, &destination->cloudshark);
		else if (strcmp(destination->type, "local") == 0)
			check_local(findings, destination->name, &destination->local);
	}
}
