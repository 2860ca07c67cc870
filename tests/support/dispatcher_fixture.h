/*
 * A dispatcher with a scripted PostgreSQL on one side and hooks that take notes on the other; the
 * topic "orders" goes to the table orders (id bigint NOT NULL, note text DEFAULT ...).
 */
#ifndef DISPATCHER_FIXTURE_H
#define DISPATCHER_FIXTURE_H

#include "captured_log.h"
#include "catalog_answer.h"
#include "scripted_conn.h"
#include "virtual_loop.h"

#include "dispatch/dispatcher.h"
#include "dispatch/intake.h"
#include "dispatch/ownership.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct dispatcher dispatcher;
static uv_loop_t loop;
static struct config config;

/* What the hooks were asked for, most recently and how often. */
static struct {
    struct queue *placed;
    struct queue *started;
    struct queue *stopped;
    struct batch *produced;
    struct batch *abandoned;
    int places;
    int starts;
    int stops;
    int rooms;
    int produces;
    int abandons;
} asked;

static char fixture_name[] = "sink";
static char fixture_table[] = "${topic}";
static char fixture_instance[] = "one";

static const struct catalog_column orders_columns[] = {
    {.name = "id", .oid = OID_INT8, .not_null = true},
    {.name = "note", .oid = OID_TEXT, .has_default = true},
};

static inline void note_place(void *opaque, struct queue *queue)
{
    (void)opaque;
    asked.placed = queue;
    asked.places++;
}

static inline void note_start(void *opaque, struct queue *queue)
{
    (void)opaque;
    asked.started = queue;
    asked.starts++;
}

static inline void note_stop(void *opaque, struct queue *queue)
{
    (void)opaque;
    asked.stopped = queue;
    asked.stops++;
}

static inline void note_produce(void *opaque, struct batch *batch)
{
    (void)opaque;
    asked.produced = batch;
    asked.produces++;
}

static inline void note_abandon(void *opaque, struct batch *batch)
{
    (void)opaque;
    asked.abandoned = batch;
    asked.abandons++;
}

static inline void note_room(void *opaque)
{
    (void)opaque;
    asked.rooms++;
}

/* Until nothing more is asked of PostgreSQL. */
static inline void turns(void)
{
    for (int i = 0; i < 3; i++) {
        conns_connect();
        loop_turn(&loop);
    }
}

static inline void pass_ms(int64_t ms)
{
    virtual_now_ms += ms;
    turns();
}

static inline void open_dispatcher(const struct config *with)
{
    const struct dispatcher_hooks hooks = {
        .place = note_place,
        .start = note_start,
        .stop = note_stop,
        .room = note_room,
        .letters = {.produce = note_produce, .abandon = note_abandon},
    };

    config = *with;
    memset(&asked, 0, sizeof(asked));
    log_forget();
    server_is_up = true;
    dispatcher_open(&dispatcher, &loop, &config, &hooks);
    turns();
}

static inline struct config usual_config(void)
{
    return (struct config){
        .name = fixture_name,
        .table = fixture_table,
        .instance_id = fixture_instance,
        .batch_size = 2,
        .batch_bytes = 1024 * 1024,
        .batch_timeout_ms = 20,
        .pool_min = 1,
        .pool_max = 2,
        .memory_limit_bytes = 16 * 1024 * 1024,
    };
}

static inline int begin(void **state)
{
    const struct config usual = usual_config();

    (void)state;
    open_dispatcher(&usual);
    return 0;
}

static inline int end(void **state)
{
    (void)state;
    dispatcher_close(&dispatcher);
    loop_finish_jobs();
    conns_forget(dispatcher.pool.conns, (size_t)config.pool_max);
    dispatcher_finish(&dispatcher);
    return 0;
}

#define DISPATCHER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

/* --- PostgreSQL's answers ----------------------------------------------------------------------
 */

static inline struct conn *await(const char *sql)
{
    turns();
    struct conn *conn = conn_running(sql);
    if (!conn)
        fail_msg("nothing runs %s", sql);
    return conn;
}

static inline struct conn *await_catalog(void)
{
    return await("relkind");
}

static inline struct conn *await_claim(void)
{
    return await("SET LOCAL lock_timeout");
}

static inline struct conn *await_flush(void)
{
    return await("pgsluice.advance(");
}

static inline void assert_no_flush(void)
{
    turns();
    assert_null(conn_running("pgsluice.advance("));
}

static inline void answer_catalog_with(const struct catalog_column *columns, int count)
{
    struct conn *conn = await_catalog();

    conn_give(conn, catalog_result("orders", columns, count));
    conn_succeed(conn);
}

static inline void answer_catalog(void)
{
    answer_catalog_with(orders_columns, COUNT_OF(orders_columns));
}

static const char *stored_topic_id = ""; /* what a claim finds with the position */

static inline void give_position(struct conn *conn, int64_t next_offset, int64_t epoch)
{
    char position[24];
    char epoch_text[24];

    snprintf(position, sizeof(position), "%" PRId64, next_offset);
    snprintf(epoch_text, sizeof(epoch_text), "%" PRId64, epoch);
    conn_give_rows(conn, (const char *const[]){position, epoch_text, stored_topic_id, "-1"}, 1, 4);
    conn_succeed(conn);
}

static inline void answer_claim(int64_t next_offset, int64_t epoch)
{
    give_position(await_claim(), next_offset, epoch);
}

static inline void answer_claim_without_row(void)
{
    struct conn *conn = await_claim();

    conn_give_rows(conn, (const char *const[]){NULL}, 0, 4);
    conn_succeed(conn);
}

/* advance() of a flush has worked. */
static inline void give_advanced(struct conn *conn)
{
    conn_give_rows(conn, (const char *const[]){""}, 1, 1);
}

/* The data of its next COPY; borrowed until the next call. */
static inline struct slice take_copy(struct conn *conn)
{
    static struct buffer data;

    buffer_reset(&data);
    conn_take_copy(conn, &data);
    return (struct slice){data.data, data.len};
}

/* The whole flush, with that many COPYs. */
static inline void commit_flush(struct conn *conn, int copies)
{
    give_advanced(conn);
    while (copies-- > 0) {
        take_copy(conn);
        conn_give_copied(conn, 0);
    }
    conn_succeed(conn);
}

/* --- The way there ------------------------------------------------------------------------------
 */

/* A partition that has claimed its position. */
static inline struct queue *open_at(int32_t partition, int64_t position)
{
    struct queue *queue = ownership_assign(&dispatcher, "orders", partition);

    turns();
    if (conn_running("relkind"))
        answer_catalog();
    answer_claim(position, 1);
    assert_int_equal(queue->state, QUEUE_OPEN);
    return queue;
}

static inline bool append_value(struct queue *queue, int64_t offset, const char *value)
{
    return intake_append(&dispatcher, queue,
                         &(struct record){.offset = offset, .value = slice_of(value)});
}

/* A record that is a row. */
static inline bool append(struct queue *queue, int64_t offset)
{
    char value[64];

    snprintf(value, sizeof(value), "{\"id\": %" PRId64 ", \"note\": \"x\"}", offset);
    return append_value(queue, offset, value);
}

/* So large that a worker encodes its batch. */
static inline bool append_large(struct queue *queue, int64_t offset)
{
    static char value[20 * 1024];

    snprintf(value, sizeof(value), "{\"id\": %" PRId64 ", \"note\": \"%*s\"}", offset, 18 * 1024,
             "");
    return append_value(queue, offset, value);
}

static inline void append_range(struct queue *queue, int64_t first, int64_t last)
{
    for (int64_t offset = first; offset <= last; offset++)
        append(queue, offset);
}

#endif
