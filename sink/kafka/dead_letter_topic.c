/*
 * A job for each batch, first come first served:
 *
 *   produce --> (pending bytes allow it) --> librdkafka --> acknowledged, each --> letters_produced
 *      |                                         |                                       ^
 *      +-- librdkafka refuses it ----------------+-- Kafka refuses it -- with the reason +
 *
 * librdkafka tries again by itself whatever may pass, for ever (message.timeout.ms=0), and knows by
 * its sequence numbers what Kafka already has: here an error is one that somebody has to mend. What
 * comes twice comes from reading a batch twice: after a crash, a halt, or with another owner.
 *
 * A job whose batch was dropped lives until librdkafka has answered for each of its messages, which
 * carry it.
 */
#include "kafka/dead_letter_topic.h"

#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/letters.h"
#include "kafka/headers.h"
#include "ops/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* librdkafka holds copies: so many bytes are on their way at once, and at least one record. */
enum { PENDING_BYTES_MAX = 4 * 1024 * 1024, LATE_MS = 2000, LATE_AGAIN_MS = 30000 };

struct letters_job {
    TAILQ_ENTRY(letters_job) entry;
    struct batch *batch; /* borrowed; NULL: abandoned */
    int64_t late_ms;     /* from when on it takes too long */
    struct reason reason;
    uint32_t next; /* of the batch's reasons */
    bool all_produced;
    bool has_reason; /* the record that it speaks of is not produced yet */
    size_t pending_count;
    struct err err; /* the first one; ERR_NONE: none */
};

/* Headers. */

static void add_header(rd_kafka_headers_t *headers, const char *name, const char *value)
{
    if (*value)
        rd_kafka_header_add(headers, name, -1, value, -1);
}

static void add_number(rd_kafka_headers_t *headers, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    add_header(headers, name, text);
}

/* What is known of a column or from PostgreSQL was about a row; the rest about the value itself. */
static const char *stage_of(const struct reason *reason)
{
    return reason->sqlstate[0] || reason->column[0] ? "TASK_PUT" : "VALUE_CONVERTER";
}

/* Kafka Connect's own names, numbers as text like there (DeadLetterQueueReporter.java). */
static rd_kafka_headers_t *headers_of(const struct dead_letter_topic *topic,
                                      const struct batch *batch, const struct reason *reason)
{
    const struct record *record = &batch->records[reason->index];
    rd_kafka_headers_t *headers = headers_parse(record->headers);

    add_header(headers, "__connect.errors.topic", batch->topic);
    add_number(headers, "__connect.errors.partition", batch->partition);
    add_number(headers, "__connect.errors.offset", record->offset);
    add_header(headers, "__connect.errors.connector.name", topic->config->name);
    add_header(headers, "__connect.errors.task.id", topic->config->instance_id);
    add_header(headers, "__connect.errors.stage", stage_of(reason));
    add_header(headers, "__connect.errors.class.name", "pgsluice");
    add_header(headers, "__connect.errors.exception.class.name", err_class_name(ERR_DATA));
    add_header(headers, "__connect.errors.exception.message", reason->text);
    add_header(headers, "pgsluice.sqlstate", reason->sqlstate);
    add_header(headers, "pgsluice.table", batch->mapping->table.quoted);
    add_header(headers, "pgsluice.column", reason->column);
    return headers;
}

/* Jobs. */

static void free_job(struct dead_letter_topic *topic, struct letters_job *job)
{
    TAILQ_REMOVE(&topic->jobs, job, entry);
    free(job);
}

static void end_if_answered(struct dead_letter_topic *topic, struct letters_job *job)
{
    struct batch *batch = job->batch;
    struct err err = job->err;

    if (job->pending_count > 0 || (batch && !job->all_produced))
        return;
    free_job(topic, job);
    if (batch)
        letters_produced(topic->dispatcher, batch, err.class == ERR_NONE ? NULL : &err);
}

static void refuse(const struct dead_letter_topic *topic, struct letters_job *job,
                   rd_kafka_resp_err_t code)
{
    job->all_produced = true; /* as many as there will be */
    if (job->err.class == ERR_NONE)
        err_set(&job->err, ERR_CONFIG, "SINK_DEAD_LETTER_TOPIC %s does not take a dead letter: %s",
                topic->config->dead_letter_topic, rd_kafka_err2str(code));
}

/* As the acknowledgement tells it again. */
static size_t pending_size(size_t key_len, size_t value_len)
{
    return key_len + value_len + 1;
}

static rd_kafka_resp_err_t produce(struct dead_letter_topic *topic, struct letters_job *job)
{
    const struct record *record = &job->batch->records[job->reason.index];
    rd_kafka_headers_t *headers = headers_of(topic, job->batch, &job->reason);
    rd_kafka_resp_err_t code = rd_kafka_producev(
        topic->producer, RD_KAFKA_V_TOPIC(topic->config->dead_letter_topic),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_KEY((void *)(uintptr_t)record->key.data, record->key.len),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)record->value.data, record->value.len),
        RD_KAFKA_V_TIMESTAMP(record->timestamp_ms > 0 ? record->timestamp_ms : 0),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_OPAQUE(job), RD_KAFKA_V_END);

    if (code) {
        rd_kafka_headers_destroy(headers); /* else they are the message's */
        return code;
    }
    job->pending_count++;
    topic->pending_bytes += pending_size(record->key.len, record->value.len);
    return code;
}

/* False: not now, too much is on its way. */
static bool produce_next(struct dead_letter_topic *topic, struct letters_job *job)
{
    if (topic->pending_bytes >= PENDING_BYTES_MAX)
        return false;
    if (!job->has_reason && !reasons_next(&job->batch->reasons, &job->next, &job->reason)) {
        job->all_produced = true;
        return true;
    }
    rd_kafka_resp_err_t code = produce(topic, job);
    job->has_reason = code == RD_KAFKA_RESP_ERR__QUEUE_FULL && topic->pending_bytes > 0;
    if (code && !job->has_reason)
        refuse(topic, job, code);
    return !job->has_reason;
}

/*
 * Called by the waker alone, since it frees jobs: an answer to the dispatcher may bring new ones
 * and abandon others.
 */
static void pump(struct dead_letter_topic *topic)
{
    struct letters_job *job = TAILQ_FIRST(&topic->jobs);

    while (job) {
        while (job->batch && !job->all_produced && produce_next(topic, job))
            continue;
        struct letters_job *next = TAILQ_NEXT(job, entry);
        end_if_answered(topic, job);
        job = next;
    }
}

/* The dispatcher's hooks. */

static void on_produce(void *opaque, struct batch *batch)
{
    struct dead_letter_topic *topic = opaque;
    struct letters_job *job = memory_new(sizeof(*job));

    job->batch = batch;
    job->late_ms = clock_now_ms() + LATE_MS;
    TAILQ_INSERT_TAIL(&topic->jobs, job, entry);
    waker_again(&topic->waker);
}

static void on_abandon(void *opaque, struct batch *batch)
{
    struct dead_letter_topic *topic = opaque;
    struct letters_job *job;

    TAILQ_FOREACH (job, &topic->jobs, entry)
        /* cppcheck-suppress uninitvar ; TAILQ_FOREACH sets it */
        if (job->batch == batch)
            job->batch = NULL;
    if (!topic->closed)
        waker_again(&topic->waker);
}

struct letters_hooks dead_letter_topic_hooks(struct dead_letter_topic *topic)
{
    return (struct letters_hooks){.produce = on_produce, .abandon = on_abandon, .opaque = topic};
}

/* librdkafka's events. */

static void on_delivered(struct dead_letter_topic *topic, const rd_kafka_message_t *message)
{
    struct letters_job *job = message->_private;

    job->pending_count--;
    topic->pending_bytes -= pending_size(message->key_len, message->len);
    if (message->err)
        refuse(topic, job, message->err);
}

static void on_error(struct dead_letter_topic *topic, rd_kafka_event_t *event)
{
    char reason[512];

    if (rd_kafka_event_error(event) == RD_KAFKA_RESP_ERR__FATAL ||
        rd_kafka_event_error_is_fatal(event)) {
        rd_kafka_fatal_error(topic->producer, reason, sizeof(reason));
        topic->on_fatal(topic->opaque, reason);
        return;
    }
    log_warn("Kafka, for dead letters",
             LOG_STR("code", rd_kafka_err2name(rd_kafka_event_error(event))),
             LOG_STR("reason", rd_kafka_event_error_string(event)));
}

static void on_event(struct dead_letter_topic *topic, rd_kafka_event_t *event)
{
    const rd_kafka_message_t *message;

    if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR)
        on_error(topic, event);
    else if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_DR)
        while ((message = rd_kafka_event_message_next(event)))
            on_delivered(topic, message);
}

static void on_wake(void *opaque)
{
    struct dead_letter_topic *topic = opaque;
    rd_kafka_event_t *event;

    while (!topic->closed && (event = rd_kafka_queue_poll(topic->queue, 0))) {
        on_event(topic, event);
        rd_kafka_event_destroy(event);
    }
    if (!topic->closed)
        pump(topic);
}

/* Whatever librdkafka waits for, it does not say that a partition waits for it. */
static void on_tick(uv_timer_t *timer)
{
    struct dead_letter_topic *topic = timer->data;
    struct letters_job *job = TAILQ_FIRST(&topic->jobs);

    if (!job || !job->batch || clock_now_ms() < job->late_ms)
        return;
    job->late_ms = clock_now_ms() + LATE_AGAIN_MS;
    log_warn("dead letters wait for their topic", LOG_STR("topic", job->batch->topic),
             LOG_INT("partition", job->batch->partition),
             LOG_STR("dead_letter_topic", topic->config->dead_letter_topic),
             LOG_INT("unacknowledged", (int64_t)job->pending_count));
}

/* Opening and closing. */

void dead_letter_topic_open(struct dead_letter_topic *topic, uv_loop_t *loop, rd_kafka_t *producer,
                            const struct config *config, struct dispatcher *dispatcher)
{
    *topic = (struct dead_letter_topic){
        .producer = producer, .config = config, .dispatcher = dispatcher};
    TAILQ_INIT(&topic->jobs);
    topic->queue = rd_kafka_queue_get_main(producer);
    waker_open(&topic->waker, loop, topic->queue, on_wake, topic);
    uv_timer_init(loop, &topic->timer);
    topic->timer.data = topic;
    uv_timer_start(&topic->timer, on_tick, LATE_MS, LATE_MS);
}

void dead_letter_topic_close(struct dead_letter_topic *topic)
{
    topic->closed = true; /* perhaps from inside on_wake: it polls no more */
    rd_kafka_queue_io_event_enable(topic->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(topic->queue);
    waker_close(&topic->waker);
    uv_timer_stop(&topic->timer);
    uv_close((uv_handle_t *)&topic->timer, NULL);
}

void dead_letter_topic_finish(struct dead_letter_topic *topic)
{
    struct letters_job *job = TAILQ_FIRST(&topic->jobs);

    while (job) {
        struct letters_job *next = TAILQ_NEXT(job, entry);
        free(job);
        job = next;
    }
}
