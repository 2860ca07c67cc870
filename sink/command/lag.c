/*
 * Ends are Kafka's, as far as committed records go. Positions are those of pgsluice.offsets; with
 * SINK_DELIVERY=at_least_once, which has none there, those that the group has told Kafka.
 *
 *   TOPIC   PARTITION  COMMITTED   END  LAG  OWNER   WRITTEN
 *   orders          0       1200  1212   12  sink-1  2026-11-20 08:47:02+00
 *   orders          1        790   790    0  sink-2  2026-11-20 08:46:51+00
 *   all                                  12
 *
 * As in a running sink, a partition is caught up when nothing comes any more, even if its log goes
 * on with markers of transactions and aborted records. What such a sink knows is found out here by
 * reading on from the position, up to the first record. Watching, each look begins with what the
 * one before has found out so: a partition that stands is not read again and again.
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
     .doc = "again two seconds after each look, until Ctrl-C"},
    {"--json", ARGUMENT_FLAG, offsetof(struct lag_options, json),
     .doc = "one JSON object for each partition"},
    {0},
};

/* What lies between a position and the end. */
enum lag_tail { TAIL_UNKNOWN, TAIL_RECORD, TAIL_EMPTY };

struct lag_row {
    const char *topic; /* borrowed from the table's list */
    int32_t partition;
    int64_t committed; /* -1: none yet */
    int64_t from;      /* where reading would go on: committed, or where the log begins */
    int64_t end;
    enum lag_tail tail;
    char owner[64]; /* empty: nobody */
    char written[40];
};

/* In the order of topics, byte by byte, and partitions. */
struct lag_table {
    rd_kafka_topic_partition_list_t *partitions;
    struct lag_row *rows; /* one of each */
    size_t count;
};

/* Where it is looked up. */
struct lag_sources {
    const struct config *config;
    rd_kafka_t *client;
    PGconn *connection;    /* NULL: not connected */
    struct lag_table last; /* what the look before has found; empty: nothing */
};

static int64_t lag_of(const struct lag_row *row)
{
    return row->end > row->from && row->tail != TAIL_EMPTY ? row->end - row->from : 0;
}

/* The rows of a table. */

/* Takes the partitions. */
static void fill(struct lag_table *table, rd_kafka_topic_partition_list_t *partitions)
{
    rd_kafka_topic_partition_list_sort(partitions, NULL, NULL);
    table->partitions = partitions;
    table->count = (size_t)partitions->cnt;
    table->rows = memory_new_array(table->count + 1, sizeof(*table->rows));
    for (size_t i = 0; i < table->count; i++)
        table->rows[i] = (struct lag_row){.topic = partitions->elems[i].topic,
                                          .partition = partitions->elems[i].partition,
                                          .committed = -1};
}

static void empty(struct lag_table *table)
{
    free(table->rows);
    if (table->partitions)
        rd_kafka_topic_partition_list_destroy(table->partitions);
    *table = (struct lag_table){0};
}

static int compare(const void *left, const void *right)
{
    const struct lag_row *a = left;
    const struct lag_row *b = right;
    int order = strcmp(a->topic, b->topic);

    return order ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* NULL: there is none. */
static struct lag_row *find(const struct lag_table *table, const char *topic, int32_t partition)
{
    struct lag_row wanted = {.topic = topic, .partition = partition};

    return table->count == 0
               ? NULL
               : bsearch(&wanted, table->rows, table->count, sizeof(*table->rows), compare);
}

/* Looking up. */

static void take_position(struct lag_row *row, const PGresult *rows, int i)
{
    row->committed = strtoll(PQgetvalue(rows, i, OFFSETS_NEXT_OFFSET), NULL, 10);
    snprintf(row->owner, sizeof(row->owner), "%s", PQgetvalue(rows, i, OFFSETS_OWNER));
    snprintf(row->written, sizeof(row->written), "%s", PQgetvalue(rows, i, OFFSETS_UPDATED_AT));
}

/* The server's order of topics depends on its locale: each is looked up. */
static void take_positions(const struct lag_table *table, const PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        int32_t partition = (int32_t)strtol(PQgetvalue(rows, i, OFFSETS_PARTITION), NULL, 10);
        struct lag_row *row = find(table, PQgetvalue(rows, i, OFFSETS_TOPIC), partition);
        if (row)
            take_position(row, rows, i);
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

static bool take_committed(struct lag_row *row, const rd_kafka_topic_partition_t *committed,
                           struct err *err)
{
    if (committed->err)
        return err_set(err, ERR_OUTAGE, "the group's offset of %s[%d] could not be read: %s",
                       row->topic, row->partition, rd_kafka_err2str(committed->err));
    row->committed = committed->offset >= 0 ? committed->offset : -1;
    return true;
}

static bool read_group(const struct lag_sources *sources, const struct lag_table *table,
                       struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(table->partitions);
    rd_kafka_resp_err_t error =
        rd_kafka_committed(sources->client, list, (int)sources->config->connect_timeout_ms);
    bool done = !error || err_set(err, ERR_OUTAGE, "the group's offsets could not be read: %s",
                                  rd_kafka_err2str(error));

    for (size_t i = 0; done && i < table->count; i++)
        done = take_committed(&table->rows[i], &list->elems[i], err);
    rd_kafka_topic_partition_list_destroy(list);
    return done;
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

static bool is_untold(const struct lag_row *row)
{
    return row->tail == TAIL_UNKNOWN && lag_of(row) > 0;
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

static bool read_ends(const struct lag_sources *sources, const struct lag_table *table,
                      struct err *err)
{
    bool done = lookup_offsets(sources->client, table->partitions, RD_KAFKA_OFFSET_SPEC_LATEST,
                               sources->config->connect_timeout_ms, err);

    for (size_t i = 0; done && i < table->count; i++)
        table->rows[i].end = table->partitions->elems[i].offset;
    return done;
}

/* The end of one with a record may move on: the record is still before it. */
static void recall_tails(const struct lag_table *table, const struct lag_table *last)
{
    for (size_t i = 0; i < table->count; i++) {
        struct lag_row *row = &table->rows[i];
        const struct lag_row *before = find(last, row->topic, row->partition);

        if (before && before->from == row->from &&
            (before->tail == TAIL_RECORD || before->end == row->end))
            row->tail = before->tail;
    }
}

static enum lag_tail tail_of(const rd_kafka_topic_partition_t *partition)
{
    if (partition->err == RD_KAFKA_RESP_ERR_NO_ERROR)
        return TAIL_RECORD;
    return partition->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ? TAIL_EMPTY : TAIL_UNKNOWN;
}

static void read_tails(const struct lag_sources *sources, const struct lag_table *table)
{
    rd_kafka_topic_partition_list_t *list = list_rows(table, is_untold);
    int next = 0;

    if (list->cnt > 0) {
        log_debug("reading tails", LOG_INT("partitions", list->cnt));
        tails_read(sources->client, list, TAILS_MS);
    }
    for (size_t i = 0; i < table->count; i++)
        if (is_untold(&table->rows[i]))
            table->rows[i].tail = tail_of(&list->elems[next++]);
    rd_kafka_topic_partition_list_destroy(list);
}

/* Positions come first, so that they are not ahead of the ends. */
static bool read_table(struct lag_sources *sources, struct lag_table *table, struct err *err)
{
    bool exactly_once = sources->config->delivery == CONFIG_EXACTLY_ONCE;
    rd_kafka_topic_partition_list_t *partitions = lookup_partitions(
        sources->client, sources->config, sources->config->connect_timeout_ms, err);

    if (!partitions)
        return false;
    fill(table, partitions);
    if (exactly_once ? !read_postgres(sources, table, err) : !read_group(sources, table, err))
        return false;
    if (!read_starts(sources, table, err) || !read_ends(sources, table, err))
        return false;
    recall_tails(table, &sources->last);
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

    if (!read_table(sources, &table, &err)) {
        empty(&table);
        log_error("lag can't be shown", LOG_STR("class", err_class_name(err.class)), LOG_ERR(&err));
        return boot_exit_code(&err);
    }
    empty(&sources->last);
    sources->last = table;
    return show(&table, options);
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
    empty(&sources.last);
    PQfinish(sources.connection);
    rd_kafka_destroy_flags(sources.client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return code;
}
