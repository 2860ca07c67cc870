/*
 * What we know of a table: describe_table NAME prints its quoted name, then a line for each column.
 *
 *   "public"."orders"
 *   "id" bigint int8 not_null default
 *
 * The server is that of PGHOST, PGPORT, PGUSER, PGDATABASE. A table that is refused gives the
 * reason on stderr and exit code 78.
 */
#include "pg/table.h"

#include <stdio.h>
#include <stdlib.h>

enum { EXIT_CONFIG = 78 };

static const char *const codec_names[] = {
    [TYPE_OTHER] = "other",     [TYPE_BOOL] = "bool",           [TYPE_INT2] = "int2",
    [TYPE_INT4] = "int4",       [TYPE_INT8] = "int8",           [TYPE_FLOAT4] = "float4",
    [TYPE_FLOAT8] = "float8",   [TYPE_NUMERIC] = "numeric",     [TYPE_TEXT] = "text",
    [TYPE_VARCHAR] = "varchar", [TYPE_BPCHAR] = "bpchar",       [TYPE_UUID] = "uuid",
    [TYPE_DATE] = "date",       [TYPE_TIMESTAMP] = "timestamp", [TYPE_TIMESTAMPTZ] = "timestamptz",
    [TYPE_JSON] = "json",       [TYPE_JSONB] = "jsonb",         [TYPE_BYTEA] = "bytea",
};

static void print_table(const struct table *table)
{
    printf("%s\n", table->quoted);
    for (size_t i = 0; i < table->columns_count; i++) {
        const struct column *column = &table->columns[i];
        printf("%s %s %s%s%s%s%s\n", column->quoted, column->type_name, codec_names[column->codec],
               column->not_null ? " not_null" : "", column->has_default ? " default" : "",
               column->generated ? " generated" : "", column->insertable ? "" : " forbidden");
    }
}

int main(int argc, char **argv)
{
    PGconn *connection = PQconnectdb("");
    struct buffer sql = {0};
    struct table table = {0};
    struct err err;

    if (argc != 2 || PQstatus(connection) != CONNECTION_OK) {
        fprintf(stderr, "usage: describe_table NAME %s\n", PQerrorMessage(connection));
        return EXIT_FAILURE;
    }
    bool known = table_query(&sql, argv[1], &err);
    if (known) {
        PGresult *result = PQexec(connection, buffer_text(&sql));
        known = table_parse(&table, argv[1], result, &err);
        PQclear(result);
    }
    if (known)
        print_table(&table);
    else
        fprintf(stderr, "%s\n", err.text);
    table_finish(&table);
    buffer_finish(&sql);
    PQfinish(connection);
    return known ? EXIT_SUCCESS : EXIT_CONFIG;
}
