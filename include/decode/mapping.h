/*
 * How the records of one topic become rows of one table.
 *
 * A mapping is compiled from a table's description and never changes; when the table does, a new
 * one is compiled and the old one lives until its last batch is gone. Thread: made on the loop (or
 * before it), read by workers.
 *
 * Where a column's value comes from:
 *   SINK_VALUE_FORMAT=json  the field of the same name; or, for columns with these names (Kafka
 * Connect's JDBC sink has the first three), from the record itself: __connect_topic,
 *                           __connect_partition, __connect_offset, __connect_timestamp,
 * __connect_key,
 *                           __connect_headers
 *   SINK_VALUE_FORMAT=raw   topic, partition, offset, timestamp, key, value, headers
 */
#ifndef DECODE_MAPPING_H
#define DECODE_MAPPING_H

#include "base/record.h"
#include "base/value.h"
#include "config.h"
#include "decode/json.h"
#include "pg/table.h"
#include "pg/type.h"

enum mapping_source {
    MAPPING_FIELD, /* of the JSON object */
    MAPPING_TOPIC,
    MAPPING_PARTITION,
    MAPPING_OFFSET,
    MAPPING_TIMESTAMP,
    MAPPING_KEY,
    MAPPING_VALUE,
    MAPPING_HEADERS,
};

struct mapping_column {
    const struct column *column; /* of mapping.table */
    enum mapping_source source;
    type_encode_cb encode;
    uint64_t default_bit; /* in an absent mask; 0: absent is NULL */
};

struct mapping {
    struct mapping *next; /* the table's former versions */
    char *topic;
    struct table table;
    char table_version[TABLE_VERSION_BYTES + 1]; /* the route's; empty: not known */
    enum type_format format; /* binary when every mapped column's type is hand-encoded */
    struct mapping_column *columns;
    size_t columns_count;
    size_t fields_count;        /* the first of the columns: those of MAPPING_FIELD */
    struct json_fields *fields; /* NULL: raw */
    bool wants_headers;         /* one of the columns is filled from them */
};

/* The table that a topic goes to: SINK_TABLE with the topic filled in. free() ends it. */
char *mapping_table_name(const struct config *config, const char *topic);

/*
 * Takes the table's content over. NULL (ERR_CONFIG): no column can be filled, or a NOT NULL column
 * has no source; the table is finished then.
 */
struct mapping *mapping_compile(const struct config *config, const char *topic, struct table *table,
                                struct err *err);
void mapping_destroy(struct mapping *mapping);

/*
 * One value for each column, borrowed from the record. False: ERR_DATA, the record is no row;
 * ERR_CONFIG, its partition has to stop here.
 */
bool mapping_decode(const struct mapping *mapping, const struct record *record, int32_t partition,
                    struct value *values, struct err *err) MUST_CHECK;

/* "COPY table (columns) FROM STDIN ...;" without the columns whose default_bit is in the mask. */
void mapping_copy_sql(const struct mapping *mapping, uint64_t absent_mask, struct buffer *sql);

/* Whether two descriptions give the same mapping, so that nothing was mended by loading it anew. */
bool mapping_same(const struct mapping *a, const struct mapping *b);

#endif
