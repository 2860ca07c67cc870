/*
 * Records of any content on their way into tables of any columns. The input is
 *
 *     [jr][ids][tb]                  SINK_VALUE_FORMAT, SINK_UNKNOWN_FIELDS, dead letters: table or
 * not NAME:OID[!=] NAME:OID ...      the table's columns; !: NOT NULL, =: it has a DEFAULT TOPIC
 *     KEY
 *     VALUE                          the first record's; the second has no key, the third is a
 * tombstone
 *
 * Whatever it is, each record is a row or a dead letter, or the batch stops in front of it; what
 * COPY is sent is whole rows with the columns that its statement names.
 */
#include "dispatch/encode.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "catalog_answer.h"
#include "pg/copy_row.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLUMNS_MAX = 80, RECORDS = 3 };

struct input {
    char *modes;
    char *topic;
    char *key;
    struct slice value;
    struct catalog_column columns[COLUMNS_MAX];
    int columns_count;
};

/* PostgreSQL has no column without a name, and no two of one name. */
static bool is_new(const struct input *input, const char *name)
{
    for (int i = 0; i < input->columns_count; i++)
        if (strcmp(input->columns[i].name, name) == 0)
            return false;
    return name[0] != '\0' && strlen(name) < 64;
}

static void add_column(struct input *input, char *text)
{
    char *name = strsep(&text, ":");

    if (!text || !is_new(input, name))
        return;
    input->columns[input->columns_count++] = (struct catalog_column){
        .name = name,
        .oid = (unsigned)strtoul(text, NULL, 10),
        .not_null = strchr(text, '!') != NULL,
        .has_default = strchr(text, '=') != NULL,
    };
}

/* False: what a server or Kafka would never say. */
static bool read_input(struct input *input, char *rest, const char *end)
{
    char *columns;

    *input = (struct input){.modes = strsep(&rest, "\n")};
    columns = strsep(&rest, "\n");
    input->topic = strsep(&rest, "\n");
    input->key = strsep(&rest, "\n");
    if (!rest || strlen(input->modes) < 3 || !utf8_valid(slice_of(columns)))
        return false;
    input->value = (struct slice){rest, (size_t)(end - rest)};
    for (char *one; input->columns_count < COLUMNS_MAX && (one = strsep(&columns, " "));)
        add_column(input, one);
    return input->columns_count > 0 && input->topic[0] && utf8_valid(slice_of(input->topic));
}

static struct mapping *compile(const struct input *input)
{
    static char template[] = "t";
    struct table table = catalog_table("t", input->columns, input->columns_count);
    struct config config = {
        .table = template,
        .value_format = input->modes[0] == 'r' ? CONFIG_VALUE_RAW : CONFIG_VALUE_JSON,
        .unknown_fields = input->modes[1] == 'd'   ? CONFIG_UNKNOWN_DEAD_LETTER
                          : input->modes[1] == 's' ? CONFIG_UNKNOWN_STOP
                                                   : CONFIG_UNKNOWN_IGNORE,
    };
    struct err err;
    struct mapping *mapping = mapping_compile(&config, input->topic, &table, &err);

    assert(mapping || err.class == ERR_CONFIG);
    return mapping;
}

static void append_records(struct batch *batch, const struct input *input)
{
    struct record record = {.timestamp_ms = (int64_t)input->value.len,
                            .key = slice_of(input->key),
                            .value = input->value};

    batch_append(batch, &record);
    record.offset = 7;
    record.timestamp_ms = -1;
    record.key = SLICE_NONE;
    record.headers = slice_of("[{\"key\": \"a\", \"value\": \"b\"}]");
    batch_append(batch, &record);
    record.offset = 8;
    record.value = SLICE_NONE;
    batch_append(batch, &record);
}

static size_t columns_of(const struct mapping *mapping, uint64_t absent_mask)
{
    size_t count = 0;

    for (size_t i = 0; i < mapping->columns_count; i++)
        count += !(mapping->columns[i].default_bit & absent_mask);
    return count;
}

static void check_binary_row(struct slice row, size_t columns)
{
    const unsigned char *at = (const unsigned char *)row.data;
    const unsigned char *end = at + row.len;

    assert(row.len >= 2 && (size_t)(at[0] << 8 | at[1]) == columns);
    at += 2;
    for (size_t i = 0; i < columns; i++) {
        assert(end - at >= 4);
        uint32_t len = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
        at += 4;
        if (len == UINT32_MAX)
            continue;
        assert(len <= (size_t)(end - at));
        at += len;
    }
    assert(at == end);
}

static void check_text_row(struct slice row, size_t columns)
{
    size_t tabs = 0;

    for (size_t i = 0; i < row.len; i++)
        tabs += row.data[i] == '\t';
    assert(tabs + 1 == columns && memchr(row.data, '\n', row.len) == row.data + row.len - 1);
    assert(!memchr(row.data, '\0', row.len) && utf8_valid(row));
}

static void check_segment(const struct batch *batch, const struct batch_segment *segment)
{
    const struct mapping *mapping = batch->mapping;
    size_t columns = columns_of(mapping, segment->absent_mask);
    struct slice rest = {batch->rows.data + segment->begin, segment->end - segment->begin};

    for (size_t i = 0; i < segment->rows_count; i++) {
        struct slice row = {rest.data, copy_row_bytes(mapping->format, rest, 1)};
        if (mapping->format == TYPE_FORMAT_BINARY)
            check_binary_row(row, columns);
        else
            check_text_row(row, columns);
        rest.data += row.len;
        rest.len -= row.len;
    }
    assert(rest.len == 0);
}

static void check_letters(const struct batch *batch, bool to_table)
{
    size_t lines = 0;

    for (size_t i = 0; i < batch->dead_letters.len; i++)
        lines += batch->dead_letters.data[i] == '\n';
    assert(lines == (to_table ? batch->dead_count : 0));
}

static void check(const struct batch *batch, bool to_table)
{
    size_t rows = 0;

    for (size_t i = 0; i < batch->segments_count; i++) {
        check_segment(batch, &batch->segments[i]);
        rows += batch->segments[i].rows_count;
    }
    assert(rows + batch->dead_count == batch->end);
    assert(batch->stopped ? batch->end < RECORDS : batch->end == RECORDS);
    check_letters(batch, to_table);
}

static void encode(struct mapping *mapping, const struct input *input)
{
    struct encode_settings settings = {
        .sink = "sink", .instance = "one", .to_table = input->modes[2] == 't'};
    struct arena_store store = {0};
    struct batch *batch = batch_create(&store);

    batch->topic = input->topic;
    batch->mapping = mapping;
    batch_set_state(batch, BATCH_FILLING);
    append_records(batch, input);
    encode_batch(batch, &settings);
    check(batch, settings.to_table);
    batch_destroy(batch);
    arena_store_finish(&store);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = memory_new(size + 1); /* memory_strndup would stop at a NUL in the value */
    struct input input;

    memcpy(text, data, size);
    text[size] = '\0';
    if (read_input(&input, text, text + size)) {
        struct mapping *mapping = compile(&input);
        if (mapping)
            encode(mapping, &input);
        mapping_destroy(mapping);
    }
    free(text);
    return 0;
}
