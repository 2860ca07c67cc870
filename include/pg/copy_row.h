/*
 * Where a row of COPY data ends, in data that was encoded here. Source of the formats: PostgreSQL's
 * documentation, "COPY". Thread: any, pure.
 */
#ifndef PG_COPY_ROW_H
#define PG_COPY_ROW_H

#include "base/slice.h"
#include "pg/type.h"

/* Bytes of the first of `count` rows or more that lie one behind the other. */
size_t copy_row_bytes(enum type_format format, struct slice data, size_t count);

#endif
