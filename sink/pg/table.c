/*
 * The catalog query and its answer.
 *
 * One statement answers everything, so that what it says is of one moment. It gives a row even for
 * a table that does not exist, one for each column, the relation's own facts repeated in each:
 *
 *   to_regclass finds the relation by its quoted name (along the search_path if it has no schema)
 *   a domain is followed down to its base type, collecting NOT NULL and DEFAULT on the way
 *   has_column_privilege tells what COPY and INSERT would be refused for
 */
#include "pg/table.h"

#include "base/memory.h"
#include "pg/type.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    RESULT_DATABASE,
    RESULT_KIND,
    RESULT_SCHEMA,
    RESULT_TABLE,
    RESULT_NAME,
    RESULT_TYPE_NAME,
    RESULT_TYPE_OID,
    RESULT_TYPMOD,
    RESULT_LIKE_TEXT,
    RESULT_NOT_NULL,
    RESULT_HAS_DEFAULT,
    RESULT_GENERATED,
    RESULT_INSERTABLE,
    RESULT_FIELDS,
};

static const char QUERY_BEFORE_NAME[] =
    "SELECT current_database(), c.relkind, n.nspname, c.relname, a.attname,"
    " format_type(b.oid, b.typmod), b.oid, b.typmod,"
    " b.typtype = 'e' OR b.typname = 'citext',"
    " a.attnotnull OR b.not_null,"
    " a.atthasdef AND a.attgenerated = '' OR a.attidentity = 'd' OR b.has_default,"
    " a.attgenerated <> '' OR a.attidentity = 'a',"
    " has_column_privilege(c.oid, a.attnum, 'INSERT')"
    " FROM (SELECT to_regclass(";

static const char QUERY_AFTER_NAME[] =
    ") AS oid) r"
    " LEFT JOIN pg_catalog.pg_class c ON c.oid = r.oid"
    " LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
    " LEFT JOIN pg_catalog.pg_attribute a"
    " ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
    " LEFT JOIN LATERAL ("
    "WITH RECURSIVE base AS ("
    "SELECT a.atttypid AS oid, a.atttypmod AS typmod, false AS not_null, false AS has_default,"
    " 0 AS depth"
    " UNION ALL "
    "SELECT t.typbasetype, t.typtypmod, base.not_null OR t.typnotnull,"
    " base.has_default OR t.typdefault IS NOT NULL, base.depth + 1"
    " FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid WHERE t.typtype = 'd')"
    " SELECT base.*, t.typtype, t.typname"
    " FROM base JOIN pg_catalog.pg_type t ON t.oid = base.oid ORDER BY base.depth DESC LIMIT 1"
    ") b ON true"
    " ORDER BY a.attnum";

/* --- Quoting --------------------------------------------------------------------------------- */

void table_quote(struct buffer *sql, const char *identifier)
{
    buffer_append(sql, "\"", 1);
    for (; *identifier; identifier++) {
        if (*identifier == '"')
            buffer_append(sql, "\"", 1);
        buffer_append(sql, identifier, 1);
    }
    buffer_append(sql, "\"", 1);
}

/* With E, so that it reads the same whatever standard_conforming_strings is. */
static void append_literal(struct buffer *sql, const char *text)
{
    buffer_append_text(sql, "E'");
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\')
            buffer_append(sql, text, 1);
        buffer_append(sql, text, 1);
    }
    buffer_append(sql, "'", 1);
}

static char *quote(const char *identifier)
{
    struct buffer sql = {0};

    table_quote(&sql, identifier);
    buffer_append(&sql, "", 1);
    return sql.data;
}

/* --- The query ------------------------------------------------------------------------------- */

static bool append_part(struct buffer *regclass, const char *part, size_t len, struct err *err)
{
    char identifier[TABLE_IDENTIFIER_BYTES + 1];

    if (len == 0)
        return err_set(err, ERR_CONFIG,
                       "a table's name is `table` or `schema.table`: one part is "
                       "empty");
    if (len > TABLE_IDENTIFIER_BYTES)
        return err_set(err, ERR_CONFIG,
                       "\"%.*s\" has %zu bytes, PostgreSQL's names have at most %d", (int)len, part,
                       len, TABLE_IDENTIFIER_BYTES);
    memcpy(identifier, part, len);
    identifier[len] = '\0';
    table_quote(regclass, identifier);
    return true;
}

/* "schema"."table": the first point divides, a table's own name may have more. */
static bool append_regclass(struct buffer *regclass, const char *name, struct err *err)
{
    const char *point = strchr(name, '.');

    if (!point)
        return append_part(regclass, name, strlen(name), err);
    if (!append_part(regclass, name, (size_t)(point - name), err))
        return false;
    buffer_append(regclass, ".", 1);
    return append_part(regclass, point + 1, strlen(point + 1), err);
}

/* A query around the quoted name as a literal. */
static bool append_query(struct buffer *sql, const char *before, const char *name,
                         const char *after, struct err *err)
{
    struct buffer regclass = {0};

    bool valid = append_regclass(&regclass, name, err);
    if (valid) {
        buffer_append_text(sql, before);
        append_literal(sql, buffer_text(&regclass));
        buffer_append_text(sql, after);
    }
    buffer_finish(&regclass);
    return valid;
}

bool table_query(struct buffer *sql, const char *name, struct err *err)
{
    return append_query(sql, QUERY_BEFORE_NAME, name, QUERY_AFTER_NAME, err);
}

bool table_version_query(struct buffer *sql, const char *name, struct err *err)
{
    return append_query(sql, "SELECT pgsluice.table_version(", name, ");", err);
}

void table_expect_sql(struct buffer *sql, const struct table *table, const char *version)
{
    buffer_append_text(sql, "SELECT pgsluice.expect_table(");
    append_literal(sql, table->quoted);
    buffer_append_text(sql, ", ");
    append_literal(sql, version);
    buffer_append_text(sql, ");");
}

/* --- The answer ------------------------------------------------------------------------------ */

static const char *what_it_is(char kind)
{
    switch (kind) {
    case 'v':
        return "a view";
    case 'm':
        return "a materialized view";
    case 'S':
        return "a sequence";
    case 'i':
    case 'I':
        return "an index";
    case 'c':
        return "a composite type";
    default:
        return "no table";
    }
}

static bool refuse_missing(const char *name, const char *database, struct err *err)
{
    const char *point = strchr(name, '.');

    if (point)
        return err_set(err, ERR_CONFIG,
                       "table \"%s\" does not exist in schema \"%.*s\" of database \"%s\": create "
                       "it or set SINK_TABLE",
                       point + 1, (int)(point - name), name, database);
    return err_set(
        err, ERR_CONFIG,
        "table \"%s\" does not exist in database \"%s\" on the search_path: create it or "
        "set SINK_TABLE",
        name, database);
}

static bool check_kind(const char *name, const PGresult *result, struct err *err)
{
    const char *database = PQgetvalue(result, 0, RESULT_DATABASE);
    char kind = PQgetvalue(result, 0, RESULT_KIND)[0];

    if (PQgetisnull(result, 0, RESULT_KIND))
        return refuse_missing(name, database, err);
    if (kind == 'r' || kind == 'p' || kind == 'f')
        return true;
    return err_set(
        err, ERR_CONFIG,
        "\"%s\" in database \"%s\" is %s, into which rows can't be copied: set SINK_TABLE "
        "to a table",
        name, database, what_it_is(kind));
}

static bool is_true(const PGresult *result, int row, int field)
{
    return PQgetvalue(result, row, field)[0] == 't';
}

static void read_column(struct column *column, const PGresult *result, int row)
{
    column->name = memory_strdup(PQgetvalue(result, row, RESULT_NAME));
    column->quoted = quote(column->name);
    column->type_name = memory_strdup(PQgetvalue(result, row, RESULT_TYPE_NAME));
    column->type_oid = (uint32_t)strtoul(PQgetvalue(result, row, RESULT_TYPE_OID), NULL, 10);
    column->typmod = (int32_t)strtol(PQgetvalue(result, row, RESULT_TYPMOD), NULL, 10);
    column->codec = type_codec_of(column->type_oid);
    if (is_true(result, row, RESULT_LIKE_TEXT))
        column->codec = TYPE_TEXT;
    column->not_null = is_true(result, row, RESULT_NOT_NULL);
    column->has_default = is_true(result, row, RESULT_HAS_DEFAULT);
    column->generated = is_true(result, row, RESULT_GENERATED);
    column->insertable = is_true(result, row, RESULT_INSERTABLE);
}

static char *qualify(const struct table *table)
{
    struct buffer sql = {0};

    table_quote(&sql, table->schema);
    buffer_append(&sql, ".", 1);
    table_quote(&sql, table->name);
    buffer_append(&sql, "", 1);
    return sql.data;
}

static void read_columns(struct table *table, const PGresult *result)
{
    /* A table without columns has one row, without a name. */
    size_t count = PQgetisnull(result, 0, RESULT_NAME) ? 0 : (size_t)PQntuples(result);

    table->columns = memory_new_array(count, sizeof(*table->columns));
    table->columns_count = count;
    for (size_t i = 0; i < count; i++)
        read_column(&table->columns[i], result, (int)i);
}

bool table_parse(struct table *table, const char *name, const PGresult *result, struct err *err)
{
    assert(PQnfields(result) == RESULT_FIELDS && PQntuples(result) > 0);
    if (!check_kind(name, result, err))
        return false;
    table->schema = memory_strdup(PQgetvalue(result, 0, RESULT_SCHEMA));
    table->name = memory_strdup(PQgetvalue(result, 0, RESULT_TABLE));
    table->quoted = qualify(table);
    read_columns(table, result);
    return true;
}

void table_finish(struct table *table)
{
    if (!table)
        return;
    for (size_t i = 0; i < table->columns_count; i++) {
        free(table->columns[i].name);
        free(table->columns[i].quoted);
        free(table->columns[i].type_name);
    }
    free(table->columns);
    free(table->schema);
    free(table->name);
    free(table->quoted);
    *table = (struct table){0};
}

const struct column *table_column(const struct table *table, const char *name)
{
    for (size_t i = 0; i < table->columns_count; i++)
        if (strcmp(table->columns[i].name, name) == 0)
            return &table->columns[i];
    return NULL;
}
