/*
 * Hundreds of random histories of two instances, a Kafka and a PostgreSQL, and after each commit
 * the promise: rows and dead letters of a partition are exactly its records below its position,
 * each once. In the end everything is mended, and within minutes all of it has to be written.
 *
 * Both instances are the real dispatch/ and pg/pool.c; the rest is simulated, on one virtual clock.
 * A seed is a history:
 *
 *   SIMULATION_SEED=17 [TEST_LOG=1] unit.dispatch.simulation    this one, with every step and log
 * line SIMULATION_SEEDS=100000 unit.dispatch.simulation            more of them
 */
#include "captured_log.h"
#include "simulated_postgres.h"

#include "dispatch/dispatcher.h"
#include "dispatch/intake.h"
#include "dispatch/letters.h"
#include "dispatch/ownership.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum {
    INSTANCES = 2,
    SEEDS = 600,
    STEPS = 1000,
    CALM_MS = 400000, /* a halted partition is tried again after a minute at the latest */
    DRAIN_MS = 10000,
    PAD_BYTES = 6000,
    PRODUCING_MAX = 4096,
};

/* A partition as an instance's consumer sees it. */
struct seat {
    struct queue *queue; /* NULL: not assigned */
    bool fetched;
    bool place; /* its start was asked for */
    int next;   /* of the log's records */
};

struct instance {
    struct dispatcher dispatcher;
    uv_loop_t loop;
    struct config config;
    struct seat seats[SLOTS];
    bool full;
    bool draining;                          /* it reads no more */
    struct batch *producing[PRODUCING_MAX]; /* their dead letters are on their way to the topic */
    int producing_count;
};

static struct instance instances[INSTANCES];
static int64_t told[SLOTS]; /* the positions that Kafka was told, for at_least_once */
static uint64_t seed;
static int step;
static bool tracing;
static bool fat;   /* records so large that workers encode them */
static bool stops; /* SINK_DEAD_LETTERS=off: a partition halts at a bad record */
static bool both;  /* SINK_DEAD_LETTERS=both: the topic has them before the table */
static bool topic_has[SLOTS][LOG_MAX];

static void failed(const char *what, int slot, int64_t offset)
{
    fail_msg("seed %" PRIu64 " step %d: %s[%d]@%" PRId64 ": %s", seed, step,
             topic_names[slot / PARTITIONS], slot % PARTITIONS, offset, what);
}

static void trace(const char *event, const struct instance *instance, int slot)
{
    if (tracing)
        fprintf(stderr, "%d %" PRId64 " ms: %s instance=%d slot=%d\n", step, virtual_now_ms, event,
                (int)(instance - instances), slot);
}

/* --- Kafka -------------------------------------------------------------------------------------
 */

static enum kind random_kind(void)
{
    int random = chance(100);

    if (random < 4)
        return KIND_UNDECODABLE;
    if (random < 8)
        return KIND_REFUSED;
    if (random < 12)
        return KIND_ORPHAN;
    return random < 30 ? KIND_ROW_OF_LESS : KIND_ROW;
}

/* Compacted and transactional topics have gaps. */
static void make_log(struct log *log)
{
    int64_t offset = chance(3) ? 0 : chance(1000);

    log->count = LOG_MAX / 4 + chance(LOG_MAX * 3 / 4);
    for (int i = 0; i < log->count; i++) {
        log->records[i] = (struct log_record){.offset = offset, .kind = random_kind()};
        offset += chance(5) ? 1 : 1 + chance(20);
    }
}

static struct seat *seat_of(struct instance *instance, const struct queue *queue)
{
    return &instance->seats[slot_of(queue->route->topic, queue->partition)];
}

static void on_place(void *opaque, struct queue *queue)
{
    seat_of(opaque, queue)->place = true;
}

static void on_start(void *opaque, struct queue *queue)
{
    struct seat *seat = seat_of(opaque, queue);
    const struct log *log = &logs[seat - ((struct instance *)opaque)->seats];

    assert_ptr_equal(seat->queue, queue);
    seat->fetched = true;
    for (seat->next = 0; seat->next < log->count; seat->next++)
        if (log->records[seat->next].offset >= queue->read_next)
            break;
}

static void on_stop(void *opaque, struct queue *queue)
{
    struct seat *seat = seat_of(opaque, queue);

    assert_ptr_equal(seat->queue, queue);
    assert_true(seat->fetched);
    seat->fetched = false;
}

static void on_room(void *opaque)
{
    struct instance *instance = opaque;

    assert_true(instance->full);
    instance->full = false;
}

static void on_produce(void *opaque, struct batch *batch)
{
    struct instance *instance = opaque;

    assert_true(instance->producing_count < PRODUCING_MAX);
    instance->producing[instance->producing_count++] = batch;
}

static void on_abandon(void *opaque, struct batch *batch)
{
    struct instance *instance = opaque;
    int at = 0;

    while (instance->producing[at] != batch)
        assert_true(++at < instance->producing_count);
    instance->producing[at] = instance->producing[--instance->producing_count];
}

static void note_in_topic(int slot, int64_t offset)
{
    int at = 0;

    while (logs[slot].records[at].offset != offset)
        at++;
    topic_has[slot][at] = true;
}

/* The topic acknowledges a batch's dead letters; or it has some of them and refuses the others. */
static void answer_producer(struct instance *instance, bool refuses)
{
    struct reason reason;
    uint32_t next = 0;
    struct err err;

    if (instance->producing_count == 0)
        return;
    struct batch *batch = instance->producing[chance(instance->producing_count)];
    on_abandon(instance, batch);
    int slot = slot_of(batch->topic, batch->partition);
    while (reasons_next(&batch->reasons, &next, &reason))
        if (!refuses || chance(2))
            note_in_topic(slot, batch->records[reason.index].offset);
    err_set(&err, ERR_CONFIG, "too large");
    letters_produced(&instance->dispatcher, batch, refuses ? &err : NULL);
}

static struct slice value_of(const struct log_record *record)
{
    static char text[PAD_BYTES + 256];
    int64_t id = record->kind == KIND_REFUSED  ? -1 - record->offset
                 : record->kind == KIND_ORPHAN ? first_orphan + record->offset
                                               : record->offset;
    int pad = fat ? chance(PAD_BYTES) : 0;
    int len = 0;

    switch (record->kind) {
    case KIND_ROW:
        len = snprintf(text, sizeof(text),
                       "{\"id\": %" PRId64 ", \"note\": \"%*s\", \"more\": \"b\"}", id, pad, "");
        break;
    case KIND_ROW_OF_LESS:
    case KIND_REFUSED:
    case KIND_ORPHAN:
        len = snprintf(text, sizeof(text), "{\"id\": %" PRId64 ", \"pad\": \"%*s\"}", id, pad, "");
        break;
    case KIND_UNDECODABLE:
        len = snprintf(text, sizeof(text),
                       record->offset % 2 ? "{\"id\": " : "{\"note\": \"no id\"}");
        break;
    }
    return (struct slice){text, (size_t)len};
}

/* --- Instances ---------------------------------------------------------------------------------
 */

static char own_name[] = "sink";
static char table_name[] = "${topic}";
static char instance_ids[INSTANCES][4] = {"one", "two"};

static struct config random_config(int index)
{
    return (struct config){
        .name = own_name,
        .table = table_name,
        .instance_id = instance_ids[index],
        .batch_size = 1 + chance(12),
        .batch_bytes = 64 << chance(17),
        .batch_timeout_ms = chance(40),
        .pool_min = 1,
        .pool_max = 1 + chance(3),
        .memory_limit_bytes = 64 * 1024 << chance(6),
        .delivery = at_least_once ? CONFIG_AT_LEAST_ONCE : CONFIG_EXACTLY_ONCE,
        .dead_letters = stops  ? CONFIG_DEAD_LETTERS_OFF
                        : both ? CONFIG_DEAD_LETTERS_BOTH
                               : CONFIG_DEAD_LETTERS_TABLE,
    };
}

static void open_instance(struct instance *instance, struct config config)
{
    const struct dispatcher_hooks hooks = {
        .place = on_place,
        .start = on_start,
        .stop = on_stop,
        .room = on_room,
        .opaque = instance,
        .letters = {.produce = on_produce, .abandon = on_abandon, .opaque = instance}};

    *instance = (struct instance){.config = config};
    dispatcher_open(&instance->dispatcher, &instance->loop, &instance->config, &hooks);
}

/* As by SIGKILL, seen from outside: memory is gone, sessions end when the server notices. */
static void close_instance(struct instance *instance)
{
    struct pool *pool = &instance->dispatcher.pool;
    size_t conns_count = (size_t)instance->config.pool_max;

    for (size_t i = 0; i < conns_count; i++)
        simulated_orphan(&pool->conns[i]);
    memset(instance->seats, 0, sizeof(instance->seats));
    dispatcher_close(&instance->dispatcher);
    loop_finish_jobs();
    conns_forget(pool->conns, conns_count);
    dispatcher_finish(&instance->dispatcher);
}

static void check_memory(struct instance *instance)
{
    const struct dispatcher *dispatcher = &instance->dispatcher;
    const struct queue *queue;
    const struct batch *batch;
    size_t count = 0;
    size_t bytes = 0;

    for (int state = 0; state < QUEUE_STATES; state++)
        TAILQ_FOREACH (queue, &dispatcher->queues[state], entry)
            TAILQ_FOREACH (batch, &queue->batches, entry) {
                count++;
                bytes += batch->arena.bytes + batch_overhead_bytes(batch);
            }
    if (jobs_count == 0 &&
        (count != dispatcher->batches_count || bytes != intake_memory_bytes(dispatcher)))
        fail_msg("seed %" PRIu64 " step %d: memory is counted wrong", seed, step);
}

/* A queue's batches follow each other from its position on, and the ready list is right. */
static void check_queue(const struct queue *queue)
{
    const struct batch *batch;
    int64_t at = queue->position;

    TAILQ_FOREACH (batch, &queue->batches, entry) {
        if (batch->queue != queue || batch->records[batch->first].offset < at)
            fail_msg("seed %" PRIu64 " step %d: batches are out of order", seed, step);
        at = batch->records[batch->count - 1].offset + 1;
    }
    if (queue->ready && !queue_is_flushable(queue, virtual_now_ms))
        fail_msg("seed %" PRIu64 " step %d: ready, but not flushable", seed, step);
}

static void check_instance(struct instance *instance)
{
    const struct queue *queue;

    for (int state = 0; state < QUEUE_STATES; state++)
        TAILQ_FOREACH (queue, &instance->dispatcher.queues[state], entry)
            check_queue(queue);
    check_memory(instance);
}

/* What the table has, the topic has had before. */
static void check_topic(void)
{
    for (int slot = 0; slot < SLOTS && both; slot++)
        for (int i = 0; i < logs[slot].count; i++)
            if (database.slots[slot].dead[i] > 0 && !topic_has[slot][i])
                failed("in the table, not in the topic", slot, logs[slot].records[i].offset);
}

/* --- What may happen ---------------------------------------------------------------------------
 */

static void assign(struct instance *instance, int slot)
{
    struct seat *seat = &instance->seats[slot];

    if (seat->queue)
        return;
    trace("assign", instance, slot);
    *seat = (struct seat){0};
    seat->queue =
        ownership_assign(&instance->dispatcher, topic_names[slot / PARTITIONS], slot % PARTITIONS);
}

static void take_away(struct instance *instance, int slot)
{
    struct queue *queue = instance->seats[slot].queue;

    if (!queue)
        return;
    trace("revoke", instance, slot);
    instance->seats[slot] = (struct seat){0};
    ownership_revoke(&instance->dispatcher, queue);
}

static void place(struct instance *instance, int slot)
{
    struct seat *seat = &instance->seats[slot];

    if (!seat->queue || !seat->place)
        return;
    trace("place", instance, slot);
    seat->place = false;
    ownership_place(&instance->dispatcher, seat->queue, told[slot]);
}

/* What Kafka is told now and then; it starts there when there are no positions in PostgreSQL. */
static void tell(struct instance *instance, int slot)
{
    const struct queue *queue = instance->seats[slot].queue;

    if (at_least_once && queue && queue->position > told[slot])
        told[slot] = queue->position;
}

static void read_records(struct instance *instance, int slot, int count)
{
    struct seat *seat = &instance->seats[slot];

    while (count-- > 0 && seat->queue && seat->fetched && !instance->full && !instance->draining &&
           seat->next < logs[slot].count) {
        const struct log_record *at = &logs[slot].records[seat->next++];
        struct record record = {.offset = at->offset, .timestamp_ms = -1, .value = value_of(at)};
        instance->full = !intake_append(&instance->dispatcher, seat->queue, &record);
    }
}

/* Kafka says that the partition can't be read. */
static void halt(struct instance *instance, int slot)
{
    struct seat *seat = &instance->seats[slot];
    struct err err;

    if (!seat->queue || !seat->fetched)
        return;
    trace("halt", instance, slot);
    err_set(&err, ERR_OUTAGE, "CRC");
    ownership_halt(&instance->dispatcher, seat->queue, &err);
}

static void pass_time(void)
{
    static const int spans_ms[] = {1, 5, 20, 60, 60, 60, 200, 200, 500, 500, 3000, 7000, 70000};

    virtual_now_ms += chance(spans_ms[chance(COUNT_OF(spans_ms))]) + 1;
}

static void turn(struct instance *instance)
{
    conns_connect();
    loop_turn(&instance->loop);
}

/* One of the connections that run something, and one of the clients that are gone. */
static void step_server(void)
{
    int left = conns_busy() ? 1 + chance(conns_busy()) : 0;

    for (int i = 0; left > 0; i++)
        if (conn_sql(scripted[i].conn) && --left == 0)
            simulated_step(scripted[i].conn);
    step_orphan();
}

static void stop_server(struct instance *instance)
{
    trace("server is away", instance, 0);
    server_is_up = false;
    simulated_disconnect();
}

static void restart(struct instance *instance)
{
    trace("restart", instance, 0);
    close_instance(instance);
    open_instance(instance, instance->config);
}

static void rare_event(struct instance *instance, int slot)
{
    switch (chance(14)) {
    case 0:
    case 1:
        if (at_least_once)
            return; /* what was told to Kafka is lost */
        trace("rewind", instance, slot);
        simulated_rewind();
        return;
    case 2:
        restart(instance);
        return;
    case 3:
    case 4:
        simulated_alter(!tables.has_more, chance(2), tables.has_check);
        return;
    case 5:
        simulated_alter(tables.has_more, tables.needs_more, !tables.has_check);
        return;
    case 6:
        tables.has_key = chance(4) > 0;
        tables.key_deferred = chance(2);
        tables.no_letters = chance(4) == 0;
        return;
    case 7:
        stop_server(instance);
        return;
    case 8:
    case 9:
        halt(instance, slot);
        return;
    default:
        take_away(instance, slot);
        return;
    }
}

static void random_event(void)
{
    struct instance *instance = &instances[chance(INSTANCES)];
    int slot = chance(SLOTS);
    int random = chance(100);

    tell(instance, chance(SLOTS));
    if (chance(6) == 0)
        answer_producer(instance, chance(30) == 0);
    if (random < 50)
        step_server();
    else if (random < 65)
        turn(instance);
    else if (random < 80)
        read_records(instance, slot, 1 + chance(10));
    else if (random < 84 && jobs_count > 0)
        loop_finish_job(chance(jobs_count));
    else if (random < 87)
        place(instance, slot);
    else if (random < 90)
        assign(instance, slot);
    else if (random < 96)
        pass_time();
    else if (random < 97)
        server_is_up = true;
    else
        rare_event(instance, slot);
}

/* --- A history ---------------------------------------------------------------------------------
 */

static void begin_history(void)
{
    chance_seed(seed);
    virtual_now_ms = 1000;
    server_is_up = true;
    fat = chance(4) == 0;
    at_least_once = chance(5) == 0;
    stops = !at_least_once && chance(4) == 0;
    both = chance(3) == 0;
    memset(topic_has, 0, sizeof(topic_has));
    simulated_failed = failed;
    simulated_start();
    for (int slot = 0; slot < SLOTS; slot++) {
        make_log(&logs[slot]);
        told[slot] = logs[slot].records[0].offset;
    }
    faults.lost = chance(2) ? chance(40) : 0;
    faults.contention = chance(60);
    faults.lock_timeout = chance(300);
    tables.text = chance(2);
    tables.has_more = chance(2);
    tables.has_check = chance(2);
    tables.has_key = chance(2);
    tables.key_deferred = chance(2);
    tables.no_letters = false;
    for (int i = 0; i < INSTANCES; i++)
        open_instance(&instances[i], random_config(i));
}

static void mend_everything(void)
{
    memset(&faults, 0, sizeof(faults));
    server_is_up = true;
    tables.has_check = true;
    tables.has_key = true;
    tables.no_letters = false;
    tables.needs_more = chance(2);
    for (int slot = 0; slot < SLOTS; slot++) {
        int owner = chance(INSTANCES);
        for (int i = 0; i < INSTANCES; i++)
            if (i != owner)
                take_away(&instances[i], slot);
        assign(&instances[owner], slot);
    }
}

static bool is_record_written(int slot, int index)
{
    const struct stored *stored = &database.slots[slot];

    if (at_least_once)
        return stored->rows[index] + stored->dead[index] > 0;
    return stored->exists && logs[slot].records[index].offset < stored->next_offset;
}

/* All of it, or up to the bad record where it has to stop. */
static bool is_written(int slot)
{
    for (int i = 0; i < logs[slot].count; i++)
        if (!is_record_written(slot, i))
            return stops && logs[slot].records[i].kind != KIND_ROW;
    return true;
}

static bool everything_is_written(void)
{
    for (int slot = 0; slot < SLOTS; slot++)
        if (!is_written(slot))
            return false;
    return true;
}

static void calm_turn(void)
{
    for (int i = 0; i < INSTANCES; i++) {
        turn(&instances[i]);
        while (instances[i].producing_count > 0)
            answer_producer(&instances[i], false);
        for (int slot = 0; slot < SLOTS; slot++) {
            place(&instances[i], slot);
            read_records(&instances[i], slot, 20);
        }
    }
    for (int i = 0; i < scripted_count; i++)
        simulated_step(scripted[i].conn);
    for (int i = 0; i < 32; i++)
        step_orphan();
    loop_finish_jobs();
    virtual_now_ms += 20;
}

static void live_calmly(void)
{
    int64_t deadline_ms = virtual_now_ms + CALM_MS;

    mend_everything();
    while (!everything_is_written() && virtual_now_ms < deadline_ms)
        calm_turn();
    for (int slot = 0; slot < SLOTS; slot++)
        if (!is_written(slot))
            failed("everything is mended, and this is not written", slot,
                   database.slots[slot].next_offset);
}

static void drain(struct instance *instance)
{
    int64_t deadline_ms = virtual_now_ms + DRAIN_MS;

    instance->draining = true;
    intake_drain(&instance->dispatcher);
    while (!intake_is_empty(&instance->dispatcher) && virtual_now_ms < deadline_ms)
        calm_turn();
    if (!intake_is_empty(&instance->dispatcher))
        fail_msg("seed %" PRIu64 ": it does not drain", seed);
}

/* What has to happen in some history, as it is logged: else nothing is tried any more. */
static const char *const events[] = {
    "debug claimed topic",
    "debug claimed again",
    "info read again with headers",
    "debug record refused",
    "info PostgreSQL is back",
    "warn PostgreSQL is away",
    "warn claim failed",
    "warn database went back in time",
    "warn dead letters",
    "warn flush failed",
    "warn frozen owner ended",
    "warn overtaken by another owner",
    "error partition halted",
    "debug dead letters to their topic",
    "warn table takes no rows",
    "debug partition waits for its table",
};
static int histories_with[COUNT_OF(events)];

static void note_events(void)
{
    for (size_t i = 0; i < COUNT_OF(events); i++)
        histories_with[i] += log_said(events[i]) > 0;
    log_forget();
}

static void run_history(void)
{
    begin_history();
    for (step = 0; step < STEPS; step++) {
        random_event();
        check_instance(&instances[0]);
        check_instance(&instances[1]);
        check_topic();
    }
    note_events();
    live_calmly();
    for (int i = 0; i < INSTANCES; i++)
        drain(&instances[i]);
    for (int i = 0; i < INSTANCES; i++)
        close_instance(&instances[i]);
}

static uint64_t number_of(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Also when an assertion or a sanitizer ends the program. */
static void say_seed(void)
{
    fprintf(stderr, "seed %" PRIu64 " step %d\n", seed, step);
}

static void on_abort(int number)
{
    (void)number;
    say_seed();
}

extern void __sanitizer_set_death_callback(void (*callback)(void)) __attribute__((weak));

static void every_record_is_written_exactly_once(void **state)
{
    bool replay = getenv("SIMULATION_SEED") != NULL;
    uint64_t first = number_of("SIMULATION_SEED", 1);
    uint64_t count = replay ? 1 : number_of("SIMULATION_SEEDS", SEEDS);

    (void)state;
    tracing = replay;
    signal(SIGABRT, on_abort);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(say_seed);
    for (seed = first; seed < first + count; seed++)
        run_history();
    for (size_t i = 0; count >= SEEDS && i < COUNT_OF(events); i++)
        if (histories_with[i] == 0)
            fail_msg("in no history: %s", events[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_record_is_written_exactly_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
