/*
 * The decoder: a loop over the members of the outermost object, and one over all that lies deeper.
 *
 * Only the outermost members can be wanted, so project_members knows the fields, while
 * scan_container knows nothing but the grammar: it validates an object or an array of any depth
 * without recursion, keeping one byte per level, its closing bracket. Both stand on json_scan.h,
 * whose rule holds here too: the place travels by value, and NULL means that the error is told.
 *
 * Every byte is looked at once, and every rule is checked whether or not the field is wanted: what
 * json_project accepts, PostgreSQL's jsonb accepts, but for jsonb's limits of size.
 */
#include "decode/json.h"

#include "decode/json_fields.h"
#include "decode/json_scan.h"

enum { NAME_SHOWN_MAX = 64 }; /* bytes of an unknown field's name in an error */

/* The containers that are open: `outer` of them around this value, the others inside it. */
struct nesting {
    size_t outer;
    size_t depth;
    char closing[JSON_DEPTH_MAX]; /* from outer to depth - 1: '}' or ']' */
};

static struct slice between(const char *start, const char *end)
{
    return (struct slice){start, (size_t)(end - start)};
}

static bool is_bracket(char byte)
{
    return byte == '{' || byte == '[';
}

static const char *read_string(const struct json_text *text, const char *at, struct value *value)
{
    bool escaped;
    const char *behind = json_scan_string(text, at + 1, &escaped);

    if (UNLIKELY(!behind))
        return NULL;
    value->kind = escaped ? VALUE_ESCAPED : VALUE_STRING;
    value->text = between(at + 1, behind - 1);
    return behind;
}

static const char *read_number(const struct json_text *text, const char *at, struct value *value)
{
    const char *behind = json_scan_number(text, at);

    if (UNLIKELY(!behind))
        return NULL;
    value->kind = VALUE_NUMBER;
    value->text = between(at, behind);
    return behind;
}

static const char *read_boolean(const struct json_text *text, const char *at, struct value *value)
{
    value->kind = VALUE_BOOLEAN;
    value->integer = *at == 't';
    return json_scan_literal(text, at, *at == 't' ? slice_of("true") : slice_of("false"));
}

static const char *read_scalar(const struct json_text *text, const char *at, struct value *value)
{
    char byte = json_scan_peek(text, at);

    if (byte == '"')
        return read_string(text, at, value);
    if (byte == '-' || (byte >= '0' && byte <= '9'))
        return read_number(text, at, value);
    if (byte == 't' || byte == 'f')
        return read_boolean(text, at, value);
    if (byte == 'n') {
        value->kind = VALUE_NULL;
        return json_scan_literal(text, at, slice_of("null"));
    }
    return json_scan_expected(text, at, "a value");
}

/* From behind a member's name to its value. */
static const char *scan_colon(const struct json_text *text, const char *at)
{
    at = json_scan_spaces(text, at);
    if (UNLIKELY(json_scan_peek(text, at) != ':'))
        return json_scan_expected(text, at, "':'");
    return json_scan_spaces(text, at + 1);
}

/* From a member's name, which nobody wants, to its value. */
static const char *scan_name(const struct json_text *text, const char *at)
{
    bool escaped;

    if (UNLIKELY(json_scan_peek(text, at) != '"'))
        return json_scan_expected(text, at, "a field's name");
    at = json_scan_string(text, at + 1, &escaped);
    return at ? scan_colon(text, at) : NULL;
}

/* From a bracket to the first name or value behind it, or to the bracket that closes it. */
static const char *open_container(const struct json_text *text, const char *at,
                                  struct nesting *nesting)
{
    char closing = *at == '{' ? '}' : ']';

    if (UNLIKELY(nesting->depth == JSON_DEPTH_MAX))
        return json_scan_fail(text, at, "nested too deep");
    nesting->closing[nesting->depth++] = closing;
    return json_scan_spaces(text, at + 1);
}

/* From behind a value to the next one, over the ends of containers; or behind the outermost. */
static const char *scan_next(const struct json_text *text, const char *at, struct nesting *nesting)
{
    while (nesting->depth > nesting->outer) {
        char closing = nesting->closing[nesting->depth - 1];
        at = json_scan_spaces(text, at);
        char byte = json_scan_peek(text, at);
        if (byte == ',') {
            at = json_scan_spaces(text, at + 1);
            return closing == '}' ? scan_name(text, at) : at;
        }
        if (UNLIKELY(byte != closing))
            return json_scan_expected(text, at, closing == '}' ? "',' or '}'" : "',' or ']'");
        at++;
        nesting->depth--;
    }
    return at;
}

/* From a container's bracket, or a scalar, to the next value as scan_next has it. */
static const char *scan_step(const struct json_text *text, const char *at, struct nesting *nesting)
{
    struct value ignored;

    if (is_bracket(json_scan_peek(text, at))) {
        at = open_container(text, at, nesting);
        if (UNLIKELY(!at))
            return NULL;
        char closing = nesting->closing[nesting->depth - 1];
        if (json_scan_peek(text, at) != closing)
            return closing == '}' ? scan_name(text, at) : at;
    } else {
        at = read_scalar(text, at, &ignored);
    }
    return LIKELY(at) ? scan_next(text, at, nesting) : NULL;
}

/* From the bracket of a container to behind its end; `outer` containers are open around it. */
static const char *scan_container(const struct json_text *text, const char *at, size_t outer)
{
    struct nesting nesting; /* not zeroed: a level is written when it opens */

    nesting.outer = outer;
    nesting.depth = outer;
    do {
        at = scan_step(text, at, &nesting);
    } while (at && nesting.depth > outer);
    return at;
}

/* A value of any kind, with `outer` containers around it. */
static const char *read_value(const struct json_text *text, const char *at, size_t outer,
                              struct value *value)
{
    const char *start = at;

    if (!is_bracket(json_scan_peek(text, at)))
        return read_scalar(text, at, value);
    at = scan_container(text, at, outer);
    if (at) {
        value->kind = VALUE_JSON;
        value->text = between(start, at);
    }
    return at;
}

static bool is_printable(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        if (name.data[i] < 0x20 || name.data[i] > 0x7E)
            return false;
    }
    return true;
}

/* A name is no payload, but comes from outside: what is long is cut, what is odd is not shown. */
static const char *reject_unknown(const struct json_fields *fields, const struct json_text *text,
                                  struct slice name)
{
    enum err_class class = fields->unknown == JSON_UNKNOWN_STOP ? ERR_CONFIG : ERR_DATA;
    size_t offset = (size_t)(name.data - text->start);
    bool cut = name.len > NAME_SHOWN_MAX;

    if (cut)
        name.len = NAME_SHOWN_MAX;
    if (is_printable(name))
        err_set(text->err, class, "field \"%.*s%s\" at byte %zu has no column", SLICE_ARG(name),
                cut ? "..." : "", offset);
    else
        err_set(text->err, class, "the field at byte %zu has no column", offset);
    return NULL;
}

/* A name that was not the expected one. As match_field. */
static const char *search_field(const struct json_fields *fields, const struct json_text *text,
                                const char *at, size_t *field)
{
    bool escaped;

    if (UNLIKELY(json_scan_peek(text, at) != '"'))
        return json_scan_expected(text, at, "a field's name");
    const char *behind = json_scan_string(text, at + 1, &escaped);
    if (UNLIKELY(!behind))
        return NULL;
    struct slice name = between(at + 1, behind - 1);
    *field = json_fields_find(fields, name, escaped);
    if (UNLIKELY(*field == fields->count && fields->unknown != JSON_UNKNOWN_IGNORE))
        return reject_unknown(fields, text, name);
    return scan_colon(text, behind);
}

/* From a member's name to its value. *field: the expected one, then the one that it is, or count.
 */
static const char *match_field(const struct json_fields *fields, const struct json_text *text,
                               const char *at, size_t *field)
{
    if (LIKELY(json_fields_follows(fields, *field, at, text->end)))
        return json_scan_spaces(text, at + fields->field[*field].token_len);
    return search_field(fields, text, at, field);
}

/* From behind a member's value to the next name, or, with *last set, behind the object. */
static const char *next_member(const struct json_text *text, const char *at, bool *last)
{
    at = json_scan_spaces(text, at);
    char byte = json_scan_peek(text, at);

    *last = byte == '}';
    if (byte == ',')
        return json_scan_spaces(text, at + 1);
    return LIKELY(*last) ? at + 1 : json_scan_expected(text, at, "',' or '}'");
}

/* From the first member's name to behind the outermost object. */
static const char *project_members(const struct json_fields *fields, const struct json_text *text,
                                   const char *at, struct value *values)
{
    size_t expected = 0;
    bool last = false;

    while (at && !last) {
        struct value ignored;
        size_t field = expected;
        at = match_field(fields, text, at, &field);
        bool wanted = field < fields->count;
        expected = wanted ? field + 1 : expected;
        if (LIKELY(at))
            at = read_value(text, at, 1, wanted ? &values[field] : &ignored);
        if (LIKELY(at))
            at = next_member(text, at, &last);
    }
    return at;
}

static const char *project_object(const struct json_fields *fields, const struct json_text *text,
                                  const char *at, struct value *values)
{
    if (json_scan_peek(text, at) != '{')
        return json_scan_expected(text, at, "an object");
    at = json_scan_spaces(text, at + 1);
    return json_scan_peek(text, at) == '}' ? at + 1 : project_members(fields, text, at, values);
}

/* What the scanners need; "no value" becomes an empty text. */
static struct json_text text_of(struct slice document, struct err *err)
{
    const char *start = document.data ? document.data : "";

    return (struct json_text){start, start + document.len, err};
}

static const char *scan_start(const struct json_text *text)
{
    if (text->end - text->start >= 3 && memcmp(text->start, "\xEF\xBB\xBF", 3) == 0)
        return json_scan_fail(text, text->start, "a byte order mark");
    return json_scan_spaces(text, text->start);
}

static const char *scan_end(const struct json_text *text, const char *at)
{
    at = json_scan_spaces(text, at);
    return at == text->end ? at : json_scan_expected(text, at, "the end");
}

bool json_project(const struct json_fields *fields, struct slice document, struct value *values,
                  struct err *err)
{
    struct json_text text = text_of(document, err);
    const char *at = scan_start(&text);

    for (size_t i = 0; i < fields->count; i++)
        values[i].kind = VALUE_ABSENT;
    if (at)
        at = project_object(fields, &text, at, values);
    return at && scan_end(&text, at);
}

bool json_validate(struct slice document, struct err *err)
{
    struct json_text text = text_of(document, err);
    struct value ignored;
    const char *at = scan_start(&text);

    if (at)
        at = read_value(&text, at, 0, &ignored);
    return at && scan_end(&text, at);
}
