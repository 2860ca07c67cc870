/* What PostgreSQL's catalog answers to pg/table.h's query, for tests without a server. */
#ifndef CATALOG_ANSWER_H
#define CATALOG_ANSWER_H

#include "base/compiler.h"
#include "pg/table.h"

#include <assert.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_INT8 = 20,
    OID_INT4 = 23,
    OID_TEXT = 25,
    OID_JSONB = 3802,
    OID_POINT = 600,
    OID_NUMERIC = 1700,
    OID_TIMESTAMPTZ = 1184,
    OID_FLOAT8 = 701,
    OID_JSON = 114
};

struct catalog_column {
    const char *name;
    unsigned oid;
    bool not_null;
    bool has_default;
    bool generated;
    bool denied; /* this role may not INSERT into it */
};

enum { CATALOG_FIELDS = 13 };

static inline void catalog_set(PGresult *result, int row, int field, const char *text)
{
    char *copy = text ? strdup(text) : NULL;

    PQsetvalue(result, row, field, copy, text ? (int)strlen(text) : -1);
    free(copy);
}

static inline void catalog_set_column(PGresult *result, int row,
                                      const struct catalog_column *column)
{
    char oid[16];

    snprintf(oid, sizeof(oid), "%u", column->oid);
    catalog_set(result, row, 4, column->name);
    catalog_set(result, row, 5, "a type");
    catalog_set(result, row, 6, oid);
    catalog_set(result, row, 7, "-1");
    catalog_set(result, row, 8, "f");
    catalog_set(result, row, 9, column->not_null ? "t" : "f");
    catalog_set(result, row, 10, column->has_default ? "t" : "f");
    catalog_set(result, row, 11, column->generated ? "t" : "f");
    catalog_set(result, row, 12, column->denied ? "f" : "t");
}

/* "public".table with these columns; PQclear ends it. */
static inline PGresult *catalog_result(const char *table, const struct catalog_column *columns,
                                       int count)
{
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc attributes[CATALOG_FIELDS] = {0};
    static char field[] = "field";

    for (int i = 0; i < CATALOG_FIELDS; i++)
        attributes[i].name = field;
    PQsetResultAttrs(result, CATALOG_FIELDS, attributes);
    for (int row = 0; row < count; row++) {
        catalog_set(result, row, 0, "database");
        catalog_set(result, row, 1, "r");
        catalog_set(result, row, 2, "public");
        catalog_set(result, row, 3, table);
        catalog_set_column(result, row, &columns[row]);
    }
    return result;
}

/* The table that they make. */
static inline struct table catalog_table(const char *name, const struct catalog_column *columns,
                                         int count)
{
    PGresult *result = catalog_result(name, columns, count);
    struct table table = {0};
    struct err err;

    bool parsed = table_parse(&table, name, result, &err);
    assert(parsed);
    PQclear(result);
    return table;
}

#endif
