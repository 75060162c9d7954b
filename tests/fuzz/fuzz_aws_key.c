/* SPDX-License-Identifier: BSD-2-Clause */
/* What services and files hand out as access keys, and the texts of S3's answers. The first byte chooses the form. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sink/s3/aws_key.h"
#include "sink/s3/xml_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_key(char form, char *text)
{
	struct aws_key key = {0};
	struct error err;
	int r = 0;

	if (form == 'p')
		r = aws_key_from_profile(&key, text, "default", &err);
	else if (form == 'j')
		r = aws_key_from_json(&key, text, strlen(text), &err);
	else
		r = aws_key_from_xml(&key, text, &err);
	if (r == 0 &&
	    (strpbrk(key.id, "\r\n ") || strpbrk(key.secret, "\r\n ") || (key.token && strpbrk(key.token, "\r\n "))))
		abort(); /* it would forge a header */
	if (r == 0 && form != 'p' && !key.expires_ns)
		abort();
	aws_key_deinit(&key);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = size ? calloc(1, size) : NULL; /* strndup() looks at the byte after them */
	char key[16], id[16];
	const char *at = text;

	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	while (at && (at = xml_text(at, "Key", key, sizeof(key))))
		at = xml_text(at, "UploadId", id, sizeof(id));
	read_key((char)data[0], text);
	free(text);
	return 0;
}
