/*
 * Compiling a mapping, and the values that come from the record itself.
 *
 * Columns stand in the order: fields of the JSON object, then what the record gives. COPY names its
 * columns, so their order is ours to choose.
 */
#include "decode/mapping.h"

#include "base/memory.h"

#include <stdlib.h>

/* An absent mask has a bit for each column with a DEFAULT; columns beyond get NULL when absent. */
enum { DEFAULT_BITS = 64 };

struct record_column {
    const char *name;
    enum mapping_source source;
};

static const struct record_column json_columns[] = {
    {"__connect_topic", MAPPING_TOPIC},
    {"__connect_partition", MAPPING_PARTITION},
    {"__connect_offset", MAPPING_OFFSET},
    {"__connect_timestamp", MAPPING_TIMESTAMP},
    {"__connect_key", MAPPING_KEY},
    {"__connect_headers", MAPPING_HEADERS},
    {NULL, MAPPING_FIELD},
};

static const struct record_column raw_columns[] = {
    {"topic", MAPPING_TOPIC},     {"partition", MAPPING_PARTITION},
    {"offset", MAPPING_OFFSET},   {"timestamp", MAPPING_TIMESTAMP},
    {"key", MAPPING_KEY},         {"value", MAPPING_VALUE},
    {"headers", MAPPING_HEADERS}, {NULL, MAPPING_FIELD},
};

char *mapping_table_name(const struct config *config, const char *topic)
{
    static const char placeholder[] = "${topic}";
    struct buffer name = {0};
    const char *rest = config->table;

    for (const char *at; (at = strstr(rest, placeholder)); rest = at + strlen(placeholder)) {
        buffer_append(&name, rest, (size_t)(at - rest));
        buffer_append_text(&name, topic);
    }
    buffer_append_text(&name, rest);
    char *result = memory_strdup(buffer_text(&name));
    buffer_finish(&name);
    return result;
}

/* Choosing the columns. */

static bool find_source(const struct config *config, const char *column,
                        enum mapping_source *source)
{
    bool raw = config->value_format == CONFIG_VALUE_RAW;

    for (const struct record_column *at = raw ? raw_columns : json_columns; at->name; at++) {
        if (strcmp(at->name, column) == 0) {
            *source = at->source;
            return true;
        }
    }
    *source = MAPPING_FIELD;
    return !raw;
}

static bool check_column(const struct mapping *mapping, const struct column *column,
                         bool has_source, struct err *err)
{
    bool filled = has_source && column->insertable && !column->generated;

    if (filled || column->generated || column->has_default || !column->not_null)
        return true;
    if (!column->insertable)
        return err_set(
            err, ERR_CONFIG,
            "table %s: column %s is NOT NULL and this role may not INSERT into it: GRANT INSERT",
            mapping->table.quoted, column->quoted);
    return err_set(
        err, ERR_CONFIG,
        "table %s: column %s is NOT NULL and nothing fills it: give it a DEFAULT or drop it",
        mapping->table.quoted, column->quoted);
}

/* Which of the record's own values a column's type can take; text-encoded types judge for
 * themselves. */
static bool takes_source(const struct column *column, enum mapping_source source)
{
    bool text = column->codec == TYPE_TEXT || column->codec == TYPE_VARCHAR ||
                column->codec == TYPE_BPCHAR || column->codec == TYPE_OTHER;
    bool json = column->codec == TYPE_JSON || column->codec == TYPE_JSONB;
    bool integer = column->codec == TYPE_INT8 || column->codec == TYPE_NUMERIC;

    switch (source) {
    case MAPPING_FIELD:
        return true;
    case MAPPING_TOPIC:
        return text;
    case MAPPING_PARTITION:
        return text || integer || column->codec == TYPE_INT4;
    case MAPPING_OFFSET:
        return text || integer;
    case MAPPING_TIMESTAMP:
        return text || integer || column->codec == TYPE_TIMESTAMPTZ ||
               column->codec == TYPE_TIMESTAMP;
    case MAPPING_KEY:
    case MAPPING_VALUE:
        return text || json || column->codec == TYPE_BYTEA;
    case MAPPING_HEADERS:
        return text || json;
    }
    return false;
}

static bool add_column(struct mapping *mapping, const struct column *column,
                       enum mapping_source source, struct err *err)
{
    if (!takes_source(column, source))
        return err_set(err, ERR_CONFIG,
                       "table %s: column %s has type %s, which can't take the record's %s",
                       mapping->table.quoted, column->quoted, column->type_name,
                       source == MAPPING_TIMESTAMP ? "timestamp" : "bytes or numbers");
    mapping->columns[mapping->columns_count++] =
        (struct mapping_column){.column = column, .source = source};
    return true;
}

/* Once over the fields, once over the record's own values, to have the fields first. */
static bool add_columns(struct mapping *mapping, const struct config *config, bool fields,
                        struct err *err)
{
    for (size_t i = 0; i < mapping->table.columns_count; i++) {
        const struct column *column = &mapping->table.columns[i];
        enum mapping_source source;
        bool found = find_source(config, column->name, &source);

        if (!check_column(mapping, column, found, err))
            return false;
        if (!found || !column->insertable || column->generated ||
            (source == MAPPING_FIELD) != fields)
            continue;
        if (!add_column(mapping, column, source, err))
            return false;
    }
    return true;
}

/* Why no column was chosen. */
static bool refuse_table(const struct mapping *mapping, const struct config *config,
                         struct err *err)
{
    for (size_t i = 0; i < mapping->table.columns_count; i++) {
        const struct column *column = &mapping->table.columns[i];
        enum mapping_source source;

        if (!column->generated && !column->insertable && find_source(config, column->name, &source))
            return err_set(
                err, ERR_CONFIG,
                "table %s: this role may not INSERT into any of its columns: GRANT INSERT",
                mapping->table.quoted);
    }
    return err_set(
        err, ERR_CONFIG, "table %s has no column that can be filled: %s", mapping->table.quoted,
        config->value_format == CONFIG_VALUE_RAW
            ? "name one of them topic, partition, offset, timestamp, key, value or headers"
            : "name its columns after the fields of the JSON records");
}

static bool choose_columns(struct mapping *mapping, const struct config *config, struct err *err)
{
    mapping->columns = memory_new_array(mapping->table.columns_count, sizeof(*mapping->columns));
    if (!add_columns(mapping, config, true, err))
        return false;
    mapping->fields_count = mapping->columns_count;
    if (!add_columns(mapping, config, false, err))
        return false;
    return mapping->columns_count > 0 || refuse_table(mapping, config, err);
}

/* Binding the encoders. */

static bool all_hand_encoded(const struct mapping *mapping)
{
    for (size_t i = 0; i < mapping->columns_count; i++)
        if (mapping->columns[i].column->codec == TYPE_OTHER)
            return false;
    return true;
}

static void bind_encoders(struct mapping *mapping)
{
    unsigned bit = 0;

    mapping->format = all_hand_encoded(mapping) ? TYPE_FORMAT_BINARY : TYPE_FORMAT_TEXT;
    for (size_t i = 0; i < mapping->columns_count; i++) {
        struct mapping_column *column = &mapping->columns[i];
        column->encode = type_encoder(column->column->codec, mapping->format);
        mapping->wants_headers |= column->source == MAPPING_HEADERS;
        if (column->column->has_default && i < mapping->fields_count && bit < DEFAULT_BITS)
            column->default_bit = UINT64_C(1) << bit++;
    }
}

static void build_fields(struct mapping *mapping, const struct config *config)
{
    static const enum json_unknown unknown[] = {
        [CONFIG_UNKNOWN_IGNORE] = JSON_UNKNOWN_IGNORE,
        [CONFIG_UNKNOWN_DEAD_LETTER] = JSON_UNKNOWN_REJECT,
        [CONFIG_UNKNOWN_STOP] = JSON_UNKNOWN_STOP,
    };
    const char **names = memory_new_array(mapping->fields_count, sizeof(*names));

    for (size_t i = 0; i < mapping->fields_count; i++)
        names[i] = mapping->columns[i].column->name;
    mapping->fields =
        json_fields_create(names, mapping->fields_count, unknown[config->unknown_fields]);
    free(names);
}

struct mapping *mapping_compile(const struct config *config, const char *topic, struct table *table,
                                struct err *err)
{
    struct mapping *mapping = memory_new(sizeof(*mapping));

    mapping->topic = memory_strdup(topic);
    mapping->table = *table;
    *table = (struct table){0};
    if (!choose_columns(mapping, config, err)) {
        mapping_destroy(mapping);
        return NULL;
    }
    bind_encoders(mapping);
    if (config->value_format == CONFIG_VALUE_JSON)
        build_fields(mapping, config);
    return mapping;
}

void mapping_destroy(struct mapping *mapping)
{
    if (!mapping)
        return;
    json_fields_destroy(mapping->fields);
    table_finish(&mapping->table);
    free(mapping->columns);
    free(mapping->topic);
    free(mapping);
}

/* Decoding. */

static struct value text_value(enum value_kind kind, struct slice text)
{
    if (!text.data)
        return (struct value){.kind = VALUE_NULL};
    return (struct value){.kind = kind, .text = text};
}

/* Key or value as they came; a JSON column takes them only when they are JSON. */
static bool bytes_value(const struct mapping_column *column, struct slice bytes,
                        struct value *value, struct err *err)
{
    enum type_codec codec = column->column->codec;

    *value = text_value(VALUE_BYTES, bytes);
    if (!bytes.data || (codec != TYPE_JSON && codec != TYPE_JSONB))
        return true;
    value->kind = VALUE_JSON;
    if (json_validate(bytes, err))
        return true;
    memcpy(err->column, column->column->name, strlen(column->column->name) + 1);
    return err_context(err, "column %s", column->column->quoted);
}

static bool record_value(const struct mapping *mapping, const struct mapping_column *column,
                         const struct record *record, int32_t partition, struct value *value)
{
    switch (column->source) {
    case MAPPING_TOPIC:
        *value = text_value(VALUE_STRING, slice_of(mapping->topic));
        return true;
    case MAPPING_PARTITION:
        *value = (struct value){.kind = VALUE_INTEGER, .integer = partition};
        return true;
    case MAPPING_OFFSET:
        *value = (struct value){.kind = VALUE_INTEGER, .integer = record->offset};
        return true;
    case MAPPING_TIMESTAMP:
        *value = (struct value){.kind = record->timestamp_ms < 0 ? VALUE_NULL : VALUE_TIMESTAMP,
                                .integer = record->timestamp_ms};
        return true;
    case MAPPING_HEADERS:
        *value = text_value(VALUE_JSON, record->headers);
        return true;
    case MAPPING_KEY:
    case MAPPING_VALUE:
    case MAPPING_FIELD:
        return false;
    }
    return false;
}

static bool decode_field_values(const struct mapping *mapping, const struct record *record,
                                struct value *values, struct err *err)
{
    if (!record->value.data)
        return err_set(err, ERR_DATA, "the value is null: a tombstone is no row");
    return json_project(mapping->fields, record->value, values, err);
}

bool mapping_decode(const struct mapping *mapping, const struct record *record, int32_t partition,
                    struct value *values, struct err *err)
{
    if (mapping->fields && !decode_field_values(mapping, record, values, err))
        return false;
    for (size_t i = mapping->fields_count; i < mapping->columns_count; i++) {
        const struct mapping_column *column = &mapping->columns[i];
        struct slice bytes = column->source == MAPPING_KEY ? record->key : record->value;

        if (!record_value(mapping, column, record, partition, &values[i]) &&
            !bytes_value(column, bytes, &values[i], err))
            return false;
    }
    return true;
}

/* SQL. */

void mapping_copy_sql(const struct mapping *mapping, uint64_t absent_mask, struct buffer *sql)
{
    const char *separator = "";

    buffer_printf(sql, "COPY %s (", mapping->table.quoted);
    for (size_t i = 0; i < mapping->columns_count; i++) {
        if (mapping->columns[i].default_bit & absent_mask)
            continue;
        buffer_printf(sql, "%s%s", separator, mapping->columns[i].column->quoted);
        separator = ", ";
    }
    buffer_append_text(sql, mapping->format == TYPE_FORMAT_BINARY ? ") FROM STDIN (FORMAT binary);"
                                                                  : ") FROM STDIN;");
}

static bool column_same(const struct mapping_column *a, const struct mapping_column *b)
{
    return a->source == b->source && strcmp(a->column->name, b->column->name) == 0 &&
           a->column->type_oid == b->column->type_oid && a->column->typmod == b->column->typmod &&
           a->column->not_null == b->column->not_null && a->default_bit == b->default_bit;
}

bool mapping_same(const struct mapping *a, const struct mapping *b)
{
    if (a->columns_count != b->columns_count || strcmp(a->table.quoted, b->table.quoted) != 0)
        return false;
    for (size_t i = 0; i < a->columns_count; i++)
        if (!column_same(&a->columns[i], &b->columns[i]))
            return false;
    return true;
}
