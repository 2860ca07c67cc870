/*
 * Properties come in three layers: what delivery rests on and nobody may change (config.c has
 * refused it), what we set because librdkafka's default does not fit a sink, and what the user
 * says.
 *
 * The defaults, with their reasons:
 * - fetch.queue.backoff.ms: librdkafka stops fetching for 1 s when its queue is full; with a queue
 * that is small against the traffic that costs a factor of 19.
 * - heartbeat.interval.ms: a member learns of a rebalance by its next heartbeat, and until all
 * have, partitions that move are not read: a second of latency instead of three.
 * - queued.*: the bytes decide, not the count, and they are part of SINK_MEMORY_LIMIT.
 * - fetch.max.bytes: receive buffers that stay in the processor's cache, and a bound on the
 * overshoot: the queue's limit stops fetches, but not those under way, one for each broker, which
 * cost about three times their bytes when the records are small.
 */
#include "kafka/client.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/memory.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct property {
    const char *name;
    const char *value;
};

/* Whatever the user says. */
static const struct property required[] = {
    {"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},        {"check.crcs", "true"},
    {"allow.auto.create.topics", "false"},
};

/* Of the producer of dead letters. It tries for ever: what is given up would have to be found
 * again. */
static const struct property producer_required[] = {
    {"enable.idempotence", "true"},
    {"message.timeout.ms", "0"},
    {"delivery.report.only.error", "false"},
};

/*
 * - message.max.bytes: the topic's own limit decides, which librdkafka does not know.
 * - linger.ms: a batch's dead letters come all at once, and its rows wait for them.
 */
static const struct property producer_defaults[] = {
    {"compression.codec", "lz4"},
    {"message.max.bytes", "1000000000"},
    {"linger.ms", "1"},
    {"socket.keepalive.enable", "true"},
    {"log.connection.close", "false"},
    {"client.software.name", "pgsluice"},
    {"client.software.version", PGSLUICE_VERSION},
};

/* Unless the user says otherwise. */
static const struct property defaults[] = {
    {"fetch.queue.backoff.ms", "5"},
    {"fetch.wait.max.ms", "100"},
    {"queued.min.messages", "10000000"},
    {"socket.keepalive.enable", "true"},
    {"topic.metadata.refresh.interval.ms", "30000"},
    {"log.connection.close", "false"},
    {"client.software.name", "pgsluice"},
    {"client.software.version", PGSLUICE_VERSION},
};

static bool set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *err)
{
    char reason[256];

    if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) == RD_KAFKA_CONF_OK)
        return true;
    return err_set(err, ERR_CONFIG, "Kafka property %s: %s", name, reason);
}

static const char *user_value(const struct config *config, const char *name)
{
    for (size_t i = 0; i < config->properties_count; i++)
        if (strcmp(config->properties[i].name, name) == 0)
            return config->properties[i].value;
    return NULL;
}

static bool set_default(rd_kafka_conf_t *conf, const struct config *config, const char *name,
                        const char *value, struct err *err)
{
    return user_value(config, name) || set(conf, name, value, err);
}

char *client_id(const struct config *config)
{
    const char *value = user_value(config, "client.id");

    return value ? memory_strdup(value) : memory_printf("pgsluice-%s", config->instance_id);
}

static bool set_client_id(rd_kafka_conf_t *conf, const struct config *config, struct err *err)
{
    char *id = client_id(config);
    bool done = set_default(conf, config, "client.id", id, err);

    free(id);
    return done;
}

/* librdkafka wants no less than message.max.bytes, whose default is a million. */
static char *fetch_max_bytes(const struct config *config, size_t clients_count)
{
    enum { SMALLEST = 1 << 20, LARGEST = 8 << 20 };
    const char *message_max = user_value(config, "message.max.bytes");
    long long least = message_max ? strtoll(message_max, NULL, 10) : 0;
    long long wanted = config->memory_limit_bytes / 64 / (long long)clients_count;

    wanted = wanted < SMALLEST ? SMALLEST : wanted > LARGEST ? LARGEST : wanted;
    return memory_printf("%lld", wanted > least ? wanted : least);
}

/* With group.protocol=consumer the broker decides about both. */
static bool set_classic(rd_kafka_conf_t *conf, const struct config *config, struct err *err)
{
    return set_default(conf, config, "partition.assignment.strategy", "cooperative-sticky", err) &&
           set_default(conf, config, "heartbeat.interval.ms", "1000", err);
}

/*
 * What depends on other settings. A queued message costs about twice its payload, so a sixteenth of
 * the budget at most; and no more than the processor's cache holds, since each is touched again
 * soon.
 */
enum { QUEUED_BYTES_MAX = 4 * 1024 * 1024 };

static bool set_derived(rd_kafka_conf_t *conf, const struct config *config, size_t clients_count,
                        struct err *err)
{
    const char *protocol = user_value(config, "group.protocol");
    int64_t queued_bytes = config->memory_limit_bytes / 16 / (int64_t)clients_count;
    if (queued_bytes > QUEUED_BYTES_MAX)
        queued_bytes = QUEUED_BYTES_MAX;
    char *fetch_bytes = fetch_max_bytes(config, clients_count);
    char *kbytes = memory_printf("%lld", (long long)queued_bytes / 1024);
    bool classic = !protocol || strcmp(protocol, "consumer") != 0;

    bool done = set_client_id(conf, config, err) &&
                set_default(conf, config, "fetch.max.bytes", fetch_bytes, err) &&
                set(conf, "queued.max.messages.kbytes", kbytes, err) &&
                (!classic || set_classic(conf, config, err));
    free(fetch_bytes);
    free(kbytes);
    return done;
}

static bool set_required(rd_kafka_conf_t *conf, const struct property *properties, size_t count,
                         struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!set(conf, properties[i].name, properties[i].value, err))
            return false;
    return true;
}

static bool set_defaults(rd_kafka_conf_t *conf, const struct config *config,
                         const struct property *properties, size_t count, struct err *err)
{
    for (size_t i = 0; i < count; i++)
        if (!set_default(conf, config, properties[i].name, properties[i].value, err))
            return false;
    return true;
}

/* Without those of the other kind of client: librdkafka would warn of each. */
static bool set_users(rd_kafka_conf_t *conf, const struct config *config, char other,
                      struct err *err)
{
    for (size_t i = 0; i < config->properties_count; i++) {
        const struct config_property *property = &config->properties[i];

        if (property->scope != other && !set(conf, property->name, property->value, err))
            return err_context(err, "%s", property->variable);
    }
    return true;
}

static bool set_all(rd_kafka_conf_t *conf, const struct config *config, size_t clients_count,
                    struct err *err)
{
    char other = config_sends_letters_to_topic(config) ? 'P' : '\0';

    return set_required(conf, required, COUNT_OF(required), err) &&
           set_defaults(conf, config, defaults, COUNT_OF(defaults), err) &&
           set_users(conf, config, other, err) && set_derived(conf, config, clients_count, err);
}

static bool set_all_of_producer(rd_kafka_conf_t *conf, const struct config *config, struct err *err)
{
    return set_required(conf, producer_required, COUNT_OF(producer_required), err) &&
           set_defaults(conf, config, producer_defaults, COUNT_OF(producer_defaults), err) &&
           set_users(conf, config, 'C', err) && set_client_id(conf, config, err);
}

/* librdkafka's levels are syslog's (RFC 5424). */
enum { SYSLOG_ERR = 3, SYSLOG_NOTICE = 5 };

static atomic_uint_fast64_t session_timeouts;

uint64_t client_session_timeouts(void)
{
    return atomic_load(&session_timeouts);
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    enum log_level ours = level <= SYSLOG_ERR ? LOG_LEVEL_WARN /* it goes on trying by itself */
                          : level <= SYSLOG_NOTICE ? LOG_LEVEL_INFO
                                                   : LOG_LEVEL_DEBUG;

    (void)client;
    if (strcmp(facility, "SESSTMOUT") == 0)
        atomic_fetch_add(&session_timeouts, 1);
    log_line(ours, "librdkafka", LOG_FIELDS(LOG_STR("facility", facility), LOG_STR("text", text)));
}

/* Takes the configuration. */
static rd_kafka_t *create(rd_kafka_type_t type, rd_kafka_conf_t *conf, struct err *err)
{
    char reason[512];
    rd_kafka_t *client = rd_kafka_new(type, conf, reason, sizeof(reason));

    if (client)
        return client;
    rd_kafka_conf_destroy(conf);
    err_set(err, ERR_CONFIG, "Kafka client: %s", reason);
    return NULL;
}

static rd_kafka_t *create_consumer(const struct config *config, size_t clients_count,
                                   const char *says_ends, struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_REBALANCE | RD_KAFKA_EVENT_OFFSET_COMMIT |
                                       RD_KAFKA_EVENT_ERROR);
    if (!set_all(conf, config, clients_count, err) ||
        !set(conf, "enable.partition.eof", says_ends, err)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_t *client = create(RD_KAFKA_CONSUMER, conf, err);
    if (client)
        rd_kafka_poll_set_consumer(client); /* its errors come to the queue that we serve */
    return client;
}

rd_kafka_t *client_create(const struct config *config, struct err *err)
{
    return create_consumer(config, 1, "false", err);
}

rd_kafka_t *client_create_lane(const struct config *config, size_t lanes_count, struct err *err)
{
    return create_consumer(config, lanes_count, "true", err);
}

rd_kafka_t *client_create_producer(const struct config *config, struct err *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR | RD_KAFKA_EVENT_ERROR);
    if (!set_all_of_producer(conf, config, err)) {
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    return create(RD_KAFKA_PRODUCER, conf, err);
}

rd_kafka_topic_partition_list_t *client_topics(const struct config *config)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(4);

    if (config->topics[0] == '^')
        rd_kafka_topic_partition_list_add(list, config->topics, RD_KAFKA_PARTITION_UA);
    for (size_t i = 0; i < config->topic_names_count; i++)
        rd_kafka_topic_partition_list_add(list, config->topic_names[i], RD_KAFKA_PARTITION_UA);
    return list;
}

static bool has_topic(const struct rd_kafka_metadata *metadata, const char *topic)
{
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic) == 0)
            return metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR ||
                   metadata->topics[i].err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
    return false;
}

static void note_missing(const struct rd_kafka_metadata *metadata, const char *topic,
                         struct buffer *missing)
{
    if (!has_topic(metadata, topic))
        buffer_printf(missing, "%s\"%s\"", missing->len ? ", " : "", topic);
}

/* False: all that are missing are named. */
static bool has_topics(const struct rd_kafka_metadata *metadata, const struct config *config,
                       struct err *err)
{
    rd_kafka_topic_partition_list_t *wanted = client_topics(config);
    struct buffer missing = {0};

    for (int i = 0; i < wanted->cnt && config->topics[0] != '^'; i++)
        note_missing(metadata, wanted->elems[i].topic, &missing);
    if (config_sends_letters_to_topic(config))
        note_missing(metadata, config->dead_letter_topic, &missing);
    bool complete = missing.len == 0;
    if (!complete)
        err_set(err, ERR_CONFIG,
                "topic %s does not exist, or this client may not describe it: create it, or mend "
                "SINK_TOPICS%s",
                buffer_text(&missing),
                config_sends_letters_to_topic(config) ? " or SINK_DEAD_LETTER_TOPIC" : "");
    buffer_finish(&missing);
    rd_kafka_topic_partition_list_destroy(wanted);
    return complete;
}

bool client_check(rd_kafka_t *client, const struct config *config, int64_t timeout_ms,
                  struct err *err)
{
    enum { ATTEMPT_MS = 2000, PAUSE_MS = 100 };
    int64_t deadline_ms = clock_now_ms() + timeout_ms;

    err_set(err, ERR_OUTAGE, "no answer");
    while (clock_now_ms() < deadline_ms) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_resp_err_t error = rd_kafka_metadata(client, 1, NULL, &metadata, ATTEMPT_MS);
        if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
            bool complete = has_topics(metadata, config, err);
            rd_kafka_metadata_destroy(metadata);
            return complete;
        }
        err_set(err, ERR_OUTAGE, "%s", rd_kafka_err2str(error));
        poll(NULL, 0, PAUSE_MS);
    }
    return err_context(err, "Kafka at %s is unreachable", user_value(config, "bootstrap.servers"));
}
