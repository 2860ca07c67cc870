/*
 * What decoding a JSON record costs: json_project against jansson, on the same records, in turns.
 *
 *   bench_decode [rounds]
 *
 * The shapes are those of the published figures: W2, 8 fields in 256 bytes; W3, 40 fields in 1.2
 * KiB, both flat; and W3 of which a table takes only 8. One round decodes all records once with
 * each decoder; the printed time is that of the best round and of the median one, for one record.
 * jansson builds its tree, looks the fields up, and frees the tree; json_project fills struct
 * value.
 */
#include "base/buffer.h"
#include "base/clock.h"
#include "decode/json.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RECORDS = 1000,
    FIELDS_MAX = 40,
    ROUNDS = 200,
    ROUNDS_MAX = 10000,
};

struct shape {
    const char *name;
    void (*write)(struct buffer *out, const char *const *names, size_t count);
    size_t written; /* fields of a record */
    size_t wanted;  /* ... of which are columns: every (written / wanted)th */
};

struct bench {
    const char *names[FIELDS_MAX];
    size_t name_count;
    struct json_fields *fields;
    struct slice records[RECORDS];
    size_t bytes;
};

typedef int64_t (*decode_cb)(const struct bench *bench);

/* splitmix64: the same records in every run. */
static uint64_t draw(void)
{
    static uint64_t state = 42;
    uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint64_t draw_below(uint64_t limit)
{
    return draw() % limit;
}

static void put_text(struct buffer *out, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz 0123456789-_";

    for (size_t i = 0; i < len; i++)
        buffer_append(out, &letters[draw_below(sizeof(letters) - 1)], 1);
}

static void put_time(struct buffer *out)
{
    buffer_printf(out, "\"2025-%02d-%02dT%02d:%02d:%02d.%03dZ\"", (int)draw_below(12) + 1,
                  (int)draw_below(28) + 1, (int)draw_below(24), (int)draw_below(60),
                  (int)draw_below(60), (int)draw_below(1000));
}

/* One of the kinds of value that rows are made of. */
static void put_value(struct buffer *out, size_t kind, size_t text_len)
{
    switch (kind) {
    case 0:
        buffer_printf(out, "%" PRIu64, draw_below(UINT64_C(10000000000)));
        return;
    case 1:
        buffer_printf(out, "%" PRIu64 ".%02d", draw_below(100000), (int)draw_below(100));
        return;
    case 2:
        buffer_append_text(out, draw_below(2) ? "true" : "false");
        return;
    case 3:
        put_time(out);
        return;
    }
    buffer_append(out, "\"", 1);
    put_text(out, text_len / 2 + draw_below(text_len));
    buffer_append(out, "\"", 1);
}

static void write_fields(struct buffer *out, const char *const *names, size_t count,
                         const size_t *kinds, size_t kind_count, size_t text_len)
{
    for (size_t i = 0; i < count; i++) {
        buffer_printf(out, "%s\"%s\":", i ? "," : "{", names[i]);
        put_value(out, kinds[i % kind_count], text_len);
    }
    buffer_append(out, "}", 1);
}

static void write_typed(struct buffer *out, const char *const *names, size_t count)
{
    static const size_t kinds[] = {0, 0, 1, 4, 4, 2, 3, 4};

    write_fields(out, names, count, kinds, COUNT_OF(kinds), 33);
}

static void write_wide(struct buffer *out, const char *const *names, size_t count)
{
    static const size_t kinds[] = {0, 4, 1, 4, 2, 0, 4, 3, 4, 1};

    write_fields(out, names, count, kinds, COUNT_OF(kinds), 29);
}

static const char *const typed_names[] = {
    "event_id", "user_id", "amount", "currency", "description", "active", "created_at", "source",
};

static const char *const wide_names[FIELDS_MAX] = {
    "id",           "customer",     "amount",       "country",    "paid",       "order_id",
    "street",       "created_at",   "city",         "discount",   "shop_id",    "email",
    "weight",       "phone",        "gift",         "quantity",   "sku",        "updated_at",
    "carrier",      "tax",          "version",      "currency",   "total",      "comment",
    "express",      "warehouse_id", "first_name",   "shipped_at", "last_name",  "shipping",
    "campaign_id",  "referrer",     "margin",       "device",     "newsletter", "session_id",
    "payment_kind", "delivered_at", "voucher_code", "refund",
};

static const struct shape shapes[] = {
    {"W2 8 fields", write_typed, COUNT_OF(typed_names), COUNT_OF(typed_names)},
    {"W3 40 fields", write_wide, COUNT_OF(wide_names), COUNT_OF(wide_names)},
    {"W3 8 of 40", write_wide, COUNT_OF(wide_names), 8},
};

static void bench_init(struct bench *bench, const struct shape *shape)
{
    const char *const *names = shape->written > COUNT_OF(typed_names) ? wide_names : typed_names;

    *bench = (struct bench){.name_count = shape->wanted};
    for (size_t i = 0; i < shape->wanted; i++)
        bench->names[i] = names[i * (shape->written / shape->wanted)];
    bench->fields = json_fields_create(bench->names, bench->name_count, JSON_UNKNOWN_IGNORE);
    for (size_t i = 0; i < RECORDS; i++) {
        struct buffer out = {0};
        shape->write(&out, names, shape->written);
        bench->records[i] = (struct slice){out.data, out.len};
        bench->bytes += out.len;
    }
}

static void bench_finish(struct bench *bench)
{
    for (size_t i = 0; i < RECORDS; i++) {
        struct buffer record = {.data = (char *)(uintptr_t)bench->records[i].data};
        buffer_finish(&record);
    }
    json_fields_destroy(bench->fields);
}

static void must(bool ok, const char *text)
{
    if (ok)
        return;
    fprintf(stderr, "bench_decode: %s\n", text);
    exit(EXIT_FAILURE);
}

static int64_t run_project(const struct bench *bench)
{
    int64_t start_us = clock_now_us();

    for (size_t i = 0; i < RECORDS; i++) {
        struct value values[FIELDS_MAX];
        struct err err;
        must(json_project(bench->fields, bench->records[i], values, &err), "json_project failed");
        must(values[0].kind != VALUE_ABSENT, "a field is missing");
    }
    return clock_now_us() - start_us;
}

static int64_t run_jansson(const struct bench *bench)
{
    int64_t start_us = clock_now_us();

    for (size_t i = 0; i < RECORDS; i++) {
        struct slice record = bench->records[i];
        json_t *object = json_loadb(record.data, record.len, 0, NULL);
        for (size_t name = 0; name < bench->name_count; name++)
            must(json_object_get(object, bench->names[name]) != NULL, "a field is missing");
        json_decref(object);
    }
    return clock_now_us() - start_us;
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static double record_ns(int64_t round_us)
{
    return (double)round_us * 1000.0 / RECORDS;
}

static void run_shape(const struct shape *shape, size_t rounds)
{
    static const decode_cb decoders[] = {run_project, run_jansson};
    static const char *const names[] = {"json_project", "jansson"};
    static int64_t times[COUNT_OF(decoders)][ROUNDS_MAX];
    static struct bench bench;

    bench_init(&bench, shape);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < COUNT_OF(decoders); i++)
            times[i][round] = decoders[i](&bench);
    }
    for (size_t i = 0; i < COUNT_OF(decoders); i++) {
        qsort(times[i], rounds, sizeof(times[i][0]), compare_times);
        printf("%-13s %5zu B  %-13s best %8.1f ns  median %8.1f ns  %7.0f MB/s\n", shape->name,
               bench.bytes / RECORDS, names[i], record_ns(times[i][0]),
               record_ns(times[i][rounds / 2]), (double)bench.bytes / (double)times[i][rounds / 2]);
    }
    bench_finish(&bench);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;

    must(rounds > 0 && rounds <= ROUNDS_MAX, "rounds: 1 to 10000");
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        run_shape(&shapes[i], rounds);
    return EXIT_SUCCESS;
}
