/* COPY text of a dead letter. Bytes go as \x hex, so whatever the record held is kept. */
#include "pg/dead_letters.h"

#include "base/utf8.h"
#include "pg/copy_text.h"

#include <inttypes.h>
#include <time.h>

static const time_t LATEST_SECOND = 253402300799; /* the end of the year 9999 */

const char dead_letters_copy_sql[] =
    "COPY pgsluice.dead_letters (sink, topic, partition, record_offset, record_time, key, value,"
    " headers, reason, sqlstate, target_table, target_column, instance,"
    " backfill) FROM STDIN;";

static void append_escaped(struct buffer *out, struct slice text)
{
    size_t start = out->len;

    buffer_append(out, text.data, text.len);
    copy_text_escape(out, start);
}

/* A reason may name a field of the record, cut in the middle of a character. */
static void append_text(struct buffer *out, const char *text)
{
    bool valid = text && utf8_valid(slice_of(text));

    if (text && *text)
        append_escaped(out, valid ? slice_of(text) : slice_of("(not valid UTF-8)"));
    else
        buffer_append_text(out, "\\N");
    buffer_append_text(out, "\t");
}

static void append_bytes(struct buffer *out, struct slice bytes)
{
    static const char digits[] = "0123456789abcdef";

    if (!bytes.data) {
        buffer_append_text(out, "\\N\t");
        return;
    }
    buffer_append_text(out, "\\\\x");
    buffer_reserve(out, bytes.len * 2 + 1);
    for (size_t i = 0; i < bytes.len; i++) {
        buffer_put_byte(out, digits[(unsigned char)bytes.data[i] >> 4]);
        buffer_put_byte(out, digits[(unsigned char)bytes.data[i] & 15]);
    }
    buffer_put_byte(out, '\t');
}

/* Absurd timestamps (before 1970, after 9999) are as good as none. */
static void append_time(struct buffer *out, int64_t timestamp_ms)
{
    time_t seconds = (time_t)(timestamp_ms / 1000);
    struct tm parts;
    char text[32];

    if (timestamp_ms < 0 || seconds > LATEST_SECOND) {
        buffer_append_text(out, "\\N\t");
        return;
    }
    gmtime_r(&seconds, &parts);
    strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts);
    buffer_printf(out, "%s.%03d+00\t", text, (int)(timestamp_ms % 1000));
}

void dead_letters_encode(struct buffer *out, const struct dead_letter *letter)
{
    const struct record *record = letter->record;

    append_text(out, letter->sink);
    append_text(out, letter->topic);
    buffer_printf(out, "%" PRId32 "\t%" PRId64 "\t", letter->partition, record->offset);
    append_time(out, record->timestamp_ms);
    append_bytes(out, record->key);
    append_bytes(out, record->value);
    if (record->headers.data)
        append_escaped(out, record->headers);
    else
        buffer_append_text(out, "\\N");
    buffer_append_text(out, "\t");
    append_text(out, letter->reason->text);
    append_text(out, letter->reason->sqlstate);
    append_text(out, letter->table);
    append_text(out, letter->reason->column);
    append_text(out, letter->instance);
    append_text(out, letter->backfill);
    out->data[out->len - 1] = '\n'; /* instead of the last tab */
}
