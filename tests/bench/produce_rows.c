/*
 * produce_rows: records of the workloads that produce_orders does not have, the same for the same
 * number.
 *
 *   produce_rows --bootstrap LIST --topic NAME --shape wide|document [OPTION...]
 *
 * wide      a flat object of 40 fields and about 1.2 KiB: `id`, then bigints, texts, floats, nulls
 * and times in turn, as a row of a wide table comes from change data capture (the W3 workload)
 * document  a nested object of about --bytes bytes, for one jsonb column (W1: 300, W6: 4096)
 *
 * Every field depends on the record's number alone. Record i goes to partition i % P. Delivery is
 * idempotent with acks=all. The last line of stdout is {"records":N,"bytes":B}. With --print,
 * nothing is produced: each record goes to stdout behind its length in 4 bytes, big-endian.
 *
 * Thread: main; delivery reports are served from rd_kafka_poll.
 */
#include <endian.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

enum {
    WIDE_FIELDS = 40,
    RECORD_BYTES_MAX = 1 << 20,
    ROOM_BYTES = 4096,
    ITEM_BYTES = 90, /* at most */
    POLL_EVERY = 256,
    POLL_MS = 10,
    FLUSH_MS = 120000,
};

struct text {
    char bytes[RECORD_BYTES_MAX + ROOM_BYTES];
    size_t len;
};

typedef void (*shape_cb)(struct text *text, uint64_t number, size_t bytes);

struct options {
    const char *bootstrap;
    const char *topic;
    const char *compression;
    shape_cb shape;
    int64_t record_count;
    int64_t partition_count;
    size_t record_bytes;
    bool print;
};

struct producer {
    struct options options;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    struct text record;
    int64_t failed_count;
    int64_t byte_count;
};

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("produce_rows: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

/* --- Shapes ----------------------------------------------------------------------------------- */

static void __attribute__((format(printf, 2, 3))) put(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text->len +=
        (size_t)vsnprintf(text->bytes + text->len, sizeof(text->bytes) - text->len, format, args);
    va_end(args);
}

/* splitmix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014). */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static int below(uint64_t random, uint64_t limit)
{
    return (int)(random % limit);
}

static void put_time(struct text *text, uint64_t random)
{
    put(text, "\"2026-%02d-%02dT%02d:%02d:%02d.%06dZ\"", below(random, 12) + 1,
        below(random >> 8, 28) + 1, below(random >> 16, 24), below(random >> 24, 60),
        below(random >> 30, 60), below(random >> 36, 1000000));
}

static const char *const words[16] = {
    "amber",  "basalt",  "cedar", "delta",  "ember",  "fjord",  "garnet", "harbour",
    "indigo", "juniper", "kelp",  "lagoon", "marble", "nectar", "ochre",  "pepper",
};

/* Fields 1 to 39 have one of five kinds in turn; workload.py's table has the same. */
static void put_wide_value(struct text *text, int field, uint64_t random)
{
    switch (field % 5) {
    case 0:
        put(text, "%" PRIu64, random % 1000000000000);
        return;
    case 1:
        put(text, "\"%s %s %" PRIu64 "\"", words[random % 16], words[random >> 4 & 15],
            (random >> 8) % 100000);
        return;
    case 2:
        put(text, "%" PRIu64 ".%02d", random % 1000000, below(random >> 32, 100));
        return;
    case 3:
        put(text, "null");
        return;
    case 4:
        put_time(text, random);
        return;
    }
}

static void shape_wide(struct text *text, uint64_t number, size_t bytes)
{
    uint64_t state = number;

    (void)bytes;
    put(text, "{\"id\":%" PRIu64, number);
    for (int field = 1; field < WIDE_FIELDS; field++) {
        put(text, ",\"attribute_%02d\":", field);
        put_wide_value(text, field, draw(&state));
    }
    put(text, "}");
}

static void put_item(struct text *text, uint64_t random)
{
    put(text, "{\"sku\":\"%s-%" PRIu64 "\",\"count\":%d,\"price\":%d.%02d,\"tags\":[\"%s\"]}",
        words[random % 16], (random >> 4) % 10000, below(random >> 20, 9) + 1,
        below(random >> 24, 1000), below(random >> 40, 100), words[random >> 48 & 15]);
}

/* Items up to the wanted size, and a note that fills what is left of it. */
static void shape_document(struct text *text, uint64_t number, size_t bytes)
{
    static const char note[] = "],\"note\":\"", end[] = "\"}";
    uint64_t state = number;

    put(text, "{\"id\":%" PRIu64 ",\"kind\":\"%s\",\"at\":", number, words[number % 16]);
    put_time(text, draw(&state));
    put(text, ",\"user\":{\"id\":%d,\"name\":\"%s\",\"vip\":%s},\"items\":[",
        below(draw(&state), 1000000), words[draw(&state) % 16], number % 3 ? "false" : "true");
    put_item(text, draw(&state));
    while (text->len + ITEM_BYTES + sizeof(note) + sizeof(end) < bytes) {
        put(text, ",");
        put_item(text, draw(&state));
    }
    put(text, "%s", note);
    while (text->len + sizeof(end) < bytes)
        put(text, "%.*s", (int)(bytes - text->len - sizeof(end) + 1), words[draw(&state) % 16]);
    put(text, "%s", end);
}

/* --- Producing -------------------------------------------------------------------------------- */

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct producer *producer = opaque;

    (void)client;
    if (message->err && producer->failed_count++ == 0)
        fprintf(stderr, "produce_rows: delivery: %s\n", rd_kafka_err2str(message->err));
}

static void conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char reason[512];

    if (rd_kafka_conf_set(conf, name, value, reason, sizeof(reason)) != RD_KAFKA_CONF_OK)
        fail("%s", reason);
}

static void producer_open(struct producer *producer)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    char reason[512];

    conf_set(conf, "bootstrap.servers", producer->options.bootstrap);
    conf_set(conf, "enable.idempotence", "true");
    conf_set(conf, "compression.type", producer->options.compression);
    conf_set(conf, "queue.buffering.max.messages", "200000");
    conf_set(conf, "linger.ms", "50");
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_opaque(conf, producer);
    producer->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, reason, sizeof(reason));
    if (!producer->client)
        fail("%s", reason);
    producer->topic = rd_kafka_topic_new(producer->client, producer->options.topic, NULL);
}

static void producer_send(struct producer *producer, int64_t number)
{
    const struct text *record = &producer->record;
    int32_t partition = (int32_t)(number % producer->options.partition_count);

    while (rd_kafka_produce(producer->topic, partition, RD_KAFKA_MSG_F_COPY,
                            (void *)(uintptr_t)record->bytes, record->len, NULL, 0, NULL) == -1) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(producer->client, POLL_MS);
    }
    if (number % POLL_EVERY == 0)
        rd_kafka_poll(producer->client, 0);
}

static void print_record(const struct text *record)
{
    uint32_t len = htobe32((uint32_t)record->len);

    fwrite(&len, sizeof(len), 1, stdout);
    fwrite(record->bytes, record->len, 1, stdout);
}

static void producer_run(struct producer *producer)
{
    const struct options *options = &producer->options;

    for (int64_t i = 0; i < options->record_count; i++) {
        producer->record.len = 0;
        options->shape(&producer->record, (uint64_t)i, options->record_bytes);
        producer->byte_count += (int64_t)producer->record.len;
        if (options->print)
            print_record(&producer->record);
        else
            producer_send(producer, i);
    }
}

static void producer_close(struct producer *producer)
{
    if (rd_kafka_flush(producer->client, FLUSH_MS))
        fail("%d records were not delivered", rd_kafka_outq_len(producer->client));
    rd_kafka_topic_destroy(producer->topic);
    rd_kafka_destroy(producer->client);
    printf("{\"records\":%" PRId64 ",\"bytes\":%" PRId64 "}\n", producer->options.record_count,
           producer->byte_count);
}

/* --- Options ---------------------------------------------------------------------------------- */

static int64_t parse_number(const char *text, int64_t max)
{
    char *end;
    int64_t number = strtoll(text, &end, 10);

    if (!*text || *end || number < 1 || number > max)
        fail("%s is not a number from 1 to %" PRId64, text, max);
    return number;
}

static shape_cb parse_shape(const char *name)
{
    if (strcmp(name, "wide") == 0)
        return shape_wide;
    if (strcmp(name, "document") == 0)
        return shape_document;
    fail("there is no shape %s", name);
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"bootstrap", required_argument, NULL, 'b'},
        {"topic", required_argument, NULL, 't'},
        {"shape", required_argument, NULL, 's'},
        {"records", required_argument, NULL, 'r'},
        {"partitions", required_argument, NULL, 'p'},
        {"bytes", required_argument, NULL, 'n'},
        {"compression", required_argument, NULL, 'c'},
        {"print", no_argument, NULL, 'o'},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'b')
            options->bootstrap = optarg;
        else if (option == 't')
            options->topic = optarg;
        else if (option == 's')
            options->shape = parse_shape(optarg);
        else if (option == 'r')
            options->record_count = parse_number(optarg, INT64_C(1) << 40);
        else if (option == 'p')
            options->partition_count = parse_number(optarg, 10000);
        else if (option == 'n')
            options->record_bytes = (size_t)parse_number(optarg, RECORD_BYTES_MAX);
        else if (option == 'c')
            options->compression = optarg;
        else if (option == 'o')
            options->print = true;
        else
            exit(64);
    }
    if (!options->shape || (!options->print && (!options->bootstrap || !options->topic)))
        fail("--shape, and --bootstrap and --topic or --print, are needed");
}

int main(int argc, char **argv)
{
    static struct producer producer = {
        .options = {.compression = "none",
                    .record_count = 100000,
                    .partition_count = 12,
                    .record_bytes = 300},
    };

    options_parse(&producer.options, argc, argv);
    if (producer.options.print) {
        producer_run(&producer);
        return EXIT_SUCCESS;
    }
    producer_open(&producer);
    producer_run(&producer);
    producer_close(&producer);
    return producer.failed_count ? EXIT_FAILURE : EXIT_SUCCESS;
}
