/*
 * JSON of headers, written directly: a DOM for each message would cost more than the message. It is
 * read for dead letters alone, so by jansson.
 */
#include "kafka/headers.h"

#include "base/json_string.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <jansson.h>
#include <stdlib.h>

static void append_base64(struct buffer *out, struct slice bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)bytes.data;

    buffer_append_text(out, "\"");
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        unsigned group = (unsigned)at[i] << 16 | (left > 1 ? (unsigned)at[i + 1] << 8 : 0U) |
                         (left > 2 ? at[i + 2] : 0);
        char text[4] = {digits[group >> 18], digits[group >> 12 & 63], '=', '='};
        if (left > 1)
            text[2] = digits[group >> 6 & 63];
        if (left > 2)
            text[3] = digits[group & 63];
        buffer_append(out, text, sizeof(text));
    }
    buffer_append_text(out, "\"");
}

static bool is_text(struct slice bytes)
{
    return !memchr(bytes.data, '\0', bytes.len) && utf8_valid(bytes);
}

static void append_header(struct buffer *out, const char *name, struct slice value)
{
    struct slice key = slice_of(name);

    buffer_append_text(out, "{\"key\": ");
    json_string_append(out, utf8_valid(key) ? key : slice_of("(not valid UTF-8)"));
    if (!value.data) {
        buffer_append_text(out, ", \"value\": null}");
        return;
    }
    bool text = is_text(value);
    buffer_append_text(out, text ? ", \"value\": " : ", \"base64\": ");
    if (text)
        json_string_append(out, value);
    else
        append_base64(out, value);
    buffer_append_text(out, "}");
}

bool headers_append(struct buffer *out, const rd_kafka_message_t *message)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;

    if (rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return false;
    buffer_append_text(out, "[");
    for (size_t i = 0; rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0; i++) {
        if (i > 0)
            buffer_append_text(out, ", ");
        append_header(out, name, (struct slice){value, size});
    }
    buffer_append_text(out, "]");
    return true;
}

/* Writes at most three quarters of what it reads, to where the text is. */
static size_t decode_base64(char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *digit;
    unsigned group = 0;
    unsigned bits = 0;
    size_t len = 0;

    for (const char *at = text; *at && (digit = strchr(digits, *at)); at++) {
        group = group << 6 | (unsigned)(digit - digits);
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            text[len++] = (char)(group >> bits & 0xff);
        }
    }
    return len;
}

static void add_header(rd_kafka_headers_t *headers, const json_t *header)
{
    const char *name = json_string_value(json_object_get(header, "key"));
    const char *value = json_string_value(json_object_get(header, "value"));
    const char *base64 = json_string_value(json_object_get(header, "base64"));

    if (!name)
        return;
    if (base64) {
        char *bytes = memory_strdup(base64);
        rd_kafka_header_add(headers, name, -1, bytes, (ssize_t)decode_base64(bytes));
        free(bytes);
    } else {
        rd_kafka_header_add(headers, name, -1, value, value ? (ssize_t)strlen(value) : 0);
    }
}

rd_kafka_headers_t *headers_parse(struct slice json)
{
    json_t *array = json.data ? json_loadb(json.data, json.len, 0, NULL) : NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(json_array_size(array) + 12);

    for (size_t i = 0; i < json_array_size(array); i++)
        add_header(headers, json_array_get(array, i));
    json_decref(array);
    return headers;
}
