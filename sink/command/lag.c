/*
 * Ends are Kafka's, as far as committed records go. Positions are those of pgsluice.offsets; with
 * SINK_DELIVERY=at_least_once, which has none there, those that the group has told Kafka.
 *
 *   TOPIC   PARTITION  COMMITTED   END  LAG  OWNER   WRITTEN
 *   orders          0       1200  1212   12  sink-1  2026-11-20 08:47:02+00
 *
 * As in a running sink, a partition is caught up when nothing comes any more, even if its log goes
 * on with markers of transactions and aborted records. What such a sink knows is found out here by
 * reading on from the position, up to the first record.
 */
#include "command/lag.h"

#include "base/json_string.h"
#include "base/memory.h"
#include "command/boot.h"
#include "command/output.h"
#include "kafka/client.h"
#include "kafka/lookup.h"
#include "kafka/tails.h"
#include "ops/text_table.h"
#include "pg/offsets_table.h"
#include "pg/session.h"

#include <inttypes.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WATCH_MS = 2000, TAILS_MS = 3000 };

const struct argument lag_arguments[] = {
    {"--watch", ARGUMENT_FLAG, offsetof(struct lag_options, watch),
     .doc = "again every two seconds, until Ctrl-C"},
    {"--json", ARGUMENT_FLAG, offsetof(struct lag_options, json),
     .doc = "one JSON object for each partition"},
    {0},
};

struct lag_row {
    const char *topic; /* borrowed from the list of partitions */
    int32_t partition;
    int64_t committed; /* -1: none yet */
    int64_t from;      /* where reading would go on: committed, or where the log begins */
    int64_t end;
    bool drained;   /* no record comes before the end */
    char owner[64]; /* empty: nobody */
    char written[40];
};

struct lag_table {
    struct lag_row *rows;
    size_t count;
};

/* Where it is looked up. */
struct lag_sources {
    const struct config *config;
    rd_kafka_t *client;
    PGconn *connection; /* NULL: not connected */
};

static int64_t lag_of(const struct lag_row *row)
{
    return row->end > row->from && !row->drained ? row->end - row->from : 0;
}

/* Looking up. */

static void take_positions(const struct lag_table *table, const PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows); i++)
        for (size_t j = 0; j < table->count; j++) {
            struct lag_row *row = &table->rows[j];
            if (row->partition != strtol(PQgetvalue(rows, i, OFFSETS_PARTITION), NULL, 10) ||
                strcmp(row->topic, PQgetvalue(rows, i, OFFSETS_TOPIC)) != 0)
                continue;
            row->committed = strtoll(PQgetvalue(rows, i, OFFSETS_NEXT_OFFSET), NULL, 10);
            snprintf(row->owner, sizeof(row->owner), "%s", PQgetvalue(rows, i, OFFSETS_OWNER));
            snprintf(row->written, sizeof(row->written), "%s",
                     PQgetvalue(rows, i, OFFSETS_UPDATED_AT));
        }
}

static bool read_postgres(struct lag_sources *sources, const struct lag_table *table,
                          struct err *err)
{
    if (sources->connection && PQstatus(sources->connection) != CONNECTION_OK) {
        PQfinish(sources->connection);
        sources->connection = NULL;
    }
    if (!sources->connection)
        sources->connection =
            session_connect(sources->config, sources->config->connect_timeout_ms, err);
    PGresult *rows = sources->connection ? offsets_table_read(sources->connection,
                                                              sources->config->name, NULL, -1, err)
                                         : NULL;
    if (rows)
        take_positions(table, rows);
    PQclear(rows);
    return rows != NULL;
}

static bool read_group(const struct lag_sources *sources, const struct lag_table *table,
                       const rd_kafka_topic_partition_list_t *partitions, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(partitions);
    rd_kafka_resp_err_t error =
        rd_kafka_committed(sources->client, list, (int)sources->config->connect_timeout_ms);

    for (size_t i = 0; !error && i < table->count; i++)
        table->rows[i].committed = list->elems[i].offset >= 0 ? list->elems[i].offset : -1;
    rd_kafka_topic_partition_list_destroy(list);
    return !error || err_set(err, ERR_OUTAGE, "the group's offsets could not be read: %s",
                             rd_kafka_err2str(error));
}

static void fill(struct lag_table *table, const rd_kafka_topic_partition_list_t *partitions)
{
    table->count = (size_t)partitions->cnt;
    table->rows = memory_new_array(table->count + 1, sizeof(*table->rows));
    for (size_t i = 0; i < table->count; i++)
        table->rows[i] = (struct lag_row){.topic = partitions->elems[i].topic,
                                          .partition = partitions->elems[i].partition,
                                          .committed = -1,
                                          .end = partitions->elems[i].offset};
}

/* Those rows that `wanted` picks, with the offset where reading them would go on. */
static rd_kafka_topic_partition_list_t *list_rows(const struct lag_table *table,
                                                  bool (*wanted)(const struct lag_row *row))
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

    for (size_t i = 0; i < table->count; i++)
        if (wanted(&table->rows[i]))
            rd_kafka_topic_partition_list_add(list, table->rows[i].topic, table->rows[i].partition)
                ->offset = table->rows[i].from;
    return list;
}

static bool is_new(const struct lag_row *row)
{
    return row->committed < 0;
}

static bool is_behind(const struct lag_row *row)
{
    return lag_of(row) > 0;
}

/* A partition without a position begins where its log does. */
static bool read_starts(const struct lag_sources *sources, const struct lag_table *table,
                        struct err *err)
{
    rd_kafka_topic_partition_list_t *list = list_rows(table, is_new);
    bool done = lookup_offsets(sources->client, list, RD_KAFKA_OFFSET_SPEC_EARLIEST,
                               sources->config->connect_timeout_ms, err);
    int next = 0;

    for (size_t i = 0; done && i < table->count; i++)
        table->rows[i].from =
            is_new(&table->rows[i]) ? list->elems[next++].offset : table->rows[i].committed;
    rd_kafka_topic_partition_list_destroy(list);
    return done;
}

static void read_tails(const struct lag_sources *sources, const struct lag_table *table)
{
    rd_kafka_topic_partition_list_t *list = list_rows(table, is_behind);
    int next = 0;

    tails_read(sources->client, list, TAILS_MS);
    for (size_t i = 0; i < table->count; i++)
        if (is_behind(&table->rows[i]))
            table->rows[i].drained = list->elems[next++].offset == RD_KAFKA_OFFSET_END;
    rd_kafka_topic_partition_list_destroy(list);
}

/* Positions come first, so that they are not ahead of the ends. */
static bool read_table(struct lag_sources *sources, struct lag_table *table,
                       rd_kafka_topic_partition_list_t *partitions, struct err *err)
{
    bool exactly_once = sources->config->delivery == CONFIG_EXACTLY_ONCE;

    fill(table, partitions);
    if (exactly_once ? !read_postgres(sources, table, err)
                     : !read_group(sources, table, partitions, err))
        return false;
    if (!read_starts(sources, table, err) ||
        !lookup_offsets(sources->client, partitions, RD_KAFKA_OFFSET_SPEC_LATEST,
                        sources->config->connect_timeout_ms, err))
        return false;
    for (size_t i = 0; i < table->count; i++)
        table->rows[i].end = partitions->elems[i].offset;
    read_tails(sources, table);
    return true;
}

/* Showing. */

/* "": null. */
static void put_member(struct buffer *out, const char *name, const char *value)
{
    buffer_printf(out, ", \"%s\": ", name);
    if (value[0])
        json_string_append(out, slice_of(value));
    else
        buffer_append_text(out, "null");
}

static void put_json(struct buffer *out, const struct lag_row *row)
{
    buffer_append_text(out, "{\"topic\": ");
    json_string_append(out, slice_of(row->topic));
    buffer_printf(out, ", \"partition\": %" PRId32 ", \"committed\": ", row->partition);
    if (row->committed >= 0)
        buffer_printf(out, "%" PRId64, row->committed);
    else
        buffer_append_text(out, "null");
    buffer_printf(out, ", \"end\": %" PRId64 ", \"lag\": %" PRId64, row->end, lag_of(row));
    put_member(out, "owner", row->owner);
    put_member(out, "written_at", row->written);
    buffer_append_text(out, "}\n");
}

static const struct text_column columns[] = {
    {"TOPIC", false}, {"PARTITION", true}, {"COMMITTED", true}, {"END", true},
    {"LAG", true},    {"OWNER", false},    {"WRITTEN", false},
};

static void put_row(struct text_table *list, const struct lag_row *row)
{
    text_table_put(list, row->topic);
    text_table_put_number(list, row->partition);
    if (row->committed >= 0)
        text_table_put_number(list, row->committed);
    else
        text_table_put(list, "-");
    text_table_put_number(list, row->end);
    text_table_put_number(list, lag_of(row));
    text_table_put(list, row->owner[0] ? row->owner : "-");
    text_table_put(list, row->written);
}

static void put_sum(struct text_table *list, int64_t sum)
{
    static const char *const cells[] = {"all", "", "", ""};

    for (size_t i = 0; i < COUNT_OF(cells); i++)
        text_table_put(list, cells[i]);
    text_table_put_number(list, sum);
    text_table_put(list, "");
    text_table_put(list, "");
}

static void put_table(struct buffer *out, const struct lag_table *table)
{
    struct text_table list = {.columns = columns, .columns_count = COUNT_OF(columns)};
    int64_t sum = 0;

    for (size_t i = 0; i < table->count; i++) {
        put_row(&list, &table->rows[i]);
        sum += lag_of(&table->rows[i]);
    }
    put_sum(&list, sum);
    text_table_append(&list, out);
    text_table_finish(&list);
}

static int show(const struct lag_table *table, const struct lag_options *options)
{
    struct buffer out = {0};

    if (options->watch && !options->json && isatty(STDOUT_FILENO))
        buffer_append_text(&out, "\033[H\033[J"); /* home, clear */
    for (size_t i = 0; options->json && i < table->count; i++)
        put_json(&out, &table->rows[i]);
    if (!options->json)
        put_table(&out, table);
    int code = output_write(&out);
    buffer_finish(&out);
    return code;
}

static int look(struct lag_sources *sources, const struct lag_options *options)
{
    struct lag_table table = {0};
    struct err err = {0};
    rd_kafka_topic_partition_list_t *partitions = lookup_partitions(
        sources->client, sources->config, sources->config->connect_timeout_ms, &err);
    int code;

    if (partitions)
        rd_kafka_topic_partition_list_sort(partitions, NULL, NULL);
    if (partitions && read_table(sources, &table, partitions, &err)) {
        code = show(&table, options);
    } else {
        log_error("lag can't be shown", LOG_STR("class", err_class_name(err.class)), LOG_ERR(&err));
        code = boot_exit_code(&err);
    }
    free(table.rows);
    if (partitions)
        rd_kafka_topic_partition_list_destroy(partitions);
    return code;
}

int command_lag(const struct config *config, const void *lag_options)
{
    const struct lag_options *options = lag_options;
    struct lag_sources sources = {.config = config};
    struct err err = {0};

    sources.client = client_create_lane(config, 1, &err);
    if (!sources.client) {
        log_error("Kafka can't be used", LOG_ERR(&err));
        return boot_exit_code(&err);
    }
    int code = look(&sources, options);
    while (options->watch && (code == EXIT_DONE || code == EXIT_UNREACHABLE)) {
        poll(NULL, 0, WATCH_MS);
        code = look(&sources, options);
    }
    PQfinish(sources.connection);
    rd_kafka_destroy_flags(sources.client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return code;
}
