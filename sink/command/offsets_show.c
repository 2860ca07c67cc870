/*
 * For people a table, for programs a JSON object in each line:
 *
 *   TOPIC   PARTITION  POSITION  LOST  OWNER     CLAIMED                 WRITTEN
 *   orders          0      1200     0  sink-1    2026-11-20 08:45:48+00  2026-11-20 08:47:02+00
 */
#include "base/json_string.h"
#include "base/printable.h"
#include "command/boot.h"
#include "command/offsets.h"
#include "command/output.h"
#include "pg/offsets_table.h"
#include "pg/session.h"

#include <string.h>

static void append_member(struct buffer *out, const PGresult *rows, int row, const char *name,
                          enum offsets_column column)
{
    buffer_printf(out, ", \"%s\": ", name);
    if (PQgetisnull(rows, row, column))
        buffer_append_text(out, "null");
    else
        json_string_append(out, slice_of(PQgetvalue(rows, row, column)));
}

static void append_json(struct buffer *out, const PGresult *rows, int row)
{
    buffer_append_text(out, "{\"topic\": ");
    json_string_append(out, slice_of(PQgetvalue(rows, row, OFFSETS_TOPIC)));
    buffer_printf(out, ", \"partition\": %s, \"next_offset\": %s, \"lost_count\": %s",
                  PQgetvalue(rows, row, OFFSETS_PARTITION),
                  PQgetvalue(rows, row, OFFSETS_NEXT_OFFSET),
                  PQgetvalue(rows, row, OFFSETS_LOST_COUNT));
    buffer_printf(out, ", \"epoch\": %s, \"leader_epoch\": %s",
                  PQgetvalue(rows, row, OFFSETS_EPOCH),
                  PQgetvalue(rows, row, OFFSETS_LEADER_EPOCH));
    append_member(out, rows, row, "topic_id", OFFSETS_TOPIC_ID);
    append_member(out, rows, row, "owner", OFFSETS_OWNER);
    append_member(out, rows, row, "claimed_at", OFFSETS_CLAIMED_AT);
    append_member(out, rows, row, "updated_at", OFFSETS_UPDATED_AT);
    buffer_append_text(out, "}\n");
}

static const struct {
    const char *title;
    enum offsets_column column;
    bool right; /* numbers */
} shown[] = {
    {"TOPIC", OFFSETS_TOPIC, false},         {"PARTITION", OFFSETS_PARTITION, true},
    {"POSITION", OFFSETS_NEXT_OFFSET, true}, {"LOST", OFFSETS_LOST_COUNT, true},
    {"OWNER", OFFSETS_OWNER, false},         {"CLAIMED", OFFSETS_CLAIMED_AT, false},
    {"WRITTEN", OFFSETS_UPDATED_AT, false},
};

static int width_of(const PGresult *rows, size_t i)
{
    size_t width = strlen(shown[i].title);

    for (int row = 0; row < PQntuples(rows); row++)
        if ((size_t)PQgetlength(rows, row, shown[i].column) > width)
            width = (size_t)PQgetlength(rows, row, shown[i].column);
    return (int)width;
}

/* The row; -1: the titles. */
static void append_line(struct buffer *out, const PGresult *rows, int row)
{
    size_t from = out->len;

    for (size_t i = 0; i < COUNT_OF(shown); i++) {
        const char *text = row < 0 ? shown[i].title : PQgetvalue(rows, row, shown[i].column);
        int width = i + 1 == COUNT_OF(shown) && !shown[i].right ? 0 : width_of(rows, i);
        buffer_printf(out, "%s%*s", i > 0 ? "  " : "", shown[i].right ? width : -width, text);
    }
    buffer_text(out);
    printable_make(out->data + from);
    buffer_append_text(out, "\n");
}

static int show(const PGresult *rows, bool json)
{
    struct buffer out = {0};

    if (!json)
        append_line(&out, rows, -1);
    for (int row = 0; row < PQntuples(rows); row++)
        if (json)
            append_json(&out, rows, row);
        else
            append_line(&out, rows, row);
    int code = output_write(&out);
    buffer_finish(&out);
    return code;
}

int command_offsets_show(const struct config *config, const void *offsets_options)
{
    const struct offsets_options *options = offsets_options;
    struct err err = {0};
    int code = EXIT_INTERNAL;
    PGconn *connection = session_connect(config, config->connect_timeout_ms, &err);
    PGresult *rows = connection ? offsets_table_read(connection, config->name, options->topic,
                                                     options->partition, &err)
                                : NULL;

    if (rows) {
        code = show(rows, options->json);
    } else {
        log_error("positions can't be shown", LOG_STR("class", err_class_name(err.class)),
                  LOG_ERR(&err));
        code = boot_exit_code(&err);
    }
    PQclear(rows);
    PQfinish(connection);
    return code;
}
