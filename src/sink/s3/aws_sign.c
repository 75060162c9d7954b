/* SPDX-License-Identifier: BSD-2-Clause */
/* Every header of a request is signed. Header values are trimmed and runs of spaces become one, as the service does. */
#include "sink/s3/aws_sign.h"

#include <ctype.h>
#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#define MAC_BYTES 32
#define SCOPE_SIZE 256

void aws_hex(const unsigned char *bytes, size_t size, char *text)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < size; i++) {
		*text++ = digits[bytes[i] >> 4];
		*text++ = digits[bytes[i] & 15];
	}
	*text = '\0';
}

void aws_hash(const void *bytes, size_t size, char hash[static AWS_HASH_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE] = {0};

	(void)!EVP_Digest(bytes, size, digest, NULL, EVP_sha256(), NULL);
	aws_hex(digest, MAC_BYTES, hash);
}

int aws_encode(struct buffer *out, const char *text, const char *kept)
{
	int r = 0;

	for (; *text && r == 0; text++) {
		const unsigned char byte = (unsigned char)*text;

		if (isascii(byte) && (isalnum(byte) || strchr("-._~", byte) || strchr(kept, byte)))
			r = buffer_append(out, text, 1);
		else
			r = buffer_printf(out, "%%%02X", byte);
	}
	return r;
}

/* --- canonical forms --- */

static int compare(const struct aws_pair *a, const struct aws_pair *b)
{
	const int names = strcmp(a->name, b->name);

	return names ? names : strcmp(a->value, b->value);
}

/* Copies the pairs in order. */
static void sort(const struct aws_pair *pairs, size_t count, struct aws_pair *sorted)
{
	for (size_t i = 0; i < count; i++) {
		size_t at = i;

		for (; at > 0 && compare(&pairs[i], &sorted[at - 1]) < 0; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = pairs[i];
	}
}

/* Names and values of our queries have no characters whose order encoding changes. */
int aws_query(struct buffer *out, const struct aws_pair *query, size_t count)
{
	struct aws_pair sorted[AWS_PAIRS_MAX];
	int r = 0;

	if (count > AWS_PAIRS_MAX)
		return -E2BIG;
	sort(query, count, sorted);
	for (size_t i = 0; i < count && r == 0; i++) {
		r = i ? buffer_append_string(out, "&") : 0;
		if (r == 0)
			r = aws_encode(out, sorted[i].name, "");
		if (r == 0)
			r = buffer_append_string(out, "=");
		if (r == 0)
			r = aws_encode(out, sorted[i].value, "");
	}
	return r;
}

static int append_value(struct buffer *out, const char *value)
{
	int r = 0;

	value += strspn(value, " ");
	for (size_t size; *value && r == 0; value += strspn(value, " ")) {
		size = strcspn(value, " ");
		r = buffer_append(out, value, size);
		value += size;
		if (r == 0 && value[strspn(value, " ")])
			r = buffer_append_string(out, " ");
	}
	return r;
}

static int append_headers(struct buffer *out, const struct aws_pair *sorted, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++) {
		r = buffer_printf(out, "%s:", sorted[i].name);
		if (r == 0)
			r = append_value(out, sorted[i].value);
		if (r == 0)
			r = buffer_append_string(out, "\n");
	}
	return r;
}

static int append_names(struct buffer *out, const struct aws_pair *sorted, size_t count)
{
	int r = 0;

	for (size_t i = 0; i < count && r == 0; i++)
		r = buffer_printf(out, "%s%s", i ? ";" : "", sorted[i].name);
	return r;
}

int aws_canonical(struct buffer *out, const struct aws_request *request)
{
	struct aws_pair headers[AWS_PAIRS_MAX];
	int r;

	if (request->header_count > AWS_PAIRS_MAX)
		return -E2BIG;
	sort(request->headers, request->header_count, headers);
	r = buffer_printf(out, "%s\n%s\n", request->method, request->path);
	if (r == 0)
		r = aws_query(out, request->query, request->query_count);
	if (r == 0)
		r = buffer_append_string(out, "\n");
	if (r == 0)
		r = append_headers(out, headers, request->header_count);
	if (r == 0)
		r = buffer_append_string(out, "\n");
	if (r == 0)
		r = append_names(out, headers, request->header_count);
	return r < 0 ? r : buffer_printf(out, "\n%s", request->payload_hash);
}

/* --- the signature --- */

static void mac(unsigned char key[static MAC_BYTES], size_t key_size, const char *text)
{
	unsigned char result[EVP_MAX_MD_SIZE] = {0};

	(void)!HMAC(EVP_sha256(), key, (int)key_size, (const unsigned char *)text, strlen(text), result, NULL);
	memcpy(key, result, MAC_BYTES);
}

static int derive_key(const struct aws_request *request, unsigned char key[static MAC_BYTES])
{
	struct buffer secret = BUFFER_INIT(AWS_TEXT_MAX);
	unsigned char result[EVP_MAX_MD_SIZE] = {0};
	char date[9];
	int r = buffer_printf(&secret, "AWS4%s", request->secret);

	snprintf(date, sizeof(date), "%.8s", request->time);
	if (r == 0) {
		(void)!HMAC(EVP_sha256(), buffer_text(&secret), (int)secret.size, (const unsigned char *)date,
			    strlen(date), result, NULL);
		memcpy(key, result, MAC_BYTES);
		mac(key, MAC_BYTES, request->region);
		mac(key, MAC_BYTES, request->service);
		mac(key, MAC_BYTES, "aws4_request");
		explicit_bzero(secret.data, secret.size);
	}
	buffer_deinit(&secret);
	return r;
}

int aws_sign(struct buffer *out, const struct aws_request *request)
{
	cleanup(buffer_deinit) struct buffer canonical = BUFFER_INIT(AWS_TEXT_MAX), text = BUFFER_INIT(AWS_TEXT_MAX);
	struct aws_pair headers[AWS_PAIRS_MAX];
	unsigned char key[MAC_BYTES];
	char scope[SCOPE_SIZE], hash[AWS_HASH_SIZE];
	int r = aws_canonical(&canonical, request);

	if (r < 0)
		return r;
	snprintf(scope, sizeof(scope), "%.8s/%s/%s/aws4_request", request->time, request->region, request->service);
	aws_hash(buffer_text(&canonical), canonical.size, hash);
	r = buffer_printf(&text, "AWS4-HMAC-SHA256\n%s\n%s\n%s", request->time, scope, hash);
	if (r == 0)
		r = derive_key(request, key);
	if (r < 0)
		return r;
	mac(key, MAC_BYTES, buffer_text(&text));
	aws_hex(key, MAC_BYTES, hash);
	explicit_bzero(key, sizeof(key));

	sort(request->headers, request->header_count, headers);
	r = buffer_printf(out, "AWS4-HMAC-SHA256 Credential=%s/%s, SignedHeaders=", request->id, scope);
	if (r == 0)
		r = append_names(out, headers, request->header_count);
	return r < 0 ? r : buffer_printf(out, ", Signature=%s", hash);
}
