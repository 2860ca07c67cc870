/*
 * The race of two replicas that start for the first time together:
 * 1. A reads the ends: 100. B reads them: 120. A makes the rows, joins the group, writes 100..119.
 * 2. B would make them again. Its statement finds A's rows, or waits for them, and changes nothing.
 */
#include "command/first_start.h"

#include "base/memory.h"
#include "command/boot.h"
#include "kafka/lookup.h"
#include "pg/conn_error.h"
#include "pg/offsets.h"
#include "pg/offsets_table.h"
#include "pg/session.h"

#include <stdlib.h>
#include <string.h>

static PGresult *known_topics(const struct config *config, PGconn *connection, struct err *err)
{
    struct buffer sql = {0};

    offsets_topics_sql(&sql, config->name);
    PGresult *result = conn_error_check(PQexec(connection, buffer_text(&sql)), err);
    buffer_finish(&sql);
    return result;
}

static bool is_known(const PGresult *known, const char *topic)
{
    for (int row = 0; row < PQntuples(known); row++)
        if (strcmp(PQgetvalue(known, row, 0), topic) == 0)
            return true;
    return false;
}

static void leave_out_known(rd_kafka_topic_partition_list_t *partitions, const PGresult *known)
{
    for (int i = partitions->cnt - 1; i >= 0; i--)
        if (is_known(known, partitions->elems[i].topic))
            rd_kafka_topic_partition_list_del_by_idx(partitions, i);
}

static bool insert(const struct config *config, PGconn *connection,
                   const rd_kafka_topic_partition_list_t *partitions, const struct lookup_id *ids,
                   struct err *err)
{
    struct offsets_start *starts = memory_new((size_t)partitions->cnt * sizeof(*starts));
    struct buffer sql = {0};

    for (int i = 0; i < partitions->cnt; i++)
        starts[i] = (struct offsets_start){.topic = partitions->elems[i].topic,
                                           .topic_id = ids[i].text,
                                           .partition = partitions->elems[i].partition,
                                           .next_offset = partitions->elems[i].offset};
    offsets_start_sql(&sql, config->name, config->instance_id, starts, (size_t)partitions->cnt);
    PGresult *result = conn_error_check(PQexec(connection, buffer_text(&sql)), err);
    if (result)
        log_info("first start at the ends of the logs", LOG_INT("partitions", partitions->cnt));
    PQclear(result);
    buffer_finish(&sql);
    free(starts);
    return result != NULL;
}

/* The ids first: of a topic that is made anew meanwhile, the claims then find another one. */
static bool start_all(const struct config *config, rd_kafka_t *client, PGconn *connection,
                      rd_kafka_topic_partition_list_t *partitions, struct err *err)
{
    int64_t timeout_ms = config->connect_timeout_ms;
    struct lookup_id *ids = lookup_ids(client, partitions, timeout_ms, err);
    bool done = ids &&
                lookup_offsets(client, partitions, RD_KAFKA_OFFSET_SPEC_LATEST, timeout_ms, err) &&
                insert(config, connection, partitions, ids, err);

    free(ids);
    return done;
}

static bool start_unknown(const struct config *config, rd_kafka_t *client, PGconn *connection,
                          const PGresult *known, struct err *err)
{
    if (config->topics[0] == '^' && PQntuples(known) > 0)
        return true;
    rd_kafka_topic_partition_list_t *partitions =
        lookup_partitions(client, config, config->connect_timeout_ms, err);
    if (!partitions)
        return false;
    leave_out_known(partitions, known);
    bool done = partitions->cnt == 0 || start_all(config, client, connection, partitions, err);
    rd_kafka_topic_partition_list_destroy(partitions);
    return done;
}

static bool start_with(const struct config *config, rd_kafka_t *client, struct err *err)
{
    PGconn *connection = session_connect(config, config->connect_timeout_ms, err);

    if (!connection)
        return false;
    PGresult *known = known_topics(config, connection, err);
    bool done = known && start_unknown(config, client, connection, known, err);
    PQclear(known);
    PQfinish(connection);
    return done;
}

int first_start(const struct config *config, rd_kafka_t *client)
{
    struct err err = {0};

    if (config->start != CONFIG_START_LATEST || config->delivery != CONFIG_EXACTLY_ONCE ||
        start_with(config, client, &err))
        return EXIT_DONE;
    log_error("the first start's positions can't be kept",
              LOG_STR("class", err_class_name(err.class)), LOG_ERR(&err));
    return boot_exit_code(&err);
}
