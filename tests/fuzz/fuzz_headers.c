/*
 * Headers as they stand in a dead letter, read back for its replay: any JSON, or none. Whatever it
 * is, they are the header objects that have a name, with values no longer than the JSON.
 */
#include "kafka/headers.h"

#include <assert.h>
#include <jansson.h>
#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* As jansson sees it. */
static size_t count_named(struct slice json)
{
    json_t *array = json_loadb(json.data, json.len, 0, NULL);
    size_t count = 0;

    for (size_t i = 0; i < json_array_size(array); i++)
        count += json_is_string(json_object_get(json_array_get(array, i), "key"));
    json_decref(array);
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice json = {(const char *)data, size};
    rd_kafka_headers_t *headers = headers_parse(json);
    const char *name;
    const void *value;
    size_t count = 0;
    size_t len;

    while (rd_kafka_header_get_all(headers, count, &name, &value, &len) == 0) {
        assert(strlen(name) < size && len < size);
        assert(value || len == 0);
        count++;
    }
    assert(count == count_named(json));
    rd_kafka_headers_destroy(headers);
    return 0;
}
