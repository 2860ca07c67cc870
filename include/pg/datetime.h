/*
 * Timestamps and dates: microseconds and days since 2000-01-01, as PostgreSQL stores them.
 *
 * Text is 'YYYY-MM-DD', then for timestamps optionally ' ' or 'T' and 'HH:MM[:SS[.fraction]]', then
 * optionally 'Z', 'UTC' or '[+-]HH[[:]MM[:SS]]', then optionally ' BC'; or 'infinity' or
 * '-infinity'. White space may stand around it. The result is PostgreSQL's for a session in UTC,
 * which ours are:
 *
 *   a timestamptz without a zone is UTC
 *   a timestamp's zone is checked and ignored, a date's time and zone too
 *   24:00:00 is the next day, 23:59:60 the next minute (so are leap seconds in any minute)
 *   fractions are rounded to the microsecond, half to even; the column's typmod is applied by the
 *   server, to binary as to text
 *
 * All functions: False is ERR_DATA. Sources: src/backend/utils/adt/datetime.c, timestamp.c, date.c.
 * Thread: any, pure.
 */
#ifndef PG_DATETIME_H
#define PG_DATETIME_H

#include "base/buffer.h"
#include "base/err.h"

#include <stdint.h>

bool datetime_parse_timestamp(struct slice text, int64_t *us, struct err *err) MUST_CHECK;
bool datetime_parse_timestamptz(struct slice text, int64_t *us, struct err *err) MUST_CHECK;
bool datetime_parse_date(struct slice text, int32_t *days, struct err *err) MUST_CHECK;

/*
 * Unix time; its size says the unit: seconds below 1e11, milliseconds below 1e14, else
 * microseconds. `number` is a JSON number; what is finer than a microsecond is rounded.
 */
bool datetime_from_number(struct slice number, int64_t *us, struct err *err) MUST_CHECK;
bool datetime_from_integer(int64_t integer, int64_t *us, struct err *err) MUST_CHECK;

bool datetime_from_unix_ms(int64_t unix_ms, int64_t *us, struct err *err) MUST_CHECK;

/* The day in UTC of a timestamp. */
int32_t datetime_date_of(int64_t us);

/* Appends YYYY-MM-DDTHH:MM:SS[.fff|.ffffff]Z[ BC], which all three types read back. */
void datetime_append(struct buffer *out, int64_t us);

#endif
