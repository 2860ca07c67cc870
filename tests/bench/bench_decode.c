/*
 * What decoding a JSON record costs: json_project next to jansson, on the same records, in turns.
 *
 *     bench_decode [ROUNDS]
 *
 * The shapes are those of our published figures: W2, 8 fields in 256 bytes; W3, 40 fields in
 * 1.2 KiB; and W3 of which the table takes 8. A round decodes all records once with each decoder.
 * Printed is the time for one record in the best round and in the median one. json_project fills
 * struct value; json_validate only checks, as it does with whatever is nested; jansson builds its
 * tree, finds the fields in it, and frees it.
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

enum kind { INTEGER, DECIMAL, BOOLEAN, TIME, CODE, TEXT };

struct field {
    const char *name;
    enum kind kind;
};

struct shape {
    const char *title;
    const struct field *fields;
    size_t written; /* fields of a record */
    size_t wanted;  /* ... of which are columns: every (written / wanted)th */
};

struct bench {
    const char *names[FIELDS_MAX];
    size_t name_count;
    struct json_fields *fields;
    struct buffer records[RECORDS];
    size_t bytes;
};

/* Decodes all records. */
typedef void (*decode_cb)(const struct bench *bench);

static const struct field typed[] = {
    {"event_id", INTEGER}, {"user_id", INTEGER}, {"amount", DECIMAL},  {"currency", CODE},
    {"comment", TEXT},     {"active", BOOLEAN},  {"created_at", TIME}, {"source", TEXT},
};

static const struct field wide[] = {
    {"id", INTEGER},        {"customer", TEXT},      {"amount", DECIMAL},
    {"country", CODE},      {"paid", BOOLEAN},       {"order_id", INTEGER},
    {"street", TEXT},       {"created_at", TIME},    {"city", TEXT},
    {"discount", DECIMAL},  {"shop_id", INTEGER},    {"email", TEXT},
    {"weight", DECIMAL},    {"phone", TEXT},         {"gift", BOOLEAN},
    {"quantity", INTEGER},  {"sku", CODE},           {"updated_at", TIME},
    {"carrier", CODE},      {"tax", DECIMAL},        {"version", INTEGER},
    {"currency", CODE},     {"total", DECIMAL},      {"comment", TEXT},
    {"express", BOOLEAN},   {"warehouse", INTEGER},  {"first_name", TEXT},
    {"shipped_at", TIME},   {"last_name", TEXT},     {"shipping", DECIMAL},
    {"campaign", INTEGER},  {"referrer", TEXT},      {"margin", DECIMAL},
    {"device", CODE},       {"newsletter", BOOLEAN}, {"session_id", INTEGER},
    {"payment_kind", CODE}, {"delivered_at", TIME},  {"voucher_code", TEXT},
    {"refund", DECIMAL},
};

static const struct shape shapes[] = {
    {"W2, 8 fields", typed, COUNT_OF(typed), COUNT_OF(typed)},
    {"W3, 40 fields", wide, COUNT_OF(wide), COUNT_OF(wide)},
    {"W3, 8 of 40", wide, COUNT_OF(wide), 8},
};

static void must(bool ok, const char *text)
{
    if (ok)
        return;
    fprintf(stderr, "bench_decode: %s\n", text);
    exit(EXIT_FAILURE);
}

/* --- Records ------------------------------------------------------------------------------------
 */

/* splitmix64: the same records in every run. */
static uint64_t draw_below(uint64_t limit)
{
    static uint64_t state = 42;
    uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (z ^ (z >> 31)) % limit;
}

static void put_text(struct buffer *out, size_t len)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz 0123456789-_";

    buffer_append_text(out, "\"");
    for (size_t i = 0; i < len; i++)
        buffer_append(out, &letters[draw_below(sizeof(letters) - 1)], 1);
    buffer_append_text(out, "\"");
}

static void put_time(struct buffer *out)
{
    buffer_printf(out, "\"2025-%02d-%02dT%02d:%02d:%02d.%03dZ\"", (int)draw_below(12) + 1,
                  (int)draw_below(28) + 1, (int)draw_below(24), (int)draw_below(60),
                  (int)draw_below(60), (int)draw_below(1000));
}

static void put_value(struct buffer *out, enum kind kind)
{
    switch (kind) {
    case INTEGER:
        buffer_printf(out, "%" PRIu64, draw_below(UINT64_C(10000000000)));
        return;
    case DECIMAL:
        buffer_printf(out, "%d.%02d", (int)draw_below(100000), (int)draw_below(100));
        return;
    case BOOLEAN:
        buffer_append_text(out, draw_below(2) ? "true" : "false");
        return;
    case TIME:
        put_time(out);
        return;
    case CODE:
        put_text(out, 3);
        return;
    case TEXT:
        put_text(out, 26 + draw_below(41));
        return;
    }
}

static void put_record(struct buffer *out, const struct shape *shape)
{
    for (size_t i = 0; i < shape->written; i++) {
        buffer_printf(out, "%s\"%s\":", i ? "," : "{", shape->fields[i].name);
        put_value(out, shape->fields[i].kind);
    }
    buffer_append_text(out, "}");
}

static void bench_init(struct bench *bench, const struct shape *shape)
{
    size_t step = shape->written / shape->wanted;

    *bench = (struct bench){.name_count = shape->wanted};
    for (size_t i = 0; i < shape->wanted; i++)
        bench->names[i] = shape->fields[i * step].name;
    bench->fields = json_fields_create(bench->names, bench->name_count, JSON_UNKNOWN_IGNORE);
    for (size_t i = 0; i < RECORDS; i++) {
        put_record(&bench->records[i], shape);
        bench->bytes += bench->records[i].len;
    }
}

static void bench_finish(struct bench *bench)
{
    for (size_t i = 0; i < RECORDS; i++)
        buffer_finish(&bench->records[i]);
    json_fields_destroy(bench->fields);
}

static struct slice record_of(const struct bench *bench, size_t i)
{
    return (struct slice){bench->records[i].data, bench->records[i].len};
}

/* --- Decoders -----------------------------------------------------------------------------------
 */

static void run_project(const struct bench *bench)
{
    struct value values[FIELDS_MAX];
    struct err err;

    for (size_t i = 0; i < RECORDS; i++) {
        must(json_project(bench->fields, record_of(bench, i), values, &err), "json_project failed");
        must(values[0].kind != VALUE_ABSENT, "a field is missing");
    }
}

static void run_validate(const struct bench *bench)
{
    struct err err;

    for (size_t i = 0; i < RECORDS; i++)
        must(json_validate(record_of(bench, i), &err), "json_validate failed");
}

static void run_jansson(const struct bench *bench)
{
    for (size_t i = 0; i < RECORDS; i++) {
        struct slice record = record_of(bench, i);
        json_t *object = json_loadb(record.data, record.len, 0, NULL);
        for (size_t name = 0; name < bench->name_count; name++)
            must(json_object_get(object, bench->names[name]) != NULL, "a field is missing");
        json_decref(object);
    }
}

static const struct {
    const char *name;
    decode_cb run;
} decoders[] = {
    {"json_project", run_project},
    {"json_validate", run_validate},
    {"jansson", run_jansson},
};

/* --- Measuring ----------------------------------------------------------------------------------
 */

static int64_t time_ns(decode_cb run, const struct bench *bench)
{
    int64_t start_us = clock_now_us();

    run(bench);
    return (clock_now_us() - start_us) * 1000;
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static void print_times(const char *decoder, const struct shape *shape, const struct bench *bench,
                        const int64_t *times_ns, size_t rounds)
{
    double best_ns = (double)times_ns[0] / RECORDS;
    size_t middle = rounds / 2;
    double median_ns = (double)times_ns[middle] / RECORDS;
    double bytes = (double)bench->bytes / RECORDS;

    printf("%-13s  %4.0f bytes  %-13s  best %7.0f ns  median %7.0f ns  %6.0f MB/s\n", shape->title,
           bytes, decoder, best_ns, median_ns, bytes * 1000 / median_ns);
}

static void run_shape(const struct shape *shape, size_t rounds)
{
    static int64_t times_ns[COUNT_OF(decoders)][ROUNDS_MAX];
    static struct bench bench;

    bench_init(&bench, shape);
    for (size_t round = 0; round < rounds; round++) {
        for (size_t i = 0; i < COUNT_OF(decoders); i++)
            times_ns[i][round] = time_ns(decoders[i].run, &bench);
    }
    for (size_t i = 0; i < COUNT_OF(decoders); i++) {
        qsort(times_ns[i], rounds, sizeof(times_ns[i][0]), compare_times);
        print_times(decoders[i].name, shape, &bench, times_ns[i], rounds);
    }
    bench_finish(&bench);
}

int main(int argc, char **argv)
{
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;

    must(rounds > 0 && rounds <= ROUNDS_MAX, "ROUNDS is 1 to 10000");
    for (size_t i = 0; i < COUNT_OF(shapes); i++)
        run_shape(&shapes[i], rounds);
    return EXIT_SUCCESS;
}
