/*
 * A target table as PostgreSQL's catalog describes it.
 *
 * The description is one query; its answer is parsed here, whoever sent it: the boot does so on a
 * blocking connection, a running sink over the pool. Thread: loop (immutable once loaded, so
 * workers read it).
 */
#ifndef PG_TABLE_H
#define PG_TABLE_H

#include "base/buffer.h"
#include "base/err.h"

#include <libpq-fe.h>
#include <stdint.h>

/* PostgreSQL cuts longer names silently (NAMEDATALEN - 1): we refuse them. */
enum { TABLE_IDENTIFIER_BYTES = 63 };

/* The types whose binary form we write ourselves; any other goes as text. */
enum type_codec {
    TYPE_OTHER,
    TYPE_BOOL,
    TYPE_INT2,
    TYPE_INT4,
    TYPE_INT8,
    TYPE_FLOAT4,
    TYPE_FLOAT8,
    TYPE_NUMERIC,
    TYPE_TEXT,    /* text; citext and enums, whose binary form is their text (see type_oid) */
    TYPE_VARCHAR, /* with a limit of typmod - 4 characters, when typmod >= 4 */
    TYPE_BPCHAR,  /* char(n); typmod as varchar */
    TYPE_UUID,
    TYPE_DATE,
    TYPE_TIMESTAMP,
    TYPE_TIMESTAMPTZ,
    TYPE_JSON,
    TYPE_JSONB,
    TYPE_BYTEA,
};

struct column {
    char *name;
    char *quoted;      /* as it stands in SQL */
    char *type_name;   /* format_type() of the base type: for messages */
    uint32_t type_oid; /* of a domain: its base type */
    int32_t typmod;    /* of a domain: its base type's; -1: none */
    enum type_codec codec;
    bool not_null;    /* the column's or its domain's */
    bool has_default; /* absent is not NULL: a DEFAULT, or identity BY DEFAULT */
    bool generated;   /* GENERATED ALWAYS, as identity or expression: never written by us */
    bool insertable;  /* this role may INSERT into it */
};

struct table {
    char *schema;
    char *name;
    char *quoted; /* "schema"."name", ready for SQL */
    struct column *columns;
    size_t columns_count;
};

/*
 * Appends the catalog query for a table written as `table` or `schema.table` (the name's own case,
 * no quotes; the first point divides, without one the search_path decides). False (ERR_CONFIG): a
 * part is empty or longer than TABLE_IDENTIFIER_BYTES.
 */
bool table_query(struct buffer *sql, const char *name, struct err *err) MUST_CHECK;

/*
 * Fills a zeroed table from the query's answer. False (ERR_CONFIG): there is no such table, or it
 * is something that rows can't be copied into.
 */
bool table_parse(struct table *table, const char *name, const PGresult *result,
                 struct err *err) MUST_CHECK;

void table_finish(struct table *table);

/*
 * A table's version changes whenever its description may have: 32 hexadecimal digits, made by
 * pgsluice.table_version. Read before the description, it is at worst older than that.
 */
enum { TABLE_VERSION_BYTES = 32 };

/* Appends the query for it. False (ERR_CONFIG): as table_query. */
bool table_version_query(struct buffer *sql, const char *name, struct err *err) MUST_CHECK;

/*
 * Appends a statement that locks the table against changes until the transaction ends, and raises
 * SQLSTATE_TABLE_CHANGED unless it still has this version.
 */
void table_expect_sql(struct buffer *sql, const struct table *table, const char *version);

/* NULL: no such column. */
const struct column *table_column(const struct table *table, const char *name);

/* Appends an identifier, quoted. */
void table_quote(struct buffer *sql, const char *identifier);

#endif
