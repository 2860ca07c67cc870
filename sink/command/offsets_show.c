/*
 * For people a table, for programs a JSON object in each line:
 *
 *   TOPIC   PARTITION  COMMITTED  LOST  OWNER     CLAIMED                 WRITTEN
 *   orders          0       1200     0  sink-1    2026-11-20 08:45:48+00  2026-11-20 08:47:02+00
 */
#include "base/json_string.h"
#include "command/boot.h"
#include "command/offsets.h"
#include "command/output.h"
#include "ops/text_table.h"
#include "pg/offsets_table.h"
#include "pg/session.h"

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
    buffer_printf(out, ", \"partition\": %s, \"committed\": %s, \"lost_count\": %s",
                  PQgetvalue(rows, row, OFFSETS_PARTITION),
                  PQgetvalue(rows, row, OFFSETS_NEXT_OFFSET),
                  PQgetvalue(rows, row, OFFSETS_LOST_COUNT));
    buffer_printf(out, ", \"epoch\": %s, \"leader_epoch\": %s",
                  PQgetvalue(rows, row, OFFSETS_EPOCH),
                  PQgetvalue(rows, row, OFFSETS_LEADER_EPOCH));
    append_member(out, rows, row, "topic_id", OFFSETS_TOPIC_ID);
    append_member(out, rows, row, "owner", OFFSETS_OWNER);
    append_member(out, rows, row, "claimed_at", OFFSETS_CLAIMED_AT);
    append_member(out, rows, row, "written_at", OFFSETS_UPDATED_AT);
    buffer_append_text(out, "}\n");
}

/* For people. */

static const struct text_column columns[] = {
    {"TOPIC", false}, {"PARTITION", true}, {"COMMITTED", true}, {"LOST", true},
    {"OWNER", false}, {"CLAIMED", false},  {"WRITTEN", false},
};

static const enum offsets_column cells[] = {
    OFFSETS_TOPIC, OFFSETS_PARTITION,  OFFSETS_NEXT_OFFSET, OFFSETS_LOST_COUNT,
    OFFSETS_OWNER, OFFSETS_CLAIMED_AT, OFFSETS_UPDATED_AT,
};

static void append_table(struct buffer *out, const PGresult *rows)
{
    struct text_table table = {.columns = columns, .columns_count = COUNT_OF(columns)};

    for (int row = 0; row < PQntuples(rows); row++)
        for (size_t i = 0; i < COUNT_OF(cells); i++)
            text_table_put(&table, PQgetvalue(rows, row, cells[i]));
    text_table_append(&table, out);
    text_table_finish(&table);
}

static int show(const PGresult *rows, bool json)
{
    struct buffer out = {0};

    for (int row = 0; json && row < PQntuples(rows); row++)
        append_json(&out, rows, row);
    if (!json)
        append_table(&out, rows);
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
