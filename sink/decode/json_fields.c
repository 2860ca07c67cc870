/*
 * The hash table of names, and their tokens.
 *
 * The table has open addressing and is at most half full, so a search ends at a free slot soon. The
 * hash reads the ends of a name only, never all of it: 16 bytes and the length tell columns apart,
 * and where they do not, the comparison does. (The way that wyhash reads short keys.)
 */
#include "decode/json_fields.h"

#include "base/memory.h"
#include "base/utf8.h"
#include "decode/json_escape.h"

#include <assert.h>
#include <stdlib.h>

static uint64_t load_four(const char *at)
{
    uint32_t word;

    memcpy(&word, at, sizeof(word));
    return word;
}

/* The ends of a name; both are the same bytes when it is short. */
static uint64_t sample(struct slice name)
{
    const unsigned char *bytes = (const unsigned char *)name.data;

    if (name.len >= 4)
        return load_four(name.data) << 32 | load_four(name.data + name.len - 4);
    if (name.len > 0)
        return bytes[0] | (uint64_t)bytes[name.len / 2] << 8 | (uint64_t)bytes[name.len - 1] << 16;
    return 0;
}

/* The slot to look at first. The factor is 2^64 / the golden ratio (Knuth, section 6.4). */
static size_t first_slot(const struct json_fields *fields, struct slice name)
{
    size_t inner = name.len >= 16 ? 4 : 0;
    struct slice middle = {name.data + inner, name.len - 2 * inner};
    uint64_t mix = (sample(name) ^ name.len) * UINT64_C(0x9E3779B97F4A7C15);

    if (inner)
        mix = (mix ^ sample(middle)) * UINT64_C(0x9E3779B97F4A7C15);
    return (size_t)(mix >> 32) & fields->slot_mask;
}

static size_t find_plain(const struct json_fields *fields, struct slice name)
{
    size_t slot = first_slot(fields, name);

    for (; fields->slots[slot]; slot = (slot + 1) & fields->slot_mask) {
        size_t index = fields->slots[slot] - 1u;
        if (slice_equal(fields->field[index].name, name))
            return index;
    }
    return fields->count;
}

/* Seldom: hardly anybody escapes a field's name. */
static size_t find_escaped(const struct json_fields *fields, struct slice body)
{
    size_t index = 0;

    while (index < fields->count && !json_escape_equal(body, fields->field[index].name))
        index++;
    return index;
}

size_t json_fields_find(const struct json_fields *fields, struct slice name, bool escaped)
{
    return escaped ? find_escaped(fields, name) : find_plain(fields, name);
}

static void insert(struct json_fields *fields, size_t index)
{
    size_t slot = first_slot(fields, fields->field[index].name);

    while (fields->slots[slot])
        slot = (slot + 1) & fields->slot_mask;
    fields->slots[slot] = (uint16_t)(index + 1);
}

/* Whether these bytes can stand between quotes as they are. */
static bool is_string_body(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if ((unsigned char)name.data[i] < 0x20 || name.data[i] == '"' || name.data[i] == '\\')
            return false;
    }
    return utf8_valid(name);
}

/* A token that matches skips the checks of a string, so one that would need any never matches. */
static struct json_field make_field(const char *name)
{
    char *token = memory_printf("\"%s\":", name);
    struct slice body = {token + 1, strlen(name)};

    return (struct json_field){
        .token = token,
        .token_len = is_string_body(body) ? body.len + 3 : SIZE_MAX,
        .name = body,
    };
}

static void allocate(struct json_fields *fields, size_t count)
{
    size_t slot_count = 2;

    assert(count < UINT16_MAX);
    while (slot_count < 2 * count)
        slot_count *= 2;
    fields->count = count;
    fields->field = memory_new_array(count + 1, sizeof(*fields->field));
    fields->field[count].token_len = SIZE_MAX;
    fields->slots = memory_new_array(slot_count, sizeof(*fields->slots));
    fields->slot_mask = slot_count - 1;
}

struct json_fields *json_fields_create(const char *const *names, size_t count,
                                       enum json_unknown unknown)
{
    struct json_fields *fields = memory_new(sizeof(*fields));

    fields->unknown = unknown;
    allocate(fields, count);
    for (size_t i = 0; i < count; i++) {
        fields->field[i] = make_field(names[i]);
        assert(find_plain(fields, fields->field[i].name) == count && "a name twice");
        insert(fields, i);
    }
    return fields;
}

void json_fields_destroy(struct json_fields *fields)
{
    if (!fields)
        return;
    for (size_t i = 0; i < fields->count; i++)
        free(fields->field[i].token);
    free(fields->field);
    free(fields->slots);
    free(fields);
}
