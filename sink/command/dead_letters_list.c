/*
 * `pgsluice dead-letters list`: for people,
 *
 *   orders[0]@17  2026-11-20 08:45:48.123+00  "public"."orders", column n, SQLSTATE 23514
 *       refused by PostgreSQL, constraint n_small: new row violates check constraint
 *
 * or for programs, a JSON object in each line. Payload is shown on demand only.
 */
#include "base/json_string.h"
#include "base/memory.h"
#include "base/printable.h"
#include "base/utf8.h"
#include "command/boot.h"
#include "command/dead_letters.h"
#include "command/output.h"
#include "pg/letters_table.h"
#include "pg/session.h"

#include <stdlib.h>

enum { WRITE_BYTES = 64 * 1024 };

static const char *text_at(const PGresult *row, int column)
{
    return PQgetisnull(row, 0, column) ? NULL : PQgetvalue(row, 0, column);
}

/* free() ends its data; NULL: the column is. */
static struct slice bytes_at(const PGresult *row, int column)
{
    const char *text = text_at(row, column);
    size_t len = 0;
    unsigned char *bytes;

    if (!text)
        return SLICE_NONE;
    bytes = PQunescapeBytea((const unsigned char *)text, &len);
    char *copy = memory_new(len + 1);
    memcpy(copy, bytes, len);
    PQfreemem(bytes);
    return (struct slice){copy, len};
}

static void append_hex(struct buffer *out, struct slice bytes)
{
    buffer_append_text(out, "\"\\\\x");
    for (size_t i = 0; i < bytes.len; i++)
        buffer_printf(out, "%02x", (unsigned char)bytes.data[i]);
    buffer_append_text(out, "\"");
}

/* A JSON string: the text itself, or \x and hex digits when it is none. */
static void append_bytes(struct buffer *out, const PGresult *row, int column)
{
    struct slice bytes = bytes_at(row, column);

    if (!bytes.data)
        buffer_append_text(out, "null");
    else if (utf8_valid(bytes) && !memchr(bytes.data, '\0', bytes.len))
        json_string_append(out, bytes);
    else
        append_hex(out, bytes);
    free((void *)(uintptr_t)bytes.data);
}

/* For programs. */

static void append_member(struct buffer *out, const PGresult *row, const char *name, int column)
{
    const char *text = text_at(row, column);

    buffer_printf(out, ", \"%s\": ", name);
    if (text)
        json_string_append(out, slice_of(text));
    else
        buffer_append_text(out, "null");
}

static void append_json_payload(struct buffer *out, const PGresult *row)
{
    const char *headers = text_at(row, LETTERS_HEADERS);

    buffer_append_text(out, ", \"key\": ");
    append_bytes(out, row, LETTERS_KEY);
    buffer_append_text(out, ", \"value\": ");
    append_bytes(out, row, LETTERS_VALUE);
    buffer_printf(out, ", \"headers\": %s", headers ? headers : "null");
}

static void append_json(struct buffer *out, const PGresult *row, bool payload)
{
    buffer_printf(out, "{\"id\": %s", text_at(row, LETTERS_ID));
    append_member(out, row, "topic", LETTERS_TOPIC);
    buffer_printf(out, ", \"partition\": %s, \"offset\": %s", text_at(row, LETTERS_PARTITION),
                  text_at(row, LETTERS_OFFSET));
    append_member(out, row, "timestamp", LETTERS_TIME);
    append_member(out, row, "reason", LETTERS_REASON);
    append_member(out, row, "sqlstate", LETTERS_SQLSTATE);
    append_member(out, row, "table", LETTERS_TABLE);
    append_member(out, row, "column", LETTERS_COLUMN);
    append_member(out, row, "instance", LETTERS_INSTANCE);
    append_member(out, row, "created_at", LETTERS_CREATED);
    if (payload)
        append_json_payload(out, row);
    buffer_append_text(out, "}\n");
}

/* For people. */

static void append_printable(struct buffer *out, const char *before, const char *text)
{
    buffer_append_text(out, before);
    printable_append(out, text);
}

static void append_text_payload(struct buffer *out, const PGresult *row)
{
    static const char *const names[] = {"    key ", "    value "};
    const char *headers = text_at(row, LETTERS_HEADERS);

    for (int i = 0; i < 2; i++) {
        buffer_append_text(out, names[i]);
        size_t from = out->len;
        append_bytes(out, row, LETTERS_KEY + i);
        printable_make_from(out, from);
        buffer_append_text(out, "\n");
    }
    append_printable(out, "    headers ", headers ? headers : "null");
    buffer_append_text(out, "\n");
}

static void append_text(struct buffer *out, const PGresult *row, bool payload)
{
    const char *time = text_at(row, LETTERS_TIME);
    const char *column = text_at(row, LETTERS_COLUMN);
    const char *sqlstate = text_at(row, LETTERS_SQLSTATE);

    buffer_printf(out, "%s[%s]@%s  %s", text_at(row, LETTERS_TOPIC),
                  text_at(row, LETTERS_PARTITION), text_at(row, LETTERS_OFFSET),
                  time ? time : "(no time)");
    append_printable(out, "  ", text_at(row, LETTERS_TABLE));
    if (column)
        append_printable(out, ", column ", column);
    if (sqlstate)
        buffer_printf(out, ", SQLSTATE %s", sqlstate);
    append_printable(out, "\n    ", text_at(row, LETTERS_REASON));
    buffer_append_text(out, "\n");
    if (payload)
        append_text_payload(out, row);
}

/* All of them. */

static int flush_output(struct buffer *out, size_t least)
{
    if (out->len < least)
        return EXIT_DONE;
    int code = output_write(out);
    buffer_reset(out);
    return code;
}

/* A list that was cut must not look like a whole one. */
static void note_more(struct buffer *out, const struct dead_letters_options *options, int64_t count)
{
    if (count == options->limit && !options->json)
        buffer_printf(out, "(%lld are shown, as --limit says; there may be more)\n",
                      (long long)count);
}

static int write_rows(PGconn *connection, const struct dead_letters_options *options,
                      struct err *err)
{
    struct buffer out = {0};
    int code = EXIT_DONE;
    int64_t count = 0;
    PGresult *row;

    while (code == EXIT_DONE && letters_table_fetch(connection, &row, err)) {
        if (options->json)
            append_json(&out, row, options->payload);
        else
            append_text(&out, row, options->payload);
        PQclear(row);
        count++;
        code = flush_output(&out, WRITE_BYTES);
    }
    note_more(&out, options, count);
    if (code == EXIT_DONE)
        code = flush_output(&out, 0);
    buffer_finish(&out);
    return code;
}

static int list(PGconn *connection, const struct config *config,
                const struct dead_letters_options *options)
{
    const struct letters_filter filter = {
        .sink = options->sink ? options->sink : config->name,
        .topic = options->topic,
        .sqlstate = options->sqlstate,
        .partition = options->partition,
    };
    int code = EXIT_DONE;
    struct err err = {0};

    if (letters_table_query(connection, &filter, options->limit, options->payload, &err))
        code = write_rows(connection, options, &err);
    if (err.class == ERR_NONE)
        return code;
    log_error("dead letters can't be listed", LOG_STR("class", err_class_name(err.class)),
              LOG_ERR(&err));
    return boot_exit_code(&err);
}

int command_dead_letters_list(const struct config *config, const void *dead_letters_options)
{
    const struct dead_letters_options *options = dead_letters_options;
    struct err err = {0};
    PGconn *connection = session_connect(config, config->connect_timeout_ms, &err);

    if (!connection) {
        log_error("PostgreSQL can't be used", LOG_STR("class", err_class_name(err.class)),
                  LOG_ERR(&err));
        return boot_exit_code(&err);
    }
    int code = list(connection, config, options);
    PQfinish(connection);
    return code;
}
