/* SPDX-License-Identifier: BSD-2-Clause */
/* libcurl tells failures apart by a few dozen codes; the few that no second try can change are listed, all others pass.
 */
#include "sink/http_verdict.h"

#include "http/http_client.h"

/* What libcurl reports that no second try will change. */
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

enum sink_verdict http_verdict(const struct http_reply *reply)
{
	for (size_t i = 0; i < sizeof(final_results) / sizeof(final_results[0]); i++)
		if (reply->result == final_results[i])
			return SINK_REFUSED;
	if (reply->status == 408 || reply->status == 429 || reply->status >= 500)
		return SINK_RETRY;
	if (reply->status >= 300)
		return SINK_REFUSED; /* said before the connection broke, if it did: servers hang up on a refused body
				      */
	if (reply->result != CURLE_OK && !http_reply_oversized(reply))
		return SINK_RETRY;
	return reply->status >= 200 ? SINK_OK : SINK_RETRY;
}
