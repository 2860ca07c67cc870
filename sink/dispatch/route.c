/*
 *   UNKNOWN --connection--> LOADING --answer--> KNOWN or BROKEN
 *      ^                       |                    |
 *      +---- connection lost --+---- route_forget --+
 */
#include "dispatch/route.h"

#include "base/memory.h"
#include "pg/sqlstate.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

struct route *route_create(const struct config *config, const char *topic)
{
    struct route *route = memory_new(sizeof(*route));

    route->config = config;
    route->topic = memory_strdup(topic);
    route->table_name = mapping_table_name(config, topic);
    return route;
}

void route_destroy(struct route *route)
{
    if (!route)
        return;
    while (route->mapping) {
        struct mapping *former = route->mapping->next;
        mapping_destroy(route->mapping);
        route->mapping = former;
    }
    free(route->topic);
    free(route->table_name);
    free(route);
}

static bool adopt(struct route *route, struct mapping *mapping)
{
    if (!mapping)
        return false;
    bool same = route->mapping && mapping_same(route->mapping, mapping);
    route->changes += !same || strcmp(route->mapping->table_version, route->version) != 0;
    if (same) {
        mapping_destroy(mapping);
    } else {
        mapping->next = route->mapping;
        route->mapping = mapping;
    }
    memcpy(route->mapping->table_version, route->version, sizeof(route->version));
    return true;
}

/* From the catalog's answer to KNOWN or BROKEN. */
static bool take_answer(struct route *route, const PGresult *result, struct err *err)
{
    struct table table = {0};
    bool done = table_parse(&table, route->table_name, result, err);

    if (done)
        done = adopt(route, mapping_compile(route->config, route->topic, &table, err));
    else
        table_finish(&table);
    if (!done)
        err_context(err, "topic %s", route->topic);
    route->state = done ? ROUTE_KNOWN : ROUTE_BROKEN;
    route->err = (struct err){0};
    if (!done)
        route->err = *err;
    return done;
}

static struct route *route_of(struct conn_job *job)
{
    return (struct route *)((char *)job - offsetof(struct route, job));
}

static void on_description(struct conn_job *job, const PGresult *result)
{
    struct route *route = route_of(job);
    struct err err;

    if (PQnfields(result) == 1) {
        snprintf(route->version, sizeof(route->version), "%s", PQgetvalue(result, 0, 0));
        return;
    }
    route->answered = true;
    if (!take_answer(route, result, &err))
        return; /* route->err has it */
}

static void on_loaded(struct conn_job *job, const struct conn_error *error)
{
    struct route *route = route_of(job);

    if (error && error->err.class == ERR_CONFIG) {
        route->state = ROUTE_BROKEN;
        route->err = error->err;
    } else if (error) {
        route->state = ROUTE_UNKNOWN;
        route->err = error->err;
    } else if (!route->answered) {
        route->state = ROUTE_UNKNOWN;
        err_set(&route->err, ERR_INTERNAL, "the catalog gave no answer");
    }
    route->on_loaded(route, route->opaque);
}

void route_load(struct route *route, struct conn *conn, route_loaded_cb on_loaded_cb, void *opaque)
{
    struct buffer sql = {0};

    assert(route->state == ROUTE_UNKNOWN);
    route->on_loaded = on_loaded_cb;
    route->opaque = opaque;
    route->version[0] = '\0';
    if (!table_version_query(&sql, route->table_name, &route->err) ||
        !table_query(&sql, route->table_name, &route->err)) {
        route->state = ROUTE_BROKEN;
        buffer_finish(&sql);
        on_loaded_cb(route, opaque);
        return;
    }
    route->state = ROUTE_LOADING;
    route->answered = false;
    route->job = (struct conn_job){.on_result = on_description, .on_done = on_loaded};
    conn_run(conn, buffer_text(&sql), &route->job);
    buffer_finish(&sql);
}

static bool load_with(struct route *route, PGconn *connection, const char *sql, struct err *err)
{
    PGresult *result = PQexec(connection, sql);
    bool done = PQresultStatus(result) == PGRES_TUPLES_OK;

    if (done) {
        done = take_answer(route, result, err);
    } else {
        const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
        const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        err_set(err, sqlstate_class(sqlstate), "topic %s: table %s: %s", route->topic,
                route->table_name, message ? message : "connection lost");
    }
    PQclear(result);
    return done;
}

bool route_load_now(struct route *route, PGconn *connection, struct err *err)
{
    struct buffer sql = {0};
    bool done = table_query(&sql, route->table_name, err) &&
                load_with(route, connection, buffer_text(&sql), err);

    buffer_finish(&sql);
    return done;
}

void route_forget(struct route *route)
{
    if (route->state != ROUTE_LOADING)
        route->state = ROUTE_UNKNOWN;
}
