/*
 * A message's headers as JSON, exactly: an array in their order, since names may repeat:
 *   [{"key": "trace", "value": "abc"}, {"key": "raw", "base64": "/w=="}, {"key": "none", "value":
 * null}] A value that is UTF-8 without NUL is a text, any other is base64. Thread: loop.
 */
#ifndef KAFKA_HEADERS_H
#define KAFKA_HEADERS_H

#include "base/buffer.h"

#include <librdkafka/rdkafka.h>

/* Appends it. False: the message has no headers, and nothing was appended. */
bool headers_append(struct buffer *out, const rd_kafka_message_t *message);

/*
 * The headers that such an array tells of; NULL data: none. They are the caller's, until a message
 * takes them. Names are as headers_append has left them.
 */
rd_kafka_headers_t *headers_parse(struct slice json);

#endif
