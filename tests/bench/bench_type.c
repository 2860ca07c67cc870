/*
 * What encoding a row costs: values as a JSON decoder leaves them, into COPY binary and COPY text.
 *
 *   bench_type [rounds]
 *
 * The row is that of the W2 workload: two bigints, a float8, a timestamptz, a boolean, three texts.
 * One round encodes all rows once in each format; the printed time is that of the best round and of
 * the median one, for one row.
 */
#include "pg/type.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum {
    ROWS = 1000,
    COLUMNS = 8,
    ROUNDS = 2000,
    ROUNDS_MAX = 100000,
    TEXT_BYTES = 160,
};

static const enum type_codec codecs[COLUMNS] = {
    TYPE_INT8, TYPE_INT8, TYPE_TEXT, TYPE_FLOAT8, TYPE_TIMESTAMPTZ, TYPE_BOOL, TYPE_TEXT, TYPE_TEXT,
};

struct bench {
    struct column columns[COLUMNS];
    type_encode_cb encoders[COLUMNS];
    struct value rows[ROWS][COLUMNS];
    char texts[ROWS][COLUMNS][TEXT_BYTES];
    struct buffer out;
};

/* splitmix64: the same rows in every run. */
static uint64_t draw(uint64_t limit)
{
    static uint64_t state = 42;
    uint64_t z = state += UINT64_C(0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (z ^ (z >> 31)) % limit;
}

static void write_text(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        text[i] = (char)('a' + draw(26));
    text[len] = '\0';
}

static void write_value(enum type_codec codec, size_t column, char text[TEXT_BYTES])
{
    if (codec == TYPE_INT8)
        snprintf(text, TEXT_BYTES, "%" PRIu64, draw(UINT64_C(10000000000)));
    else if (codec == TYPE_FLOAT8)
        snprintf(text, TEXT_BYTES, "%" PRIu64 ".%02d", draw(100000), (int)draw(100));
    else if (codec == TYPE_TIMESTAMPTZ)
        snprintf(text, TEXT_BYTES, "2026-%02d-%02dT%02d:%02d:%02d.%06dZ", (int)draw(12) + 1,
                 (int)draw(28) + 1, (int)draw(24), (int)draw(60), (int)draw(60),
                 (int)draw(1000000));
    else
        write_text(text, column == COLUMNS - 1 ? 60 + draw(90) : 3 + draw(5));
}

static void fill_value(struct bench *bench, size_t row, size_t column)
{
    struct value *value = &bench->rows[row][column];
    char *text = bench->texts[row][column];

    if (codecs[column] == TYPE_BOOL) {
        *value = (struct value){.kind = VALUE_BOOLEAN, .integer = (int64_t)draw(2)};
        return;
    }
    write_value(codecs[column], column, text);
    bool number = codecs[column] == TYPE_INT8 || codecs[column] == TYPE_FLOAT8;
    *value = (struct value){.kind = number ? VALUE_NUMBER : VALUE_STRING, .text = slice_of(text)};
}

static void fill(struct bench *bench)
{
    static char name[] = "type";

    for (size_t column = 0; column < COLUMNS; column++)
        bench->columns[column] =
            (struct column){.type_name = name, .typmod = -1, .codec = codecs[column]};
    for (size_t row = 0; row < ROWS; row++)
        for (size_t column = 0; column < COLUMNS; column++)
            fill_value(bench, row, column);
}

static void encode_rows(struct bench *bench)
{
    struct err err;

    buffer_reset(&bench->out);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t column = 0; column < COLUMNS; column++)
            if (!bench->encoders[column](&bench->out, &bench->columns[column],
                                         &bench->rows[row][column], &err)) {
                fprintf(stderr, "bench_type: %s\n", err.text);
                exit(EXIT_FAILURE);
            }
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare_times(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a;
    int64_t right = *(const int64_t *)b;

    return (left > right) - (left < right);
}

static void run(struct bench *bench, enum type_format format, size_t rounds)
{
    static int64_t times[ROUNDS_MAX];

    for (size_t column = 0; column < COLUMNS; column++)
        bench->encoders[column] = type_encoder(codecs[column], format);
    for (size_t round = 0; round < rounds; round++) {
        int64_t start = now_ns();
        encode_rows(bench);
        times[round] = now_ns() - start;
    }
    qsort(times, rounds, sizeof(times[0]), compare_times);
    printf("%-6s %4zu B  best %6.1f ns  median %6.1f ns\n",
           format == TYPE_FORMAT_TEXT ? "text" : "binary", bench->out.len / ROWS,
           (double)times[0] / ROWS, (double)times[rounds / 2] / ROWS);
}

int main(int argc, char **argv)
{
    static struct bench bench;
    size_t rounds = argc > 1 ? strtoul(argv[1], NULL, 10) : ROUNDS;

    if (rounds == 0 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "bench_type: rounds: 1 to %d\n", ROUNDS_MAX);
        return EXIT_FAILURE;
    }
    fill(&bench);
    run(&bench, TYPE_FORMAT_BINARY, rounds);
    run(&bench, TYPE_FORMAT_TEXT, rounds);
    buffer_finish(&bench.out);
    return EXIT_SUCCESS;
}
