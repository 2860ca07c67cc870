/*
 * What encoding costs: records from a file, through a mapping, into COPY bytes (dispatch/encode.h),
 * with neither Kafka nor PostgreSQL.
 *
 *   bench_encode [--raw] [--rounds N] FILE NAME:TYPE...
 *
 * FILE has each record behind its length in 4 bytes, big-endian (produce_rows --print makes one).
 * The table has those columns. A round encodes every record once, in batches of 10,000. stdout gets
 * a line of JSON with the CPU time of one record in the best round and in the median one:
 *
 *   {"records":100000,"bytes":16500000,"dead":0,"best_ns":142.1,"median_ns":143.0}
 *
 * Under callgrind with --toggle-collect=encode_batch the instructions of the encode path are
 * counted.
 */
#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/encode.h"
#include "pg/table.h"

#include <endian.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BATCH_ROWS = 10000, ROUNDS = 15, ROUNDS_MAX = 1000 };

struct bench {
    struct arena_store store;
    struct mapping *mapping;
    struct batch **batches;
    size_t batches_count;
    size_t records_count;
    size_t dead_count;
    size_t bytes;
};

static void must(bool done, const char *what, const char *detail)
{
    if (done)
        return;
    fprintf(stderr, "bench_encode: %s: %s\n", what, detail);
    exit(EXIT_FAILURE);
}

/* --- The table -------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum type_codec codec;
} types[] = {
    {"bigint", TYPE_INT8},
    {"double precision", TYPE_FLOAT8},
    {"text", TYPE_TEXT},
    {"boolean", TYPE_BOOL},
    {"timestamptz", TYPE_TIMESTAMPTZ},
    {"numeric", TYPE_NUMERIC},
    {"integer", TYPE_INT4},
    {"json", TYPE_JSON},
    {"jsonb", TYPE_JSONB},
};

static enum type_codec find_codec(const char *type)
{
    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (strcmp(types[i].name, type) == 0)
            return types[i].codec;
    must(false, type, "is no type that is known here");
    return TYPE_OTHER;
}

/* NAME:TYPE, cut at the colon. */
static struct column make_column(char *argument)
{
    char *colon = strchr(argument, ':');

    must(colon, argument, "is not NAME:TYPE");
    *colon = '\0';
    return (struct column){
        .name = memory_strdup(argument),
        .quoted = memory_strdup(argument),
        .type_name = memory_strdup(colon + 1),
        .typmod = -1,
        .codec = find_codec(colon + 1),
        .insertable = true,
    };
}

static struct mapping *make_mapping(char **arguments, size_t count, bool raw)
{
    static char topic[] = "bench";
    struct config config = {.table = topic,
                            .value_format = raw ? CONFIG_VALUE_RAW : CONFIG_VALUE_JSON};
    struct table table = {
        .schema = memory_strdup("public"),
        .name = memory_strdup("bench"),
        .quoted = memory_strdup("bench"),
        .columns = memory_new_array(count, sizeof(*table.columns)),
        .columns_count = count,
    };
    struct err err;

    for (size_t i = 0; i < count; i++)
        table.columns[i] = make_column(arguments[i]);
    struct mapping *mapping = mapping_compile(&config, topic, &table, &err);
    must(mapping, "mapping", err.text);
    return mapping;
}

/* --- The records ------------------------------------------------------------------------------ */

static struct batch *add_batch(struct bench *bench)
{
    struct batch *batch = batch_create(&bench->store);

    batch->topic = "bench";
    batch->mapping = bench->mapping;
    bench->batches = memory_resize(bench->batches, (bench->batches_count + 1) * sizeof(batch));
    bench->batches[bench->batches_count++] = batch;
    return batch;
}

static void read_records(struct bench *bench, const char *path)
{
    FILE *file = fopen(path, "rb");
    struct batch *batch = NULL;
    struct buffer value = {0};
    uint32_t wire;

    must(file, path, "can't be read");
    while (fread(&wire, sizeof(wire), 1, file) == 1) {
        uint32_t len = be32toh(wire);
        buffer_reset(&value);
        buffer_reserve(&value, len);
        must(fread(value.data, 1, len, file) == len, path, "is cut");
        if (!batch || batch->count == BATCH_ROWS)
            batch = add_batch(bench);
        batch_append(batch, &(struct record){.offset = (int64_t)bench->records_count++,
                                             .timestamp_ms = -1,
                                             .value = {value.data, len}});
    }
    must(bench->records_count > 0, path, "is empty");
    buffer_finish(&value);
    fclose(file);
}

/* --- Measuring -------------------------------------------------------------------------------- */

static void encode_all(struct bench *bench)
{
    const struct encode_settings settings = {
        .sink = "bench", .instance = "bench", .to_table = true};

    for (size_t i = 0; i < bench->batches_count; i++)
        encode_batch(bench->batches[i], &settings);
}

static double cpu_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int compare_times(const void *a, const void *b)
{
    double left = *(const double *)a;
    double right = *(const double *)b;

    return (left > right) - (left < right);
}

static void count_results(struct bench *bench)
{
    for (size_t i = 0; i < bench->batches_count; i++) {
        bench->bytes += bench->batches[i]->rows.len;
        bench->dead_count += bench->batches[i]->dead_count;
    }
}

static void run(struct bench *bench, size_t rounds)
{
    static double times_ns[ROUNDS_MAX];

    for (size_t i = 0; i < rounds; i++) {
        double start_ns = cpu_ns();
        encode_all(bench);
        times_ns[i] = cpu_ns() - start_ns;
    }
    count_results(bench);
    qsort(times_ns, rounds, sizeof(times_ns[0]), compare_times);
    printf("{\"records\":%zu,\"bytes\":%zu,\"dead\":%zu,\"best_ns\":%.2f,\"median_ns\":%.2f}\n",
           bench->records_count, bench->bytes, bench->dead_count,
           times_ns[0] / (double)bench->records_count,
           times_ns[rounds / 2] / (double)bench->records_count);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"raw", no_argument, NULL, 'r'},
        {"rounds", required_argument, NULL, 'n'},
        {0},
    };
    struct bench bench = {0};
    size_t rounds = ROUNDS;
    bool raw = false;
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'r')
            raw = true;
        else if (option == 'n')
            rounds = strtoul(optarg, NULL, 10);
        else
            return 64;
    }
    must(argc - optind >= 2, "usage", "bench_encode [--raw] [--rounds N] FILE NAME:TYPE...");
    must(rounds > 0 && rounds <= ROUNDS_MAX, "rounds", "1 to 1000");
    bench.mapping = make_mapping(argv + optind + 1, (size_t)(argc - optind - 1), raw);
    read_records(&bench, argv[optind]);
    run(&bench, rounds);
    for (size_t i = 0; i < bench.batches_count; i++)
        batch_destroy(bench.batches[i]);
    free(bench.batches);
    mapping_destroy(bench.mapping);
    arena_store_finish(&bench.store);
    return EXIT_SUCCESS;
}
