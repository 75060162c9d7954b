/* SPDX-License-Identifier: BSD-2-Clause */
/* Of libcurl's few dozen failures, the table lists those that no second attempt can change; all others are retried. */
#include "sink/http_verdict.h"

#include "http/http_client.h"

static const CURLcode final_results[] = {
	CURLE_UNSUPPORTED_PROTOCOL,
	CURLE_URL_MALFORMAT,
	CURLE_NOT_BUILT_IN,
	CURLE_BAD_FUNCTION_ARGUMENT,
	CURLE_UNKNOWN_OPTION,
	CURLE_READ_ERROR,
	CURLE_ABORTED_BY_CALLBACK,
	CURLE_PEER_FAILED_VERIFICATION,
	CURLE_SSL_CERTPROBLEM,
	CURLE_SSL_CACERT_BADFILE,
	CURLE_SSL_CRL_BADFILE,
	CURLE_SSL_ISSUER_ERROR,
	CURLE_SSL_PINNEDPUBKEYNOTMATCH,
	CURLE_SSL_INVALIDCERTSTATUS,
};

enum sink_verdict http_verdict(const struct http_reply *reply, bool sent_whole)
{
	if (reply->no_descriptors)
		return SINK_RETRY;
	if (sent_whole && reply->status >= 200 && reply->status < 300)
		return SINK_OK;
	for (size_t i = 0; i < sizeof(final_results) / sizeof(final_results[0]); i++)
		if (reply->result == final_results[i])
			return SINK_REFUSED;
	if (reply->status == 408 || reply->status == 429 || reply->status >= 500)
		return SINK_RETRY;
	if (reply->status >= 300)
		return SINK_REFUSED; /* even if the connection broke: servers hang up on a refused body */
	return SINK_RETRY;
}
