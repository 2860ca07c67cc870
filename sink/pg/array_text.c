/*
 * From [ ] to { }, token by token.
 *
 * The two notations nest alike, so no depth is kept: a bracket becomes a brace, a comma stays, a
 * string is unescaped and quoted anew, null becomes NULL, any other token is copied. Elements of
 * json[] are the exception: everything between the outermost commas is one quoted element, so there
 * the end of each value has to be found.
 *
 * The array is valid by contract. Whatever is not is never read past its end, and whether the
 * result is an array of the column's type is the server's to say.
 */
#include "pg/array_text.h"

#include "base/json_string.h"

struct reader {
    const char *at;
    const char *end;
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Moves behind the string that starts here and returns its body. */
static struct slice take_string(struct reader *reader)
{
    const char *start = ++reader->at;

    while (reader->at < reader->end && *reader->at != '"')
        reader->at += *reader->at == '\\' && reader->end - reader->at > 1 ? 2 : 1;
    struct slice body = {start, (size_t)(reader->at - start)};
    if (reader->at < reader->end)
        reader->at++;
    return body;
}

/* A number, true, false or null. */
static struct slice take_word(struct reader *reader)
{
    const char *start = reader->at;

    while (reader->at < reader->end && !is_space(*reader->at) && *reader->at != ',' &&
           *reader->at != ']' && *reader->at != '}')
        reader->at++;
    return (struct slice){start, (size_t)(reader->at - start)};
}

static void append_word(struct buffer *out, struct slice word)
{
    if (slice_equal(word, slice_of("null")))
        word = slice_of("NULL");
    buffer_append(out, word.data, word.len);
}

/* Quotes in place what has been appended since `start`, an opening quote. */
static void close_quotes(struct buffer *out, size_t start)
{
    size_t more = 0;

    for (size_t i = start + 1; i < out->len; i++)
        more += out->data[i] == '"' || out->data[i] == '\\';
    buffer_reserve(out, more + 1);
    const char *from = out->data + out->len;
    out->len += more;
    char *to = out->data + out->len;
    while (to != from) {
        *--to = *--from;
        if (*from == '"' || *from == '\\')
            *--to = '\\';
    }
    buffer_put_byte(out, '"');
}

static void append_string(struct buffer *out, struct slice body)
{
    size_t start = out->len;

    buffer_reserve(out, body.len + 1);
    buffer_put_byte(out, '"');
    out->len += json_string_unescape(body, out->data + out->len);
    close_quotes(out, start);
}

static bool append_scalars(struct buffer *out, struct reader *reader, struct err *err)
{
    while (reader->at < reader->end) {
        char c = *reader->at;
        if (c == '{')
            return err_set(err, ERR_DATA, "the array holds an object; scalars are wanted");
        if (c == '"') {
            append_string(out, take_string(reader));
        } else if (c == '[' || c == ']' || c == ',') {
            buffer_append(out, c == '[' ? "{" : c == ']' ? "}" : ",", 1);
            reader->at++;
        } else if (is_space(c) || c == '}') {
            reader->at++;
        } else {
            append_word(out, take_word(reader));
        }
    }
    return true;
}

/* Moves behind the object or array that starts here. */
static void skip_nested(struct reader *reader)
{
    size_t depth = 0;

    while (reader->at < reader->end) {
        char c = *reader->at;
        if (c == '"') {
            take_string(reader);
            continue;
        }
        reader->at++;
        depth += c == '[' || c == '{';
        depth -= c == ']' || c == '}';
        if (depth == 0)
            return;
    }
}

static void append_element(struct buffer *out, struct slice json)
{
    size_t start = out->len;

    buffer_append(out, "\"", 1);
    buffer_append(out, json.data, json.len);
    close_quotes(out, start);
}

static void append_json(struct buffer *out, struct reader *reader)
{
    const char *start = reader->at;
    char c = *reader->at;

    if (c == '"')
        take_string(reader);
    else if (c == '{' || c == '[')
        skip_nested(reader);
    else
        take_word(reader);
    struct slice json = {start, (size_t)(reader->at - start)};
    if (slice_equal(json, slice_of("null")))
        buffer_append_text(out, "NULL");
    else
        append_element(out, json);
}

/* What lies between the outer brackets. */
static void append_jsons(struct buffer *out, struct reader *reader)
{
    while (reader->at < reader->end) {
        if (is_space(*reader->at)) {
            reader->at++;
        } else if (*reader->at == ',' || *reader->at == ']' || *reader->at == '}') {
            buffer_append(out, *reader->at == ',' ? "," : "}", 1);
            reader->at++;
        } else {
            append_json(out, reader);
        }
    }
}

bool array_text_append(struct buffer *out, struct slice array, enum array_elements elements,
                       struct err *err)
{
    struct reader reader = {array.data, array.data + array.len};

    if (elements == ARRAY_OF_SCALARS)
        return append_scalars(out, &reader, err);
    buffer_append(out, "{", 1);
    reader.at += array.len > 0; /* its opening bracket */
    append_jsons(out, &reader);
    return true;
}
