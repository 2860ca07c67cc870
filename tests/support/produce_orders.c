/*
 * produce_orders: a fast producer of order events, the same ones for the same seed.
 *
 * Order number i is a flat JSON object of 8 fields and about 256 bytes (the W2 workload):
 *
 *   {"id":7,"user_id":81422,"source":"web","amount":129.95,
 *    "created_at":"2026-01-01T00:00:00.073311Z","paid":true,"currency":"EUR","note":"..."}
 *
 * Every field depends on (seed, i) alone, so any part of the sequence can be produced again, by any
 * number of producers. `id` is the sequence number. Some notes hold escapes and characters of two
 * to four bytes; every Nth record can be poison, that is no JSON at all. Delivery is idempotent
 * with acks=all. The last line of stdout is a summary in JSON:
 *
 *   {"topic":"orders","records":100000,"poison":0,"failed":0,"bytes":25611409,"seconds":0.2,
 *    "rate":500000,"sum_id":4999950000,"partitions":[8334,...]}
 *
 * `records` counts poison, `sum_id` does not. Exit code 1 when a delivery failed, 64 for usage.
 *
 * Thread: the main thread alone; delivery reports are served from rd_kafka_poll.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define NANOS_PER_SECOND   1000000000LL
#define MICROS_PER_SECOND  1000000LL
#define MAX_MESSAGE_BYTES  "16777216"
#define CONNECT_TIMEOUT_MS 30000
#define FLUSH_TIMEOUT_MS   120000

enum {
    MAX_PARTITIONS = 10000,
    MAX_NOTE_BYTES = 15 << 20,
    RECORD_BYTES_WITHOUT_NOTE = 512,
    POLL_EVERY = 256,
};

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("produce_orders: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

/* --- Options -------------------------------------------------------------------------------- */

struct options {
    const char *bootstrap;
    const char *topic;
    const char *compression;
    int64_t record_count;
    int64_t partition_count;
    int64_t seed;
    int64_t rate; /* records a second on an absolute schedule, 0: as fast as possible */
    int64_t first;
    int64_t poison_every;
    int64_t escape_every;
    int64_t note_bytes; /* 0: between 60 and 150 */
    int64_t linger_ms;
    int64_t batch_records;
    bool by_key; /* partition by the hash of the key, else number % partitions */
    bool stamp;  /* created_at is the intended time of sending, else made up */
};

static const char usage[] =
    "usage: produce_orders --bootstrap LIST --topic NAME [OPTION...]\n"
    "  --records N          how many (100000)\n"
    "  --partitions P       of the topic (12); record i goes to partition i % P\n"
    "  --by-key             partition by the hash of the key, the user_id, instead\n"
    "  --first I            sequence number of the first (0)\n"
    "  --seed N             other values for the same numbers (1)\n"
    "  --rate R             records a second on an absolute schedule (0: unlimited)\n"
    "  --stamp              created_at is the scheduled time of sending, for latencies\n"
    "  --compression CODEC  none, gzip, snappy, lz4 or zstd (none)\n"
    "  --poison-every N     every Nth record is not JSON (0: none)\n"
    "  --escape-every N     every Nth note has escapes and non-ASCII characters (16; 0: none)\n"
    "  --note-bytes N       length of every note (0: 60 to 150)\n"
    "  --linger-ms N        wait for a batch to fill (50)\n"
    "  --batch-records N    records a batch at most (20000)\n";

static int64_t options_number(const char *name, const char *text, int64_t min, int64_t max)
{
    char *end;
    int64_t number;

    errno = 0;
    number = strtoll(text, &end, 10);
    if (errno || end == text || *end || number < min || number > max) {
        fprintf(stderr, "produce_orders: --%s must be from %" PRId64 " to %" PRId64 "\n", name, min,
                max);
        exit(64);
    }
    return number;
}

/* The options that are numbers: where each goes, and its range. */
struct numeric_option {
    const char *name;
    int64_t *value;
    int64_t min, max;
};

static bool options_set_number(struct options *options, const char *name, const char *text)
{
    const struct numeric_option numbers[] = {
        {"records", &options->record_count, 0, INT64_C(1) << 40},
        {"partitions", &options->partition_count, 1, MAX_PARTITIONS},
        {"seed", &options->seed, 0, INT64_MAX},
        {"rate", &options->rate, 0, 100000000},
        {"first", &options->first, 0, INT64_C(1) << 40},
        {"poison-every", &options->poison_every, 0, INT64_MAX},
        {"escape-every", &options->escape_every, 0, INT64_MAX},
        {"note-bytes", &options->note_bytes, 0, MAX_NOTE_BYTES},
        {"linger-ms", &options->linger_ms, 0, 60000},
        {"batch-records", &options->batch_records, 1, 1000000},
    };

    for (size_t i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
        if (strcmp(numbers[i].name, name))
            continue;
        *numbers[i].value = options_number(name, text, numbers[i].min, numbers[i].max);
        return true;
    }
    return false;
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"bootstrap", required_argument, NULL, 'b'},
        {"topic", required_argument, NULL, 't'},
        {"compression", required_argument, NULL, 'c'},
        {"by-key", no_argument, NULL, 'k'},
        {"stamp", no_argument, NULL, 's'},
        {"help", no_argument, NULL, 'h'},
        {"records", required_argument, NULL, 0},
        {"partitions", required_argument, NULL, 0},
        {"seed", required_argument, NULL, 0},
        {"rate", required_argument, NULL, 0},
        {"first", required_argument, NULL, 0},
        {"poison-every", required_argument, NULL, 0},
        {"escape-every", required_argument, NULL, 0},
        {"note-bytes", required_argument, NULL, 0},
        {"linger-ms", required_argument, NULL, 0},
        {"batch-records", required_argument, NULL, 0},
        {0},
    };
    int option, index = 0;

    while ((option = getopt_long(argc, argv, "", names, &index)) != -1) {
        if (option == 'b')
            options->bootstrap = optarg;
        else if (option == 't')
            options->topic = optarg;
        else if (option == 'c')
            options->compression = optarg;
        else if (option == 'k')
            options->by_key = true;
        else if (option == 's')
            options->stamp = true;
        else if (option != 0 || !options_set_number(options, names[index].name, optarg)) {
            fputs(usage, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? EXIT_SUCCESS : 64);
        }
    }
    if (!options->bootstrap || !options->topic) {
        fputs(usage, stderr);
        exit(64);
    }
}

/* --- Text ----------------------------------------------------------------------------------- */

/* Appended to without a check: whoever fills it has reserved enough. */
struct text {
    char *bytes;
    size_t length;
};

static void text_put(struct text *text, const char *bytes, size_t length)
{
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
}

#define TEXT_PUT_LITERAL(text, literal) text_put(text, literal, sizeof(literal) - 1)

static void text_put_string(struct text *text, const char *string)
{
    text_put(text, string, strlen(string));
}

/* Decimal, with leading zeros up to the width. */
static void text_put_number(struct text *text, uint64_t number, int width)
{
    char digits[24];
    int at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
        width--;
    } while (number || width > 0);
    text_put(text, digits + at, sizeof(digits) - (size_t)at);
}

/* Days since 1970-01-01 to a date: "chrono-Compatible Low-Level Date Algorithms", H. Hinnant. */
static void text_put_date(struct text *text, int64_t days)
{
    uint64_t z = (uint64_t)days + 719468;
    uint64_t era = z / 146097, doe = z % 146097;
    uint64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    uint64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    uint64_t mp = (5 * doy + 2) / 153;
    uint64_t month = mp < 10 ? mp + 3 : mp - 9;

    text_put_number(text, yoe + era * 400 + (month <= 2), 4);
    TEXT_PUT_LITERAL(text, "-");
    text_put_number(text, month, 2);
    TEXT_PUT_LITERAL(text, "-");
    text_put_number(text, doy - (153 * mp + 2) / 5 + 1, 2);
}

/* ISO 8601 with microseconds, in UTC. */
static void text_put_timestamp(struct text *text, int64_t micros)
{
    uint64_t seconds = (uint64_t)(micros / MICROS_PER_SECOND);

    text_put_date(text, (int64_t)(seconds / 86400));
    TEXT_PUT_LITERAL(text, "T");
    text_put_number(text, seconds / 3600 % 24, 2);
    TEXT_PUT_LITERAL(text, ":");
    text_put_number(text, seconds / 60 % 60, 2);
    TEXT_PUT_LITERAL(text, ":");
    text_put_number(text, seconds % 60, 2);
    TEXT_PUT_LITERAL(text, ".");
    text_put_number(text, (uint64_t)(micros % MICROS_PER_SECOND), 6);
    TEXT_PUT_LITERAL(text, "Z");
}

/* --- Orders --------------------------------------------------------------------------------- */

/* Eight sources; those that stand more than once are more frequent. */
static const char *const sources[16] = {
    "web",     "web",     "web",     "web",  "web",     "ios",    "ios",   "ios",
    "android", "android", "android", "shop", "partner", "market", "phone", "import",
};

static const char *const currencies[8] = {"EUR", "EUR", "EUR", "USD", "USD", "GBP", "CHF", "JPY"};

static const char escaped[] = "line\\nbreak\\ttab \\\"quoted\\\" back\\\\slash \\u00fc "
                              "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x8e\x81 ";

static const char prose[] =
    "please leave the parcel with the neighbour on the second floor and ring twice before noon, "
    "gift wrapping in green paper with a card, do not bend, deliver only on weekdays after four, "
    "the customer asked for an invoice by post and will return the broken lamp with the courier, ";

enum { PROSE_BYTES = sizeof(prose) - 1, FIRST_ORDER_SECOND = 1767225600 /* 2026-01-01 */ };

struct order {
    uint64_t id;
    uint64_t user_id;
    uint64_t cents;
    uint64_t note_start, note_bytes;
    int64_t created_micros;
    const char *source;
    const char *currency;
    bool paid;
    bool escaped;
};

/* splitmix64: Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014). */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static struct order order_make(const struct options *options, uint64_t id)
{
    uint64_t state = ((uint64_t)options->seed << 40) ^ id;
    uint64_t a = random_next(&state), b = random_next(&state);
    uint64_t every = (uint64_t)options->escape_every;

    return (struct order){
        .id = id,
        .user_id = a % 1000000,
        .source = sources[(a >> 20) % 16],
        .currency = currencies[(a >> 24) % 8],
        .paid = (a >> 27) % 4 != 0,
        .cents = (a >> 32) % 100000 + 1,
        .created_micros =
            FIRST_ORDER_SECOND * MICROS_PER_SECOND + (int64_t)(id * 10000 + b % 10000),
        .note_start = (b >> 16) % PROSE_BYTES,
        .note_bytes = options->note_bytes ? (uint64_t)options->note_bytes : 60 + (b >> 32) % 91,
        .escaped = every && (id + 1) % every == 0,
    };
}

/* Words of the prose from a place in it on; the prose begins again where it ends. */
static void order_put_note(const struct order *order, struct text *text)
{
    uint64_t start = order->note_start;
    uint64_t left = order->note_bytes;

    while (prose[start++] != ' ') /* a word begins behind it; the prose ends with one */
        ;
    if (order->escaped)
        TEXT_PUT_LITERAL(text, escaped);
    while (left) {
        uint64_t count = PROSE_BYTES - start < left ? PROSE_BYTES - start : left;

        text_put(text, prose + start, count);
        left -= count;
        start = 0;
    }
}

static void order_put_json(const struct order *order, struct text *text)
{
    TEXT_PUT_LITERAL(text, "{\"id\":");
    text_put_number(text, order->id, 1);
    TEXT_PUT_LITERAL(text, ",\"user_id\":");
    text_put_number(text, order->user_id, 1);
    TEXT_PUT_LITERAL(text, ",\"source\":\"");
    text_put_string(text, order->source);
    TEXT_PUT_LITERAL(text, "\",\"amount\":");
    text_put_number(text, order->cents / 100, 1);
    TEXT_PUT_LITERAL(text, ".");
    text_put_number(text, order->cents % 100, 2);
    TEXT_PUT_LITERAL(text, ",\"created_at\":\"");
    text_put_timestamp(text, order->created_micros);
    TEXT_PUT_LITERAL(text, "\",\"paid\":");
    text_put_string(text, order->paid ? "true" : "false");
    TEXT_PUT_LITERAL(text, ",\"currency\":\"");
    text_put_string(text, order->currency);
    TEXT_PUT_LITERAL(text, "\",\"note\":\"");
    order_put_note(order, text);
    TEXT_PUT_LITERAL(text, "\"}");
}

/* --- Producing ------------------------------------------------------------------------------ */

struct producer {
    struct options options;
    rd_kafka_t *client;
    rd_kafka_topic_t *topic;
    struct text value;    /* reused for every record */
    int64_t start_ns;     /* monotonic */
    int64_t start_micros; /* of the calendar, at the same moment */
    int64_t poison_count, failed_count, byte_count;
    uint64_t id_sum;
    bool ready; /* it has its producer id: what is sent now leaves at once */
    int64_t delivered[MAX_PARTITIONS];
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * NANOS_PER_SECOND + now.tv_nsec;
}

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct producer *producer = opaque;

    (void)client;
    if (!message->err && message->partition < MAX_PARTITIONS) {
        producer->delivered[message->partition]++;
        return;
    }
    if (producer->failed_count++ == 0)
        fprintf(stderr, "produce_orders: delivery to %s[%" PRId32 "]: %s\n",
                producer->options.topic, message->partition, rd_kafka_err2str(message->err));
}

/* Statistics are the one place that tells when the idempotent producer has its id. */
static int on_statistics(rd_kafka_t *client, char *json, size_t length, void *opaque)
{
    struct producer *producer = opaque;

    (void)client;
    (void)length;
    producer->ready = producer->ready || strstr(json, "\"idemp_state\": \"Assigned\"");
    return 0; /* librdkafka frees the text */
}

static void conf_set(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char errstr[512];

    if (rd_kafka_conf_set(conf, name, value, errstr, sizeof(errstr)) != RD_KAFKA_CONF_OK)
        fail("%s", errstr);
}

static void conf_set_number(rd_kafka_conf_t *conf, const char *name, int64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRId64, value);
    conf_set(conf, name, text);
}

static rd_kafka_conf_t *producer_conf(struct producer *producer)
{
    const struct options *options = &producer->options;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    conf_set(conf, "bootstrap.servers", options->bootstrap);
    conf_set(conf, "client.id", "produce_orders");
    conf_set(conf, "enable.idempotence", "true");
    conf_set(conf, "compression.type", options->compression);
    conf_set(conf, "message.max.bytes", MAX_MESSAGE_BYTES);
    conf_set(conf, "queue.buffering.max.messages", "500000");
    conf_set(conf, "partitioner", "murmur2_random");
    conf_set(conf, "statistics.interval.ms", "100");
    conf_set_number(conf, "linger.ms", options->linger_ms);
    conf_set_number(conf, "batch.num.messages", options->batch_records);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    rd_kafka_conf_set_stats_cb(conf, on_statistics);
    rd_kafka_conf_set_opaque(conf, producer);
    return conf;
}

static void producer_open(struct producer *producer)
{
    char errstr[512];

    producer->client =
        rd_kafka_new(RD_KAFKA_PRODUCER, producer_conf(producer), errstr, sizeof(errstr));
    if (!producer->client)
        fail("%s", errstr);
    producer->topic = rd_kafka_topic_new(producer->client, producer->options.topic, NULL);
    if (!producer->topic)
        fail("topic %s: %s", producer->options.topic, rd_kafka_err2str(rd_kafka_last_error()));
    producer->value.bytes =
        malloc(RECORD_BYTES_WITHOUT_NOTE + (size_t)producer->options.note_bytes);
    if (!producer->value.bytes)
        fail("out of memory");
}

/* Waits for the cluster, so that a schedule does not begin with the time of connecting. */
static void producer_connect(struct producer *producer)
{
    const struct options *options = &producer->options;
    const rd_kafka_metadata_t *metadata;
    int64_t deadline_ns =
        clock_ns(CLOCK_MONOTONIC) + CONNECT_TIMEOUT_MS * (NANOS_PER_SECOND / 1000);
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(producer->client, 0, producer->topic, &metadata, CONNECT_TIMEOUT_MS);

    if (code)
        fail("%s: %s", options->bootstrap, rd_kafka_err2str(code));
    if (metadata->topics[0].err)
        fail("topic %s: %s", options->topic, rd_kafka_err2str(metadata->topics[0].err));
    if (metadata->topics[0].partition_cnt != options->partition_count)
        fail("topic %s has %d partitions, not %" PRId64, options->topic,
             metadata->topics[0].partition_cnt, options->partition_count);
    rd_kafka_metadata_destroy(metadata);

    while (!producer->ready) {
        if (clock_ns(CLOCK_MONOTONIC) > deadline_ns)
            fail("%s: no producer id", options->bootstrap);
        rd_kafka_poll(producer->client, 100);
    }
}

static void producer_close(struct producer *producer)
{
    rd_kafka_topic_destroy(producer->topic);
    rd_kafka_destroy(producer->client);
    free(producer->value.bytes);
}

/* Waits for the record's moment; never for earlier records, so a stall does not shift the rest. */
static void producer_await_schedule(struct producer *producer, int64_t due_ns)
{
    struct timespec due = {.tv_sec = due_ns / NANOS_PER_SECOND,
                           .tv_nsec = due_ns % NANOS_PER_SECOND};

    rd_kafka_poll(producer->client, 0);
    while (clock_ns(CLOCK_MONOTONIC) < due_ns)
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL);
}

static void producer_send(struct producer *producer, const struct order *order)
{
    const struct options *options = &producer->options;
    int32_t partition = (int32_t)(order->id % (uint64_t)options->partition_count);
    char key_bytes[24];
    struct text key = {.bytes = key_bytes};

    text_put_number(&key, order->user_id, 1);
    while (rd_kafka_produce(producer->topic, options->by_key ? RD_KAFKA_PARTITION_UA : partition,
                            RD_KAFKA_MSG_F_COPY, producer->value.bytes, producer->value.length,
                            key.bytes, key.length, NULL) == -1) {
        if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            fail("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
        rd_kafka_poll(producer->client, 10);
    }
    producer->byte_count += (int64_t)producer->value.length;
}

/* The record number `index` of this run. */
static void producer_step(struct producer *producer, int64_t index)
{
    const struct options *options = &producer->options;
    struct order order = order_make(options, (uint64_t)(options->first + index));
    int64_t due_ns = options->rate ? index * NANOS_PER_SECOND / options->rate : 0;

    if (options->rate)
        producer_await_schedule(producer, producer->start_ns + due_ns);
    if (options->stamp)
        order.created_micros = options->rate ? producer->start_micros + due_ns / 1000
                                             : clock_ns(CLOCK_REALTIME) / 1000;
    producer->value.length = 0;
    if (options->poison_every && (order.id + 1) % (uint64_t)options->poison_every == 0) {
        TEXT_PUT_LITERAL(&producer->value, "this is not JSON: order ");
        text_put_number(&producer->value, order.id, 1);
        producer->poison_count++;
    } else {
        order_put_json(&order, &producer->value);
        producer->id_sum += order.id;
    }
    producer_send(producer, &order);
    if (index % POLL_EVERY == 0)
        rd_kafka_poll(producer->client, 0);
}

static void producer_run(struct producer *producer)
{
    producer->start_ns = clock_ns(CLOCK_MONOTONIC);
    producer->start_micros = clock_ns(CLOCK_REALTIME) / 1000;
    for (int64_t i = 0; i < producer->options.record_count; i++)
        producer_step(producer, i);
    if (rd_kafka_flush(producer->client, FLUSH_TIMEOUT_MS))
        fail("%d records were not delivered within %d s", rd_kafka_outq_len(producer->client),
             FLUSH_TIMEOUT_MS / 1000);
}

static void producer_print_summary(const struct producer *producer)
{
    const struct options *options = &producer->options;
    double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - producer->start_ns) / NANOS_PER_SECOND;

    printf("{\"topic\":\"%s\",\"records\":%" PRId64 ",\"poison\":%" PRId64 ",\"failed\":%" PRId64
           ",\"bytes\":%" PRId64 ",\"seconds\":%.3f,\"rate\":%.0f,\"sum_id\":%" PRIu64
           ",\"partitions\":[",
           options->topic, options->record_count, producer->poison_count, producer->failed_count,
           producer->byte_count, seconds, (double)options->record_count / seconds,
           producer->id_sum);
    for (int64_t i = 0; i < options->partition_count; i++)
        printf("%s%" PRId64, i ? "," : "", producer->delivered[i]);
    puts("]}");
}

int main(int argc, char **argv)
{
    static struct producer producer = {
        .options =
            {
                .compression = "none",
                .record_count = 100000,
                .partition_count = 12,
                .seed = 1,
                .escape_every = 16,
                .linger_ms = 50,
                .batch_records = 20000,
            },
    };

    options_parse(&producer.options, argc, argv);
    producer_open(&producer);
    producer_connect(&producer);
    producer_run(&producer);
    producer_print_summary(&producer);
    producer_close(&producer);
    return producer.failed_count ? EXIT_FAILURE : EXIT_SUCCESS;
}
