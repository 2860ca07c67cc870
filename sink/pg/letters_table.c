/*
 * Values travel as parameters. A replay takes letters out in the order of their offsets and locks
 * them in that order, so that two replays wait for each other instead of deadlocking.
 */
#include "pg/letters_table.h"

#include "pg/conn_error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define FITS                                                                                   \
    " WHERE sink = $1 AND topic = coalesce($2, topic) AND partition = coalesce($3, partition)" \
    " AND ($4::text IS NULL OR sqlstate = $4)"

enum { FILTER_PARAMETERS = 4, PARAMETERS_MAX = 8, NUMBER_BYTES = 24 };

struct parameters {
    const char *values[PARAMETERS_MAX];
    char numbers[PARAMETERS_MAX][NUMBER_BYTES];
    int count;
};

static void add_text(struct parameters *parameters, const char *text)
{
    parameters->values[parameters->count++] = text;
}

static void add_number(struct parameters *parameters, int64_t number)
{
    char *text = parameters->numbers[parameters->count];

    snprintf(text, NUMBER_BYTES, "%" PRId64, number);
    add_text(parameters, text);
}

static void add_filter(struct parameters *parameters, const struct letters_filter *filter)
{
    add_text(parameters, filter->sink);
    add_text(parameters, filter->topic);
    if (filter->partition >= 0)
        add_number(parameters, filter->partition);
    else
        add_text(parameters, NULL);
    add_text(parameters, filter->sqlstate);
}

static PGresult *execute(PGconn *connection, const char *sql, const struct parameters *parameters,
                         struct err *err)
{
    PGresult *result =
        PQexecParams(connection, sql, parameters->count, NULL, parameters->values, NULL, NULL, 0);

    return conn_error_check(result, err);
}

static bool run(PGconn *connection, const char *sql, const struct parameters *parameters,
                struct err *err)
{
    PGresult *result = execute(connection, sql, parameters, err);

    PQclear(result);
    return result != NULL;
}

bool letters_table_run(PGconn *connection, const char *sql, struct err *err)
{
    PGresult *result = conn_error_check(PQexec(connection, sql), err);

    PQclear(result);
    return result != NULL;
}

/* Listing. */

bool letters_table_query(PGconn *connection, const struct letters_filter *filter, int64_t limit,
                         bool payload, struct err *err)
{
    struct parameters parameters = {0};
    static const char sql[] =
        "SELECT id, topic, partition, record_offset, record_time, reason, sqlstate, target_table,"
        " target_column, instance, created_at, CASE WHEN $6 THEN key END,"
        " CASE WHEN $6 THEN value END, CASE WHEN $6 THEN headers END"
        " FROM pgsluice.dead_letters" FITS " ORDER BY topic, partition, record_offset, id LIMIT $5";

    add_filter(&parameters, filter);
    add_number(&parameters, limit);
    add_text(&parameters, payload ? "true" : "false");
    if (PQsendQueryParams(connection, sql, parameters.count, NULL, parameters.values, NULL, NULL,
                          0) == 1 &&
        PQsetSingleRowMode(connection) == 1)
        return true;
    return err_set(err, ERR_OUTAGE, "connection lost");
}

bool letters_table_fetch(PGconn *connection, PGresult **row, struct err *err)
{
    *err = (struct err){0};
    while ((*row = PQgetResult(connection))) {
        if (!conn_error_check(*row, err))
            return false;
        if (PQntuples(*row) == 1)
            return true;
        PQclear(*row); /* the end of the rows */
    }
    return false;
}

/* Replaying. */

PGresult *letters_table_partitions(PGconn *connection, const struct letters_filter *filter,
                                   struct err *err)
{
    struct parameters parameters = {0};

    add_filter(&parameters, filter);
    return execute(connection,
                   "SELECT topic, partition, count(*) FROM pgsluice.dead_letters" FITS
                   " GROUP BY topic, partition ORDER BY topic, partition",
                   &parameters, err);
}

PGresult *letters_table_behind(PGconn *connection, const struct letters_filter *filter,
                               const struct letters_place *place, int64_t limit, struct err *err)
{
    struct parameters parameters = {0};

    add_filter(&parameters, filter);
    add_number(&parameters, place->offset);
    add_number(&parameters, place->id);
    add_number(&parameters, limit);
    return execute(connection,
                   "SELECT id, record_offset,"
                   " coalesce(octet_length(key), 0) + coalesce(octet_length(value), 0)"
                   " FROM pgsluice.dead_letters" FITS
                   " AND (record_offset, id) > ($5, $6) ORDER BY record_offset, id LIMIT $7",
                   &parameters, err);
}

PGresult *letters_table_take(PGconn *connection, const char *ids, struct err *err)
{
    struct parameters parameters = {0};
    struct buffer array = {0};

    buffer_printf(&array, "{%s}", ids);
    add_text(&parameters, buffer_text(&array));
    PGresult *result =
        execute(connection,
                "SELECT id, record_offset, (extract(epoch FROM record_time) * 1000)::bigint,"
                " key, value, headers FROM pgsluice.dead_letters WHERE id = ANY ($1::bigint[])"
                " ORDER BY record_offset, id FOR UPDATE",
                &parameters, err);
    buffer_finish(&array);
    return result;
}

bool letters_table_delete(PGconn *connection, const char *ids, struct err *err)
{
    struct parameters parameters = {0};
    struct buffer array = {0};

    buffer_printf(&array, "{%s}", ids);
    add_text(&parameters, buffer_text(&array));
    bool done = run(connection, "DELETE FROM pgsluice.dead_letters WHERE id = ANY ($1::bigint[])",
                    &parameters, err);
    buffer_finish(&array);
    return done;
}

static const char *text_or_null(const char *text)
{
    return text[0] ? text : NULL;
}

bool letters_table_refuse(PGconn *connection, const struct letters_refusal *refusal,
                          struct err *err)
{
    struct parameters parameters = {0};

    add_text(&parameters, refusal->id);
    add_text(&parameters, refusal->reason->text);
    add_text(&parameters, text_or_null(refusal->reason->sqlstate));
    add_text(&parameters, refusal->table);
    add_text(&parameters, text_or_null(refusal->reason->column));
    add_text(&parameters, refusal->instance);
    return run(connection,
               "UPDATE pgsluice.dead_letters SET reason = $2, sqlstate = $3, target_table = $4,"
               " target_column = $5, instance = $6 WHERE id = $1",
               &parameters, err);
}
