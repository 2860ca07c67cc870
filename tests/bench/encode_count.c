/*
 * One batch through encode_batch, for counting instructions:
 *
 *     valgrind --tool=callgrind --toggle-collect=encode_batch encode_count W2
 *
 * W2: flat JSON of 250 bytes into 8 typed columns; W1: the same as raw values into jsonb; W3: flat
 * JSON of 1.2 KiB into 40. The records are the same in every run, so is the count: a slower hot
 * path fails tests/integration/test_encode_count.py whatever else the machine is doing.
 */
#include "base/memory.h"
#include "dispatch/encode.h"
#include "dispatch/part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS = 2000, WIDE_COLUMNS = 40 };

struct shape_column {
    const char *name;
    enum type_codec codec;
};

static const struct shape_column raw_columns[] = {
    {"topic", TYPE_TEXT}, {"partition", TYPE_INT4}, {"offset", TYPE_INT8}, {"value", TYPE_JSONB}};

static const struct shape_column typed_columns[] = {{"id", TYPE_INT8},
                                                    {"user_id", TYPE_INT8},
                                                    {"source", TYPE_TEXT},
                                                    {"amount", TYPE_FLOAT8},
                                                    {"created_at", TYPE_TIMESTAMPTZ},
                                                    {"paid", TYPE_BOOL},
                                                    {"currency", TYPE_TEXT},
                                                    {"note", TYPE_TEXT}};

static void add_column(struct table *table, const char *name, enum type_codec codec)
{
    table->columns[table->columns_count++] = (struct column){
        .name = memory_strdup(name),
        .quoted = memory_printf("\"%s\"", name),
        .type_name = memory_strdup("a type"),
        .typmod = -1,
        .codec = codec,
        .insertable = true,
    };
}

static struct table make_table(size_t columns)
{
    return (struct table){.schema = memory_strdup("public"),
                          .name = memory_strdup("counted"),
                          .quoted = memory_strdup("\"public\".\"counted\""),
                          .columns = memory_new_array(columns, sizeof(struct column))};
}

static struct table shape_table(const struct shape_column *columns, size_t count)
{
    struct table table = make_table(count);

    for (size_t i = 0; i < count; i++)
        add_column(&table, columns[i].name, columns[i].codec);
    return table;
}

/* Integers, texts, floats, NULLs and times in turns. */
static struct table wide_table(void)
{
    static const enum type_codec codecs[] = {TYPE_INT8, TYPE_TEXT, TYPE_FLOAT8, TYPE_TEXT,
                                             TYPE_TIMESTAMPTZ};
    struct table table = make_table(WIDE_COLUMNS);
    char name[16];

    for (int i = 0; i < WIDE_COLUMNS; i++) {
        snprintf(name, sizeof(name), "column_%d", i);
        add_column(&table, name, codecs[i % 5]);
    }
    return table;
}

static void typed_record(struct buffer *out, int i)
{
    buffer_printf(
        out,
        "{\"id\":%d,\"user_id\":%d,\"source\":\"web\",\"amount\":%d.%02d,"
        "\"created_at\":\"2026-01-%02dT%02d:%02d:%02d.%03dZ\",\"paid\":%s,\"currency\":\"EUR\","
        "\"note\":\"please ring twice and leave it with the neighbour on the second floor, "
        "number %04d, thank you\"}",
        1000000 + i, 7919 * i % 1000000, i % 1000, i % 100, 1 + i % 28, i % 24, i % 60, i % 60,
        i % 1000, i % 2 ? "true" : "false", i);
}

static void wide_field(struct buffer *out, int i, int field)
{
    buffer_printf(out, "%s\"column_%d\":", field ? "," : "{", field);
    switch (field % 5) {
    case 0:
        buffer_printf(out, "%d", 7919 * i + field);
        return;
    case 2:
        buffer_printf(out, "%d.%03d", i, field);
        return;
    case 3:
        buffer_append_text(out, "null");
        return;
    case 4:
        buffer_append_text(out, "\"2026-02-03T04:05:06.789Z\"");
        return;
    default:
        buffer_printf(out, "\"text number %06d of %02d\"", i, field);
    }
}

static void wide_record(struct buffer *out, int i)
{
    for (int field = 0; field < WIDE_COLUMNS; field++)
        wide_field(out, i, field);
    buffer_append_text(out, "}");
}

static void append_records(struct batch *batch, void (*write_record)(struct buffer *, int))
{
    struct buffer value = {0};

    for (int i = 0; i < RECORDS; i++) {
        buffer_reset(&value);
        write_record(&value, i);
        batch_append(batch, &(struct record){.offset = i,
                                             .timestamp_ms = 1700000000000 + i,
                                             .key = slice_of("key"),
                                             .value = {value.data, value.len}});
    }
    buffer_finish(&value);
}

static struct mapping *make_mapping(const char *shape, struct config *config)
{
    struct table table;
    struct err err;

    config->value_format = strcmp(shape, "W1") == 0 ? CONFIG_VALUE_RAW : CONFIG_VALUE_JSON;
    if (strcmp(shape, "W1") == 0)
        table = shape_table(raw_columns, COUNT_OF(raw_columns));
    else if (strcmp(shape, "W2") == 0)
        table = shape_table(typed_columns, COUNT_OF(typed_columns));
    else
        table = wide_table();
    struct mapping *mapping = mapping_compile(config, "counted", &table, &err);
    if (!mapping)
        fprintf(stderr, "%s\n", err.text);
    return mapping;
}

int main(int argc, char **argv)
{
    const char *shape = argc > 1 ? argv[1] : "W2";
    struct config config = {.table = memory_strdup("counted")};
    struct arena_store store = {0};
    struct encode_settings settings = {.sink = "s", .instance = "i", .to_table = true};
    struct mapping *mapping = make_mapping(shape, &config);

    if (!mapping)
        return EXIT_FAILURE;
    struct batch *batch = batch_create(&store);
    batch_set_state(batch, BATCH_FILLING);
    batch->topic = "counted";
    batch->mapping = mapping;
    append_records(batch, strcmp(shape, "W3") == 0 ? wide_record : typed_record);
    batch_set_state(batch, BATCH_ENCODING);
    encode_batch(batch, &settings); /* the buffers have grown: the second time is counted as well */
    encode_batch(batch, &settings);
    printf("records=%d rows=%zu dead_letters=%u bytes=%zu\n", RECORDS, part_rows_count(batch),
           batch->dead_count, batch->rows.len);
    bool complete = part_rows_count(batch) == RECORDS;
    batch_destroy(batch);
    arena_store_finish(&store);
    mapping_destroy(mapping);
    free(config.table);
    return complete ? EXIT_SUCCESS : EXIT_FAILURE;
}
