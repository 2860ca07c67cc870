/*
 * Are our types PostgreSQL's types? The same values go to a server as COPY text, where its own
 * input functions read them, and as COPY binary, where we have; what it then holds is compared.
 *
 *   types_differential [random values of each type] [seed]
 *
 * The server is that of PGHOST, PGPORT, PGUSER, PGDATABASE. For each value:
 *
 *   we take it, PostgreSQL takes it     the columns must print the same
 *   we take it, PostgreSQL refuses it   wrong: a batch would fail
 *   we refuse it, PostgreSQL takes it   wrong, unless it is of a form that we leave to text
 *   both refuse it                      right
 *
 * A value goes in as each kind that a decoder makes of it. Values and the first differences are
 * printed; the exit code is 1 if there is any.
 */
#include "base/json_string.h"
#include "base/memory.h"
#include "pg/table.h"
#include "pg/type.h"
#include "types_random.h"
#include "types_samples.h"
#include "types_server.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CHUNK_ROWS = 500,
    DIFFERENCES_SHOWN = 10,
    RANDOM_DEFAULT = 2000,
};

typedef void (*random_cb)(struct buffer *out);

enum family { FAMILY_STRING, FAMILY_NUMBER, FAMILY_UNIX, FAMILY_JSON };

struct subject {
    const char *type;
    enum family family;
    const char *const *same;
    size_t same_count;
    const char *const *stricter;
    size_t stricter_count;
    random_cb random;
    bool random_stricter; /* its random values may be of a form that we refuse */
};

#define SAME(list)     .same = list, .same_count = COUNT_OF(list)
#define STRICTER(list) .stricter = list, .stricter_count = COUNT_OF(list)
#define INTEGERS \
    FAMILY_STRING, SAME(integer_same), STRICTER(integer_stricter), random_integer, false
#define NUMBERS    FAMILY_STRING, SAME(number_same), STRICTER(number_stricter), random_number, false
#define FLOATS     FAMILY_STRING, SAME(number_same), STRICTER(number_stricter), random_float, false
#define TIMES      FAMILY_STRING, SAME(time_same), STRICTER(time_stricter), random_time, true
#define TEXTS      FAMILY_STRING, SAME(text_same), NULL, 0, random_text, false
#define JSONS      FAMILY_JSON, SAME(json_same), NULL, 0, random_json, false
#define UNIX_TIMES FAMILY_UNIX, SAME(unix_same), NULL, 0, random_unix, false

static const struct subject subjects[] = {
    {"boolean", FAMILY_STRING, SAME(bool_same), NULL, 0, random_bool, false},
    {"smallint", INTEGERS},
    {"integer", INTEGERS},
    {"bigint", INTEGERS},
    {"smallint", FAMILY_NUMBER, SAME(number_same), NULL, 0, random_number, false},
    {"bigint", FAMILY_NUMBER, SAME(number_same), NULL, 0, random_number, false},
    {"real", FLOATS},
    {"double precision", FLOATS},
    {"numeric", NUMBERS},
    {"numeric(10,2)", NUMBERS},
    {"numeric(5)", NUMBERS},
    {"numeric(3,5)", NUMBERS},
    {"numeric(4,-2)", NUMBERS},
    {"numeric(1000,500)", NUMBERS},
    {"numeric(1,0)", NUMBERS},
    {"text", TEXTS},
    {"varchar", TEXTS},
    {"varchar(5)", TEXTS},
    {"char(5)", TEXTS},
    {"char", TEXTS},
    {"uuid", FAMILY_STRING, SAME(uuid_same), NULL, 0, random_uuid, false},
    {"bytea", FAMILY_STRING, SAME(bytea_same), NULL, 0, random_bytea, false},
    {"date", TIMES},
    {"timestamp", TIMES},
    {"timestamp(0)", TIMES},
    {"timestamp(3)", TIMES},
    {"timestamptz", TIMES},
    {"timestamptz(0)", TIMES},
    {"timestamptz(1)", TIMES},
    {"timestamptz(5)", TIMES},
    {"date", UNIX_TIMES},
    {"timestamp", UNIX_TIMES},
    {"timestamptz(2)", UNIX_TIMES},
    {"json", JSONS},
    {"jsonb", JSONS},
    {"json", TEXTS},
    {"jsonb", TEXTS},
};

enum expectation {
    EXPECT_SAME,
    EXPECT_STRICTER, /* we refuse it, whatever PostgreSQL does */
    MAY_BE_STRICTER,
};

struct sample {
    struct value value;
    enum expectation expectation;
    bool text_ok;   /* our text encoder and the server take it */
    bool binary_ok; /* our binary encoder takes it */
    char *reason;   /* ... if not */
};

struct run {
    PGconn *connection;
    struct table table;
    struct sample *samples;
    size_t count;
    size_t room;
    size_t taken;
    size_t differences;
};

/* --- Values ---------------------------------------------------------------------------------- */

static void add_sample(struct run *run, enum value_kind kind, struct slice text,
                       enum expectation expectation)
{
    if (run->count == run->room) {
        run->room = run->room ? run->room * 2 : 1024;
        run->samples = memory_resize(run->samples, run->room * sizeof(*run->samples));
    }
    run->samples[run->count++] = (struct sample){
        .value = {.kind = kind, .text = {memory_strndup(text.data, text.len), text.len}},
        .expectation = expectation,
    };
}

/* The text as the body of a JSON string, with more escapes than it needs. */
static void add_escaped(struct run *run, struct slice text, enum expectation expectation)
{
    struct buffer body = {0};

    for (size_t i = 0; i < text.len; i++) {
        struct buffer quoted = {0};
        if ((unsigned char)text.data[i] < 0x80 && draw(4) == 0)
            buffer_printf(&quoted, "\"\\u%04x\"", (unsigned)text.data[i]);
        else
            json_string_append(&quoted, (struct slice){text.data + i, 1});
        buffer_append(&body, quoted.data + 1, quoted.len - 2);
        buffer_finish(&quoted);
    }
    /* Very long numbers with escapes are refused on purpose. */
    add_sample(run, VALUE_ESCAPED, (struct slice){buffer_text(&body), body.len},
               body.len > 512 ? MAY_BE_STRICTER : expectation);
    buffer_finish(&body);
}

static void add_strings(struct run *run, struct slice text, enum expectation expectation)
{
    add_sample(run, VALUE_STRING, text, expectation);
    add_escaped(run, text, expectation);
    enum type_codec codec = run->table.columns[1].codec;
    if (codec != TYPE_JSON && codec != TYPE_JSONB)
        add_sample(run, VALUE_BYTES, text, expectation);
    bool number = codec >= TYPE_FLOAT4 && codec <= TYPE_NUMERIC;
    if (number && is_json_number(text.data))
        add_sample(run, VALUE_NUMBER, text, expectation);
}

static void add_text(struct run *run, const struct subject *subject, struct slice text,
                     enum expectation expectation)
{
    switch (subject->family) {
    case FAMILY_STRING:
        add_strings(run, text, expectation);
        break;
    case FAMILY_NUMBER:
    case FAMILY_UNIX:
        if (is_json_number(text.data))
            add_sample(run, VALUE_NUMBER, text, expectation);
        break;
    case FAMILY_JSON:
        add_sample(run, VALUE_JSON, text, expectation);
        add_sample(run, VALUE_BYTES, text, expectation);
        break;
    }
}

static void add_samples(struct run *run, const struct subject *subject, size_t random_count)
{
    struct buffer text = {0};

    for (size_t i = 0; i < subject->same_count; i++)
        add_text(run, subject, slice_of(subject->same[i]), EXPECT_SAME);
    for (size_t i = 0; i < subject->stricter_count; i++)
        add_sample(run, VALUE_STRING, slice_of(subject->stricter[i]), EXPECT_STRICTER);
    for (size_t i = 0; i < random_count; i++) {
        buffer_reset(&text);
        subject->random(&text);
        buffer_text(&text);
        add_text(run, subject, (struct slice){text.data, text.len},
                 subject->random_stricter ? MAY_BE_STRICTER : EXPECT_SAME);
    }
    buffer_finish(&text);
}

/* --- COPY ------------------------------------------------------------------------------------ */

/* Which line of a COPY the server refused, from 1. */
static size_t failed_line(const PGresult *failed)
{
    const char *context = PQresultErrorField(failed, PG_DIAG_CONTEXT);
    const char *line = context ? strstr(context, "COPY differential_text, line ") : NULL;

    if (!line)
        fail("COPY text", PQresultErrorMessage(failed));
    return strtoul(line + strlen("COPY differential_text, line "), NULL, 10);
}

static bool encode(struct run *run, size_t i, enum type_format format, struct buffer *out,
                   struct err *err)
{
    const struct column *column = &run->table.columns[1];

    return type_encoder(column->codec, format)(out, column, &run->samples[i].value, err);
}

static void put_text_row(struct run *run, size_t i, struct buffer *rows)
{
    size_t start = rows->len;
    struct err err;

    buffer_printf(rows, "%zu\t", i);
    run->samples[i].text_ok = encode(run, i, TYPE_FORMAT_TEXT, rows, &err);
    if (run->samples[i].text_ok)
        buffer_append(rows, "\n", 1);
    else
        rows->len = start;
}

/* The sample that is the nth row of those from `first` on. */
static size_t nth_row(const struct run *run, size_t first, size_t line)
{
    size_t i = first;

    for (size_t row = 0;; i++) {
        row += run->samples[i].text_ok;
        if (row == line)
            return i;
    }
}

/* Samples from first to last; whatever the server refuses is marked and the rest sent again. */
static void send_text(struct run *run, size_t first, size_t last, struct buffer *rows)
{
    while (first < last) {
        buffer_reset(rows);
        for (size_t i = first; i < last; i++)
            put_text_row(run, i, rows);
        PGresult *failed = copy(run->connection, "COPY differential_text FROM STDIN", rows);
        if (!failed)
            return;
        size_t refused = nth_row(run, first, failed_line(failed));
        PQclear(failed);
        send_text(run, first, refused, rows);
        run->samples[refused].text_ok = false;
        first = refused + 1;
    }
}

static void put_binary_row(struct run *run, size_t i, struct buffer *rows)
{
    size_t start = rows->len;
    struct err err = {0};

    buffer_reserve(rows, 64);
    buffer_put_int16(rows, 2);
    buffer_put_int32(rows, 8);
    buffer_put_int64(rows, (int64_t)i);
    run->samples[i].binary_ok = encode(run, i, TYPE_FORMAT_BINARY, rows, &err);
    if (run->samples[i].binary_ok)
        return;
    rows->len = start;
    run->samples[i].reason = memory_strdup(err.text);
}

static void send_binary(struct run *run, size_t first, size_t last, struct buffer *rows)
{
    buffer_reset(rows);
    buffer_append(rows, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
    for (size_t i = first; i < last; i++)
        if (run->samples[i].text_ok)
            put_binary_row(run, i, rows);
    buffer_reserve(rows, 2);
    buffer_put_int16(rows, -1);
    PGresult *failed = copy(run->connection, "COPY differential_binary FROM STDIN BINARY", rows);
    if (failed)
        fail("COPY binary of values that PostgreSQL takes as text", PQresultErrorMessage(failed));
}

/* What the server refused: do we take it? */
static void try_refused(struct run *run, struct buffer *rows)
{
    for (size_t i = 0; i < run->count; i++) {
        buffer_reset(rows);
        if (!run->samples[i].text_ok)
            put_binary_row(run, i, rows);
    }
}

/* --- Comparing ------------------------------------------------------------------------------- */

static const char *kind_name(enum value_kind kind)
{
    static const char *const names[] = {"absent", "null",   "boolean", "integer", "timestamp",
                                        "number", "string", "escaped", "json",    "bytes"};

    return names[kind];
}

static void show(struct run *run, size_t i, const char *what, const char *detail)
{
    const struct value *value = &run->samples[i].value;

    if (run->differences++ >= DIFFERENCES_SHOWN)
        return;
    printf("  DIFFERENT %s %.*s: %s%s%s\n", kind_name(value->kind),
           value->text.len > 200 ? 200 : (int)value->text.len, value->text.data, what,
           detail ? ": " : "", detail ? detail : "");
}

static void compare_verdicts(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        const struct sample *sample = &run->samples[i];
        run->taken += sample->binary_ok;
        if (sample->binary_ok && !sample->text_ok)
            show(run, i, "we take it, PostgreSQL does not", NULL);
        if (sample->binary_ok && sample->expectation == EXPECT_STRICTER)
            show(run, i, "listed as stricter, but we take it", NULL);
        if (!sample->binary_ok && sample->text_ok && sample->expectation == EXPECT_SAME)
            show(run, i, "PostgreSQL takes it, we do not", sample->reason);
    }
}

static void compare_columns(struct run *run)
{
    PGresult *result =
        query(run->connection, "SELECT t.id, t.v::text, b.v::text FROM differential_text t"
                               " JOIN differential_binary b USING (id)"
                               " WHERE t.v::text IS DISTINCT FROM b.v::text ORDER BY t.id");

    for (int row = 0; row < PQntuples(result); row++) {
        char *detail = memory_printf("text %.100s, binary %.100s", PQgetvalue(result, row, 1),
                                     PQgetvalue(result, row, 2));
        show(run, strtoul(PQgetvalue(result, row, 0), NULL, 10), "two values", detail);
        free(detail);
    }
    PQclear(result);
}

/* --- A run ----------------------------------------------------------------------------------- */

static void create_tables(struct run *run, const struct subject *subject)
{
    struct buffer sql = {0};
    struct err err;

    buffer_printf(&sql,
                  "DROP TABLE IF EXISTS differential_text, differential_binary;"
                  "CREATE TEMP TABLE differential_text (id bigint PRIMARY KEY, v %s);"
                  "CREATE TEMP TABLE differential_binary (LIKE differential_text INCLUDING ALL)",
                  subject->type);
    execute(run->connection, buffer_text(&sql));
    buffer_reset(&sql);
    if (!table_query(&sql, "differential_text", &err))
        fail("table_query", err.text);
    PGresult *result = query(run->connection, buffer_text(&sql));
    if (!table_parse(&run->table, "differential_text", result, &err))
        fail("table_parse", err.text);
    PQclear(result);
    buffer_finish(&sql);
}

static void finish(struct run *run)
{
    for (size_t i = 0; i < run->count; i++) {
        free((char *)(uintptr_t)run->samples[i].value.text.data);
        free(run->samples[i].reason);
    }
    free(run->samples);
    table_finish(&run->table);
}

/* Returns how many values differ. */
static size_t run_subject(PGconn *connection, const struct subject *subject, size_t random_count)
{
    struct run run = {.connection = connection};
    struct buffer rows = {0};

    create_tables(&run, subject);
    add_samples(&run, subject, random_count);
    for (size_t first = 0; first < run.count; first += CHUNK_ROWS) {
        size_t last = first + CHUNK_ROWS < run.count ? first + CHUNK_ROWS : run.count;
        send_text(&run, first, last, &rows);
        send_binary(&run, first, last, &rows);
    }
    try_refused(&run, &rows);
    compare_verdicts(&run);
    compare_columns(&run);
    printf("%-18s %-6s %7zu values, %7zu taken, %zu different\n", subject->type,
           kind_name(run.samples[0].value.kind), run.count, run.taken, run.differences);
    buffer_finish(&rows);
    finish(&run);
    return run.differences;
}

/* --- Arrays ---------------------------------------------------------------------------------- */

static void put_array_row(struct buffer *rows, const struct column *columns)
{
    struct buffer array = {0};
    struct err err;

    random_array(&array);
    struct value value = {.kind = VALUE_JSON, .text = {array.data, array.len}};
    for (size_t i = 0; i < 3; i++) {
        type_encode_cb encoder = type_encoder(columns[i].codec, TYPE_FORMAT_TEXT);
        if (!encoder(rows, &columns[i], &value, &err))
            fail("an array", err.text);
        buffer_append_text(rows, i < 2 ? "\t" : "\n");
    }
    buffer_finish(&array);
}

/* Our literals against the server's own reading of the same JSON. */
static size_t run_arrays(PGconn *connection, size_t random_count)
{
    static char names[][8] = {"jsonb", "text[]", "jsonb[]"};
    static const struct column columns[] = {
        {.type_name = names[0], .typmod = -1, .codec = TYPE_JSONB},
        {.type_name = names[1], .typmod = -1, .codec = TYPE_OTHER},
        {.type_name = names[2], .typmod = -1, .codec = TYPE_OTHER},
    };
    struct buffer rows = {0};

    execute(connection, "CREATE TEMP TABLE arrays (original jsonb, texts text[], jsons jsonb[])");
    for (size_t i = 0; i < random_count; i++)
        put_array_row(&rows, columns);
    PGresult *result = copy(connection, "COPY arrays FROM STDIN", &rows);
    if (result)
        fail("COPY of arrays", PQresultErrorMessage(result));
    result = query(connection, "SELECT original, texts, jsons FROM arrays"
                               " WHERE texts <> ARRAY(SELECT jsonb_array_elements_text(original))"
                               " OR jsons <> ARRAY(SELECT nullif(e, 'null')"
                               " FROM jsonb_array_elements(original) e)");
    size_t differences = (size_t)PQntuples(result);
    for (size_t i = 0; i < differences && i < DIFFERENCES_SHOWN; i++)
        printf("  DIFFERENT %s: %s, %s\n", PQgetvalue(result, (int)i, 0),
               PQgetvalue(result, (int)i, 1), PQgetvalue(result, (int)i, 2));
    PQclear(result);
    printf("%-18s %-6s %7zu values, %7zu taken, %zu different\n", "arrays", "json", random_count,
           random_count, differences);
    buffer_finish(&rows);
    return differences;
}

static bool server_has(PGconn *connection, const char *type)
{
    /* A negative scale came with PostgreSQL 15. */
    return !strstr(type, ",-") || PQserverVersion(connection) >= 150000;
}

int main(int argc, char **argv)
{
    size_t random_count = argc > 1 ? strtoul(argv[1], NULL, 10) : RANDOM_DEFAULT;
    PGconn *connection = PQconnectdb("");
    size_t differences = 0;

    random_state = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
    if (PQstatus(connection) != CONNECTION_OK)
        fail("connecting", PQerrorMessage(connection));
    PQsetErrorVerbosity(connection, PQERRORS_VERBOSE);
    execute(connection, "SET timezone = 'UTC'; SET client_min_messages = warning;"
                        "SET extra_float_digits = 1; SET lc_messages = 'C'");
    for (size_t i = 0; i < COUNT_OF(subjects); i++)
        if (server_has(connection, subjects[i].type))
            differences += run_subject(connection, &subjects[i], random_count);
    differences += run_arrays(connection, random_count);
    PQfinish(connection);
    printf("%zu different\n", differences);
    return differences == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
