/*
 * The set of wanted names: which column a field of the record goes to. Internal to decode/json*.c.
 *
 * Producers mostly write the fields in the order of the columns, so the decoder first compares the
 * bytes with the token of the column that follows the last match, and asks the hash table only when
 * that fails. Thread: any; immutable once built.
 */
#ifndef DECODE_JSON_FIELDS_H
#define DECODE_JSON_FIELDS_H

#include "decode/json.h"

struct json_field {
    char *token;       /* as a producer writes it: "name": with quotes and colon */
    size_t token_len;  /* SIZE_MAX: the token must not match, see the .c */
    struct slice name; /* borrowed from the token */
};

struct json_fields {
    size_t count;
    enum json_unknown unknown;
    struct json_field *field; /* count, and one behind them whose token matches nothing */
    uint16_t *slots;          /* hash table: index + 1, 0 is free */
    size_t slot_mask;
};

/* The index of this name, or `count`. `escaped`: it is the body of a string with escapes. */
size_t json_fields_find(const struct json_fields *fields, struct slice name, bool escaped);

/* memcmp(a, b, len) == 0, without a call for the usual lengths: two words, which may overlap. */
static inline bool json_fields_same(const char *a, const char *b, size_t len)
{
    uint64_t first[2], last[2];

    if (UNLIKELY(len < sizeof(uint64_t) || len > 2 * sizeof(uint64_t)))
        return memcmp(a, b, len) == 0;
    memcpy(&first[0], a, sizeof(uint64_t));
    memcpy(&first[1], b, sizeof(uint64_t));
    memcpy(&last[0], a + len - sizeof(uint64_t), sizeof(uint64_t));
    memcpy(&last[1], b + len - sizeof(uint64_t), sizeof(uint64_t));
    return ((first[0] ^ first[1]) | (last[0] ^ last[1])) == 0;
}

/* Whether the bytes at `at` are the token of field `index`, which may be `count`: never. */
static inline bool json_fields_follows(const struct json_fields *fields, size_t index,
                                       const char *at, const char *end)
{
    const struct json_field *field = &fields->field[index];

    return (size_t)(end - at) >= field->token_len &&
           json_fields_same(at, field->token, field->token_len);
}

#endif
