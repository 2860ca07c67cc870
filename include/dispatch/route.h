/*
 * Where one topic goes: its table, as it is described now, and every mapping that batches still
 * use. Thread: loop.
 */
#ifndef DISPATCH_ROUTE_H
#define DISPATCH_ROUTE_H

#include "config.h"
#include "decode/mapping.h"
#include "dispatch/counters.h"
#include "pg/conn.h"
#include "pg/offsets.h"

enum route_state {
    ROUTE_UNKNOWN, /* waits for a connection, to read the table's description */
    ROUTE_LOADING, /* waits for the description */
    ROUTE_KNOWN,   /* has a mapping */
    ROUTE_BROKEN,  /* no mapping can be made: err says why */
};

struct route;
typedef void (*route_loaded_cb)(struct route *route, void *opaque);

struct route {
    TAILQ_ENTRY(route) entry;
    enum route_state state;
    char *topic;
    char *table_name;
    struct mapping *mapping; /* the newest; its former versions hang on its `next` */
    struct err err;          /* of ROUTE_BROKEN, and of the last load that failed */
    unsigned attempts;       /* loads that failed in a row */
    int64_t retry_at_ms;     /* no load before */
    bool identified;       /* topic_id is that of the topic that is there now, as far as we know */
    int64_t identified_ms; /* when it last was */
    char topic_id[OFFSETS_TOPIC_ID_BYTES + 1];  /* Kafka's; "": not known, or there are none */
    char former_id[OFFSETS_TOPIC_ID_BYTES + 1]; /* of the topic that it has replaced */
    bool stuck; /* its table has taken no rows for a while: dispatch/fairness.c */
    struct counters_route counters;
    int64_t partitions_count; /* of the topic; 0: not known */
    unsigned changes;         /* loads that brought another mapping or table version than before */

    /* private: */
    const struct config *config;
    struct conn_job job;
    route_loaded_cb on_loaded;
    void *opaque;
    bool answered;
    char version[TABLE_VERSION_BYTES + 1];
};

TAILQ_HEAD(route_list, route);

struct route *route_create(const struct config *config, const char *topic);
void route_destroy(struct route *route);

/* ROUTE_UNKNOWN -> ROUTE_LOADING on an idle connection. on_loaded: it is KNOWN, BROKEN, or again
 * UNKNOWN because the connection was lost. */
void route_load(struct route *route, struct conn *conn, route_loaded_cb on_loaded, void *opaque);

/* The same on a blocking connection, before the loop. */
bool route_load_now(struct route *route, PGconn *connection, struct err *err) MUST_CHECK;

/* Its description may be old: ROUTE_UNKNOWN, unless a load is under way. */
void route_forget(struct route *route);

#endif
