/*
 * consume_drop: the least that a consumer costs. Every record of the topics is fetched and dropped.
 *
 *   consume_drop RECORDS
 *
 * It is set up by the sink's own environment and client (kafka/client.h), reads through one queue
 * by callback as the sink does, and ends after that many records, or after 60 s without one. It is
 * in no group, so nothing is spent on joining one. The last line of stdout is JSON; `seconds` are
 * those from the assignment on, `cpu_s` the whole process's:
 *
 *   {"records":2000000,"bytes":531000000,"seconds":0.8,"cpu_s":0.61}
 *
 * Then it waits for the end of stdin: what else it has used can be read as long as it lives.
 *
 * Thread: main; librdkafka's own fetch.
 */
#include "base/clock.h"
#include "config.h"
#include "kafka/client.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { SERVE_MS = 100, STALLED_MS = 60000, METADATA_MS = 30000 };

struct drain {
    rd_kafka_t *client;
    rd_kafka_queue_t *queue;
    int64_t goal;
    int64_t records_count;
    int64_t bytes;
    int64_t last_ms; /* when the last record came */
};

static void must(bool done, const char *what, const char *detail)
{
    if (done)
        return;
    fprintf(stderr, "consume_drop: %s: %s\n", what, detail);
    exit(EXIT_FAILURE);
}

static void on_message(rd_kafka_message_t *message, void *opaque)
{
    struct drain *drain = opaque;

    must(!message->err, "fetch", rd_kafka_err2str(message->err));
    drain->bytes += (int64_t)message->len;
    if (++drain->records_count == drain->goal)
        rd_kafka_yield(drain->client);
}

static void add_topic(struct drain *drain, rd_kafka_topic_partition_list_t *assignment,
                      const struct rd_kafka_metadata_topic *topic)
{
    must(!topic->err, topic->topic, rd_kafka_err2str(topic->err));
    for (int i = 0; i < topic->partition_cnt; i++) {
        rd_kafka_topic_partition_list_add(assignment, topic->topic, i)->offset =
            RD_KAFKA_OFFSET_BEGINNING;
        rd_kafka_queue_t *own = rd_kafka_queue_get_partition(drain->client, topic->topic, i);
        must(own, topic->topic, "has no queue");
        rd_kafka_queue_forward(own, drain->queue);
        rd_kafka_queue_destroy(own);
    }
}

static void assign(struct drain *drain, const struct config *config)
{
    rd_kafka_topic_partition_list_t *topics = client_topics(config);
    rd_kafka_topic_partition_list_t *assignment = rd_kafka_topic_partition_list_new(16);
    const struct rd_kafka_metadata *metadata;

    for (int i = 0; i < topics->cnt; i++) {
        rd_kafka_topic_t *topic = rd_kafka_topic_new(drain->client, topics->elems[i].topic, NULL);
        rd_kafka_resp_err_t error =
            rd_kafka_metadata(drain->client, 0, topic, &metadata, METADATA_MS);
        must(!error, "metadata", rd_kafka_err2str(error));
        add_topic(drain, assignment, &metadata->topics[0]);
        rd_kafka_metadata_destroy(metadata);
        rd_kafka_topic_destroy(topic);
    }
    rd_kafka_resp_err_t error = rd_kafka_assign(drain->client, assignment);
    must(!error, "assign", rd_kafka_err2str(error));
    rd_kafka_topic_partition_list_destroy(assignment);
    rd_kafka_topic_partition_list_destroy(topics);
}

static void serve(struct drain *drain)
{
    drain->last_ms = clock_now_ms();
    while (drain->records_count < drain->goal) {
        int64_t before = drain->records_count;
        rd_kafka_consume_callback_queue(drain->queue, SERVE_MS, on_message, drain);
        if (drain->records_count > before)
            drain->last_ms = clock_now_ms();
        must(clock_now_ms() - drain->last_ms < STALLED_MS, "stalled", "no record for a minute");
    }
}

static void print_summary(const struct drain *drain, int64_t start_us)
{
    struct timespec cpu;
    double seconds = (double)(clock_now_us() - start_us) / 1e6;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    printf("{\"records\":%" PRId64 ",\"bytes\":%" PRId64 ",\"seconds\":%.6f,\"cpu_s\":%.6f}\n",
           drain->records_count, drain->bytes, seconds,
           (double)cpu.tv_sec + (double)cpu.tv_nsec / 1e9);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct drain drain = {.goal = argc == 2 ? strtoll(argv[1], NULL, 10) : 0};
    struct buffer problems = {0};
    struct config config;
    struct err err;

    /* As the sink does: see main.c. */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    must(drain.goal > 0, "usage", "consume_drop RECORDS");
    must(config_load(&config, environ, &problems), "settings", buffer_text(&problems));
    drain.client = client_create(&config, &err);
    must(drain.client, "client", err.text);
    drain.queue = rd_kafka_queue_new(drain.client);
    int64_t start_us = clock_now_us();
    assign(&drain, &config);
    serve(&drain);
    print_summary(&drain, start_us);
    while (getchar() != EOF)
        continue;
    _exit(EXIT_SUCCESS); /* closing would cost time and show nothing */
}
