/* Optimal string alignment over three rows: this one, the one before, and the one before that. */
#include "base/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static bool same(char a, char b)
{
    return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Row i holds the distances of a's first i letters to each beginning of b. */
static void fill_row(size_t (*rows)[SUGGEST_WORD_BYTES + 1], size_t i, const char *a, const char *b)
{
    size_t *row = rows[i % 3];
    const size_t *before = rows[(i + 2) % 3];
    const size_t *twice_before = rows[(i + 1) % 3];

    row[0] = i;
    for (size_t j = 1; b[j - 1]; j++) {
        row[j] = before[j - 1] + !same(a[i - 1], b[j - 1]);
        row[j] = least(row[j], least(before[j], row[j - 1]) + 1);
        if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
            row[j] = least(row[j], twice_before[j - 2] + 1);
    }
}

size_t suggest_distance(const char *a, const char *b)
{
    size_t rows[3][SUGGEST_WORD_BYTES + 1] = {{0}};
    size_t a_len = strlen(a);
    size_t b_len = strlen(b);

    if (a_len > SUGGEST_WORD_BYTES || b_len > SUGGEST_WORD_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= a_len; i++)
        fill_row(rows, i, a, b);
    return rows[a_len % 3][b_len];
}

void suggest_consider(struct suggestion *best, const char *typed, const char *candidate)
{
    size_t distance = suggest_distance(typed, candidate);
    size_t near = 1 + strlen(typed) / 5;

    if (distance > near || (best->word && distance >= best->distance))
        return;
    best->word = candidate;
    best->distance = distance;
}
