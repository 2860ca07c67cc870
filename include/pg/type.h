/*
 * A value becomes a column: COPY text for every type, COPY binary for the hand-encoded ones.
 *
 * An encoder appends one field. Text: the escaped field without its tab or newline, \N for NULL.
 * Binary: the int32 length and the bytes, -1 for NULL. VALUE_ABSENT is written as NULL here; the
 * caller has left the column out where its DEFAULT applies. NOT NULL is the caller's to check.
 *
 * False (ERR_DATA): the value can't be this type (`"abc" is not an integer` without quoting the
 * payload, out of range, too long ...). The text says what would be right and names neither column
 * nor record: the caller adds these. What was appended is then garbage that the caller cuts off.
 *
 * What a value of one kind means in a column of another; any other pair is ERR_DATA:
 *
 *   boolean    bool; text ("true"); json/jsonb
 *   number     integers (1.0 and 1e3 are integers, 1.5 is not), floats, numeric (exact), text (its
 *              own text), json/jsonb, bool (1 and 0), timestamp(tz) and date as Unix time: seconds
 *              below 1e11, milliseconds below 1e14, microseconds from there on
 *   timestamp  timestamp(tz), date (in UTC); text and json/jsonb as ISO 8601; numbers as its
 *              milliseconds
 *   string     what PostgreSQL's own input function makes of it; in binary the common forms are
 *              parsed here (integers, floats and numeric with NaN and Infinity, booleans, uuid,
 *              ISO 8601 dates and timestamps, bytea), with PostgreSQL's result or ERR_DATA
 *   json       json/jsonb; text and varchar (its own text); array types that travel as text: a
 *              JSON array becomes PostgreSQL's {...}; other types that travel as text: its own text
 *   bytes      bytea; json/jsonb: as they are, the decoder has found them to be valid JSON; else
 *              what a string of them would be, if they are valid UTF-8 without NUL
 *
 * json and jsonb columns get a string as a JSON string: its original bytes with the quotes.
 *
 * Formats: PostgreSQL's documentation, "COPY", and src/backend/utils/adt for the binary ones
 * (numeric: base-10000 digits; timestamps: microseconds since 2000-01-01).
 * Thread: any, pure.
 */
#ifndef PG_TYPE_H
#define PG_TYPE_H

#include "base/buffer.h"
#include "base/err.h"
#include "base/value.h"
#include "pg/table.h"

enum type_format { TYPE_FORMAT_TEXT, TYPE_FORMAT_BINARY };

typedef bool (*type_encode_cb)(struct buffer *out, const struct column *column,
                               const struct value *value, struct err *err);

/* TYPE_OTHER for a type that only travels as text. */
enum type_codec type_codec_of(uint32_t type_oid);

/* Never NULL, but for TYPE_OTHER in binary. */
type_encode_cb type_encoder(enum type_codec codec, enum type_format format);

#endif
