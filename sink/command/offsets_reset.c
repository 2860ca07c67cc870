/*
 *   topic's partitions and id -> offsets -> the sink does not run -> shown -> set
 *
 * The check for running instances is a courtesy: an instance without a session at this moment is
 * not seen. What makes it safe is the epoch: whatever such an instance still holds is refused, and
 * it claims the positions anew, as they are then.
 */
#include "base/memory.h"
#include "base/printable.h"
#include "command/boot.h"
#include "command/offsets.h"
#include "command/output.h"
#include "kafka/client.h"
#include "kafka/lookup.h"
#include "pg/datetime.h"
#include "pg/offsets_table.h"
#include "pg/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum wanted {
    WANTED_SPEC,   /* earliest, latest */
    WANTED_OFFSET, /* one for all */
    WANTED_TIME,
};

struct reset {
    const struct config *config;
    const struct offsets_options *options;
    enum wanted wanted;
    int64_t number; /* the specification, the offset, or milliseconds since 1970 */
    struct lookup_topic topic;
    struct offsets_target *targets;
    size_t targets_count;
};

/* --- What is wanted -----------------------------------------------------------------------------
 */

static bool is_number(const char *text)
{
    return *text && text[strspn(text, "0123456789")] == '\0';
}

static bool parse_time(struct reset *reset, const char *text)
{
    static const int64_t POSTGRES_EPOCH_MS = INT64_C(946684800000); /* 2000 since 1970 */
    struct err unused;
    int64_t us;

    if (!datetime_parse_timestamptz(slice_of(text), &us, &unused) || us == INT64_MAX ||
        us == INT64_MIN)
        return false;
    reset->wanted = WANTED_TIME;
    reset->number = us / 1000 + POSTGRES_EPOCH_MS;
    return reset->number >= 0;
}

static bool parse_to(struct reset *reset, const char *text)
{
    reset->wanted = WANTED_SPEC;
    reset->number = RD_KAFKA_OFFSET_SPEC_EARLIEST;
    if (strcmp(text, "earliest") == 0)
        return true;
    reset->number = RD_KAFKA_OFFSET_SPEC_LATEST;
    if (strcmp(text, "latest") == 0)
        return true;
    if (!is_number(text))
        return parse_time(reset, text);
    reset->wanted = WANTED_OFFSET;
    reset->number = strtoll(text, NULL, 10);
    return reset->number < INT64_MAX;
}

static bool parse_options(struct reset *reset)
{
    const struct offsets_options *options = reset->options;

    if (!options->topic || !options->to) {
        fprintf(stderr, "pgsluice: offsets reset needs --topic and --to\n"
                        "See pgsluice offsets reset --help.\n");
        return false;
    }
    if (parse_to(reset, options->to))
        return true;
    fprintf(stderr, "pgsluice: --to can be earliest, latest, an offset, or a time such as "
                    "2026-11-20T08:00:00Z\nSee pgsluice offsets reset --help.\n");
    return false;
}

/* --- Where that is ------------------------------------------------------------------------------
 */

static bool choose_partition(struct reset *reset, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = reset->topic.partitions;
    int64_t wanted = reset->options->partition;
    int count = list->cnt;

    for (int i = list->cnt - 1; wanted >= 0 && i >= 0; i--)
        if (list->elems[i].partition != wanted)
            rd_kafka_topic_partition_list_del_by_idx(list, i);
    return list->cnt > 0 ||
           err_set(err, ERR_CONFIG, "topic %s has the partitions 0 to %d, not %lld",
                   reset->options->topic, count - 1, (long long)wanted);
}

static bool find_one(struct reset *reset, const rd_kafka_topic_partition_t *start,
                     const rd_kafka_topic_partition_t *end, struct err *err)
{
    int64_t at = reset->number;

    if (at < start->offset || at > end->offset)
        return err_set(err, ERR_CONFIG,
                       "%s[%d] holds the offsets %lld to before %lld: %lld is none of them",
                       start->topic, start->partition, (long long)start->offset,
                       (long long)end->offset, (long long)at);
    reset->targets[reset->targets_count++] =
        (struct offsets_target){.partition = start->partition, .next_offset = at};
    return true;
}

/* An offset has to be in each log. */
static bool find_offset(struct reset *reset, rd_kafka_t *client, struct err *err)
{
    rd_kafka_topic_partition_list_t *starts = reset->topic.partitions;
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_copy(starts);
    int64_t timeout_ms = reset->config->connect_timeout_ms;
    bool done = lookup_offsets(client, starts, RD_KAFKA_OFFSET_SPEC_EARLIEST, timeout_ms, err) &&
                lookup_offsets(client, ends, RD_KAFKA_OFFSET_SPEC_LATEST, timeout_ms, err);

    for (int i = 0; done && i < starts->cnt; i++)
        done = find_one(reset, &starts->elems[i], &ends->elems[i], err);
    rd_kafka_topic_partition_list_destroy(ends);
    return done;
}

/* A time after the last record is the end. */
static bool find_spec(struct reset *reset, rd_kafka_t *client, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = reset->topic.partitions;
    rd_kafka_topic_partition_list_t *ends = rd_kafka_topic_partition_list_copy(list);
    int64_t timeout_ms = reset->config->connect_timeout_ms;
    bool done = lookup_offsets(client, list, reset->number, timeout_ms, err) &&
                lookup_offsets(client, ends, RD_KAFKA_OFFSET_SPEC_LATEST, timeout_ms, err);

    for (int i = 0; done && i < list->cnt; i++) {
        int64_t at = list->elems[i].offset;
        reset->targets[reset->targets_count++] = (struct offsets_target){
            .partition = list->elems[i].partition,
            .next_offset = at >= 0 ? at : ends->elems[i].offset,
        };
    }
    rd_kafka_topic_partition_list_destroy(ends);
    return done;
}

static bool find_targets(struct reset *reset, rd_kafka_t *client, struct err *err)
{
    if (!lookup_topic(client, reset->options->topic, &reset->topic,
                      reset->config->connect_timeout_ms, err) ||
        !choose_partition(reset, err))
        return false;
    reset->targets =
        memory_new_array((size_t)reset->topic.partitions->cnt, sizeof(*reset->targets));
    return reset->wanted == WANTED_OFFSET ? find_offset(reset, client, err)
                                          : find_spec(reset, client, err);
}

/* --- What becomes of it -------------------------------------------------------------------------
 */

static bool is_idle(const struct reset *reset, PGconn *connection, struct err *err)
{
    PGresult *sessions = offsets_table_sessions(connection, reset->config->name, err);
    bool idle = sessions && PQntuples(sessions) == 0;

    if (sessions && !idle)
        err_set(err, ERR_CONTENTION,
                "sink %s runs: %d sessions, such as %s; stop its instances before its positions "
                "are set",
                reset->config->name, PQntuples(sessions), PQgetvalue(sessions, 0, 0));
    PQclear(sessions);
    return idle;
}

static const char *position_of(const PGresult *rows, int32_t partition)
{
    for (int row = 0; row < PQntuples(rows); row++)
        if (strtol(PQgetvalue(rows, row, OFFSETS_PARTITION), NULL, 10) == partition)
            return PQgetvalue(rows, row, OFFSETS_NEXT_OFFSET);
    return "none";
}

static int show(const struct reset *reset, const PGresult *rows)
{
    struct buffer out = {0};
    char *topic = memory_strdup(reset->options->topic);

    printable_make(topic);
    for (size_t i = 0; i < reset->targets_count; i++)
        buffer_printf(&out, "%s[%" PRId32 "]  %s -> %" PRId64 "\n", topic,
                      reset->targets[i].partition, position_of(rows, reset->targets[i].partition),
                      reset->targets[i].next_offset);
    if (!reset->options->yes)
        buffer_append_text(&out, "Nothing was changed: --yes does it.\n");
    int code = output_write(&out);
    free(topic);
    buffer_finish(&out);
    return code;
}

static bool write_targets(const struct reset *reset, PGconn *connection, struct err *err)
{
    const struct offsets_targets targets = {
        .sink = reset->config->name,
        .topic = reset->options->topic,
        .topic_id = reset->topic.id,
        .items = reset->targets,
        .count = reset->targets_count,
    };

    return offsets_table_set(connection, &targets, err);
}

static int set(const struct reset *reset, PGconn *connection, struct err *err)
{
    PGresult *rows = NULL;
    int code = EXIT_DONE;

    if (!reset->options->yes || is_idle(reset, connection, err))
        rows = offsets_table_read(connection, reset->config->name, reset->options->topic, -1, err);
    if (rows && (!reset->options->yes || write_targets(reset, connection, err)))
        code = show(reset, rows);
    PQclear(rows);
    return code;
}

static int run_reset(struct reset *reset, rd_kafka_t *client, struct err *err)
{
    PGconn *connection = NULL;
    int code = EXIT_DONE;

    if (find_targets(reset, client, err))
        connection = session_connect(reset->config, reset->config->connect_timeout_ms, err);
    if (connection)
        code = set(reset, connection, err);
    PQfinish(connection);
    lookup_topic_finish(&reset->topic);
    free(reset->targets);
    return code;
}

static int fail(const struct err *err)
{
    log_error("positions can't be set", LOG_STR("class", err_class_name(err->class)), LOG_ERR(err));
    return boot_exit_code(err);
}

int command_offsets_reset(const struct config *config, const void *offsets_options)
{
    const struct offsets_options *options = offsets_options;
    struct reset reset = {.config = config, .options = options};
    struct err err = {0};

    if (!parse_options(&reset))
        return EXIT_USAGE;
    if (config->delivery == CONFIG_AT_LEAST_ONCE) {
        err_set(&err, ERR_CONFIG,
                "with SINK_DELIVERY=at_least_once positions are the group's offsets in Kafka: set "
                "them with kafka-consumer-groups --reset-offsets");
        return fail(&err);
    }
    rd_kafka_t *client = client_create(config, &err);
    if (!client)
        return fail(&err);
    int code = run_reset(&reset, client, &err);
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return err.class == ERR_NONE ? code : fail(&err);
}
