/*
 * `pgsluice dead-letters replay`: partition by partition, a few hundred letters in a transaction.
 *
 *   BEGIN; every constraint at once; the table is the one that rows are encoded for
 *   lock the letters -------- taken out by another replay meanwhile: not among them
 *   encode them ------------- not even now a row: refused
 *   SAVEPOINT; COPY --------- PostgreSQL refuses one of them: back, and each half by itself
 *   delete those that are rows; tell the others why
 *   COMMIT
 *
 * A row is written in the transaction that takes its dead letter out: there is always one of the
 * two, never both, whatever breaks. When the connection is lost while it commits, the next replay
 * finds what is left.
 */
#include "base/memory.h"
#include "command/boot.h"
#include "command/dead_letters.h"
#include "command/output.h"
#include "dispatch/encode.h"
#include "pg/conn_error.h"
#include "pg/letters_table.h"
#include "pg/session.h"
#include "pg/sqlstate.h"

#include <inttypes.h>
#include <stdlib.h>

enum { TAKE_LETTERS = 500, COPY_PIECE_BYTES = 64 * 1024 };

struct letter {
    const char *id; /* borrowed, as the record's bytes are, from the answer and `bytes` */
    struct record record;
    bool refused;
    struct err reason;
};

struct replay {
    const struct config *config;
    const struct dead_letters_options *options;
    PGconn *connection;
    struct letters_filter filter; /* of the partition that is at work */
    struct route *route;          /* of its topic */
    struct encode_settings settings;
    struct arena_store store;
    struct batch *batch;
    int64_t left; /* of --limit */
    int64_t rows_count;
    int64_t refused_count;
};

/* What was taken for one transaction. */
struct letters {
    PGresult *answer;
    struct letter *list;
    size_t count;
    struct letter **rows; /* those that are not refused */
    size_t rows_count;
};

/* Letters. */

/* What libpq makes of bytea is only libpq's to free: kept until the letters are finished. */
static struct slice take_bytes(const PGresult *answer, int row, int column)
{
    size_t len = 0;

    if (PQgetisnull(answer, row, column))
        return SLICE_NONE;
    const char *text = PQgetvalue(answer, row, column);
    char *bytes = (char *)PQunescapeBytea((const unsigned char *)text, &len);
    return (struct slice){bytes, len};
}

static struct slice take_text(const PGresult *answer, int row, int column)
{
    return PQgetisnull(answer, row, column) ? SLICE_NONE
                                            : slice_of(PQgetvalue(answer, row, column));
}

static int64_t number_at(const PGresult *answer, int row, int column)
{
    return strtoll(PQgetvalue(answer, row, column), NULL, 10);
}

static void read_letters(struct letters *letters, PGresult *answer)
{
    letters->answer = answer;
    letters->count = (size_t)PQntuples(answer);
    letters->list = memory_new_array(letters->count + 1, sizeof(*letters->list));
    letters->rows = memory_new_array(letters->count + 1, sizeof(struct letter *));
    for (int i = 0; i < PQntuples(answer); i++)
        letters->list[i] = (struct letter){
            .id = PQgetvalue(answer, i, TAKEN_ID),
            .record = {.offset = number_at(answer, i, TAKEN_OFFSET),
                       .timestamp_ms = PQgetisnull(answer, i, TAKEN_TIME_MS)
                                           ? -1
                                           : number_at(answer, i, TAKEN_TIME_MS),
                       .key = take_bytes(answer, i, TAKEN_KEY),
                       .value = take_bytes(answer, i, TAKEN_VALUE),
                       .headers = take_text(answer, i, TAKEN_HEADERS)},
        };
}

static void finish_letters(struct letters *letters)
{
    for (size_t i = 0; i < letters->count; i++) {
        PQfreemem((void *)(uintptr_t)letters->list[i].record.key.data);
        PQfreemem((void *)(uintptr_t)letters->list[i].record.value.data);
    }
    free(letters->list);
    free(letters->rows);
    PQclear(letters->answer);
}

static void refuse(struct letter *letter, const struct err *reason)
{
    letter->refused = true;
    letter->reason = *reason;
}

/* Encoding. */

static void encode(struct replay *replay, struct letter *const *letters, size_t count)
{
    struct batch *batch = replay->batch;

    batch_set_state(batch, BATCH_FILLING);
    batch_reset(batch);
    batch->topic = replay->filter.topic;
    batch->partition = (int32_t)replay->filter.partition;
    batch->mapping = replay->route->mapping;
    for (size_t i = 0; i < count; i++)
        batch_append(batch, &letters[i]->record);
    encode_batch(batch, &replay->settings);
}

static void copy_text(char *to, size_t size, const char *text)
{
    snprintf(to, size, "%s", text);
}

/* Those that are no rows say why; `rows` are the others. False: the mapping wants to stop. */
static bool sort_out(struct replay *replay, struct letters *letters, struct err *err)
{
    struct reason reason;
    uint32_t next = 0;

    if (letters->count == 0)
        return true; /* another replay was faster */
    for (size_t i = 0; i < letters->count; i++)
        letters->rows[i] = &letters->list[i];
    encode(replay, letters->rows, letters->count);
    if (replay->batch->stopped) {
        *err = replay->batch->stop;
        return false;
    }
    while (reasons_next(&replay->batch->reasons, &next, &reason)) {
        struct letter *letter = &letters->list[reason.index];
        letter->refused = true;
        err_set(&letter->reason, ERR_DATA, "%s", reason.text);
        copy_text(letter->reason.sqlstate, sizeof(letter->reason.sqlstate), reason.sqlstate);
        copy_text(letter->reason.column, sizeof(letter->reason.column), reason.column);
    }
    for (size_t i = 0; i < letters->count; i++)
        if (!letters->list[i].refused)
            letters->rows[letters->rows_count++] = &letters->list[i];
    return true;
}

/* COPY. */

/* A statement that is being answered: its first error. */
static bool take_results(PGconn *connection, struct conn_error *error)
{
    bool done = true;

    for (PGresult *result; (result = PQgetResult(connection));) {
        ExecStatusType status = PQresultStatus(result);
        if (done && status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK) {
            conn_error_read(error, result);
            done = false;
        }
        PQclear(result);
    }
    return done;
}

static bool put(PGconn *connection, const char *data, size_t len)
{
    for (size_t at = 0; at < len; at += COPY_PIECE_BYTES) {
        size_t rest = len - at;
        int piece = (int)(rest < COPY_PIECE_BYTES ? rest : COPY_PIECE_BYTES);
        if (PQputCopyData(connection, data + at, piece) != 1)
            return false;
    }
    return true;
}

static bool put_segment(PGconn *connection, const struct batch *batch,
                        const struct batch_segment *segment)
{
    /* Signature, no flags, no extension; at the end, -1 (documentation, "COPY"). */
    static const char header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    bool binary = batch->mapping->format == TYPE_FORMAT_BINARY;

    return (!binary || put(connection, header, sizeof(header))) &&
           put(connection, batch->rows.data + segment->begin, segment->end - segment->begin) &&
           (!binary || put(connection, "\377\377", 2));
}

static bool copy_segment(struct replay *replay, const struct batch_segment *segment,
                         struct conn_error *error)
{
    struct buffer sql = {0};

    mapping_copy_sql(replay->batch->mapping, segment->absent_mask, &sql);
    PGresult *result = PQexec(replay->connection, buffer_text(&sql));
    bool ready = PQresultStatus(result) == PGRES_COPY_IN;
    if (!ready)
        conn_error_read(error, result);
    else if (put_segment(replay->connection, replay->batch, segment))
        PQputCopyEnd(replay->connection, NULL);
    PQclear(result);
    buffer_finish(&sql);
    return ready && take_results(replay->connection, error);
}

static bool copy_segments(struct replay *replay, struct conn_error *error)
{
    for (size_t i = 0; i < replay->batch->segments_count; i++)
        if (!copy_segment(replay, &replay->batch->segments[i], error))
            return false;
    return true;
}

/* A verdict on the row, not on the statement: see dispatch/outcome.c. */
static bool is_about_a_row(const struct conn_error *error)
{
    const char *sqlstate = error->err.sqlstate;
    bool odd = strcmp(sqlstate, "42601") == 0 || strcmp(sqlstate, "XX000") == 0;

    return error->err.class == ERR_DATA || sqlstate_is_of_user_code(sqlstate) ||
           (odd && error->context[0]);
}

static void explain(struct conn_error *error)
{
    error->err.class = ERR_DATA;
    err_context(&error->err, "refused by PostgreSQL%s%s",
                error->constraint[0] ? ", constraint " : "", error->constraint);
}

/* Halves what is refused until it is one. */
static bool copy(struct replay *replay, struct letter *const *letters, size_t count,
                 struct err *err)
{
    struct conn_error error = {0};

    if (count == 0)
        return true;
    encode(replay, letters, count);
    if (!letters_table_run(replay->connection, "SAVEPOINT letters", err))
        return false;
    if (copy_segments(replay, &error))
        return letters_table_run(replay->connection, "RELEASE letters", err);
    if (!is_about_a_row(&error)) {
        *err = error.err;
        return false;
    }
    if (!letters_table_run(replay->connection, "ROLLBACK TO letters; RELEASE letters", err))
        return false;
    if (count > 1)
        return copy(replay, letters, count / 2, err) &&
               copy(replay, letters + count / 2, count - count / 2, err);
    explain(&error);
    refuse(letters[0], &error.err);
    return true;
}

/* One transaction. */

static bool begin(struct replay *replay, struct err *err)
{
    const struct mapping *mapping = replay->route->mapping;
    struct buffer sql = {0};

    buffer_append_text(&sql, "BEGIN; SET CONSTRAINTS ALL IMMEDIATE;");
    table_expect_sql(&sql, &mapping->table, mapping->table_version);
    bool done = letters_table_run(replay->connection, buffer_text(&sql), err);
    buffer_finish(&sql);
    return done;
}

static bool record_refusal(struct replay *replay, const struct letter *letter, struct err *err)
{
    return letters_table_refuse(
        replay->connection,
        &(struct letters_refusal){.id = letter->id,
                                  .reason = &letter->reason,
                                  .table = replay->route->mapping->table.quoted,
                                  .instance = replay->config->instance_id},
        err);
}

static bool record_outcome(struct replay *replay, const struct letters *letters, struct err *err)
{
    struct buffer ids = {0};
    bool done = true;

    for (size_t i = 0; done && i < letters->count; i++) {
        const struct letter *letter = &letters->list[i];
        if (letter->refused)
            done = record_refusal(replay, letter, err);
        else
            buffer_printf(&ids, "%s%s", ids.len ? "," : "", letter->id);
    }
    done = done && letters_table_delete(replay->connection, buffer_text(&ids), err);
    buffer_finish(&ids);
    return done;
}

static void say_outcome(struct replay *replay, const struct letters *letters)
{
    struct buffer out = {0};

    for (size_t i = 0; i < letters->count; i++) {
        const struct letter *letter = &letters->list[i];
        replay->rows_count += !letter->refused;
        replay->refused_count += letter->refused;
        if (letter->refused)
            buffer_printf(&out, "%s[%" PRId64 "]@%" PRId64 " refused: %s\n", replay->filter.topic,
                          replay->filter.partition, letter->record.offset, letter->reason.text);
    }
    output_write(&out);
    buffer_finish(&out);
}

static bool replay_taken(struct replay *replay, const char *ids, struct letters *letters,
                         struct err *err)
{
    const char *end = replay->options->dry_run ? "ROLLBACK" : "COMMIT";

    if (!begin(replay, err))
        return false;
    PGresult *answer = letters_table_take(replay->connection, ids, err);
    if (!answer)
        return false;
    read_letters(letters, answer);
    return sort_out(replay, letters, err) &&
           copy(replay, letters->rows, letters->rows_count, err) &&
           record_outcome(replay, letters, err) && letters_table_run(replay->connection, end, err);
}

static bool replay_ids(struct replay *replay, const char *ids, struct err *err)
{
    struct letters letters = {0};
    struct err ignored;
    bool done = replay_taken(replay, ids, &letters, err);

    if (done)
        say_outcome(replay, &letters);
    else if (!letters_table_run(replay->connection, "ROLLBACK", &ignored))
        log_debug("rollback", LOG_ERR(&ignored)); /* the connection is gone, and all with it */
    finish_letters(&letters);
    return done;
}

/* One partition. */

/* As many of the rows as fit into a transaction. Returns how many, and moves the place behind. */
static int choose(const struct replay *replay, const PGresult *behind, struct buffer *ids,
                  struct letters_place *place)
{
    int64_t bytes = 0;
    int count = 0;

    while (count < PQntuples(behind) && (count == 0 || bytes < replay->config->batch_bytes)) {
        place->id = number_at(behind, count, 0);
        place->offset = number_at(behind, count, 1);
        bytes += number_at(behind, count, 2);
        buffer_printf(ids, "%s%" PRId64, count ? "," : "", place->id);
        count++;
    }
    return count;
}

/* *count: how many were taken; 0: there are no more. */
static bool replay_next(struct replay *replay, struct letters_place *place, int *count,
                        struct err *err)
{
    int64_t limit = replay->left < TAKE_LETTERS ? replay->left : TAKE_LETTERS;
    struct buffer ids = {0};
    PGresult *behind = letters_table_behind(replay->connection, &replay->filter, place, limit, err);

    if (!behind)
        return false;
    *count = choose(replay, behind, &ids, place);
    PQclear(behind);
    replay->left -= *count;
    bool done = *count == 0 || replay_ids(replay, buffer_text(&ids), err);
    buffer_finish(&ids);
    return done;
}

static bool replay_partition(struct replay *replay, struct err *err)
{
    struct letters_place place = {.offset = -1};
    int count = 1;

    while (replay->left > 0 && count > 0)
        if (!replay_next(replay, &place, &count, err))
            return false;
    return true;
}

/* Topics. */

static bool read_version(struct replay *replay, char *version, size_t size, struct err *err)
{
    struct buffer sql = {0};
    PGresult *result = NULL;
    bool done = table_version_query(&sql, replay->route->table_name, err);

    if (done) {
        result = PQexec(replay->connection, buffer_text(&sql));
        done = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1;
        if (done)
            copy_text(version, size, PQgetvalue(result, 0, 0));
        else
            err_set(err, sqlstate_class(PQresultErrorField(result, PG_DIAG_SQLSTATE)),
                    "the version of table %s can't be read", replay->route->table_name);
    }
    PQclear(result);
    buffer_finish(&sql);
    return done;
}

/* The version first: it is at worst older than the description. */
static bool load_route(struct replay *replay, struct err *err)
{
    char version[TABLE_VERSION_BYTES + 1];

    if (replay->route && strcmp(replay->route->topic, replay->filter.topic) == 0 &&
        replay->route->state == ROUTE_KNOWN)
        return true;
    route_destroy(replay->route);
    replay->route = route_create(replay->config, replay->filter.topic);
    if (!read_version(replay, version, sizeof(version), err) ||
        !route_load_now(replay->route, replay->connection, err))
        return false;
    copy_text(replay->route->mapping->table_version, sizeof(version), version);
    return true;
}

static int fail(const struct replay *replay, const struct err *err)
{
    log_error("dead letters can't be replayed", LOG_STR("topic", replay->filter.topic),
              LOG_INT("partition", replay->filter.partition),
              LOG_STR("class", err_class_name(err->class)), LOG_ERR(err));
    return err->class == ERR_OUTAGE ? EXIT_TEMPORARY : boot_exit_code(err);
}

/* One topic's fault does not hold up the others. */
static int replay_partitions(struct replay *replay, const PGresult *partitions)
{
    int code = EXIT_DONE;
    struct err err;

    for (int i = 0; i < PQntuples(partitions) && replay->left > 0; i++) {
        if (PQstatus(replay->connection) != CONNECTION_OK)
            break; /* it has been said */
        replay->filter.topic = PQgetvalue(partitions, i, 0);
        replay->filter.partition = number_at(partitions, i, 1);
        if (!load_route(replay, &err) || !replay_partition(replay, &err))
            code = fail(replay, &err);
    }
    return code;
}

static int replay_all(struct replay *replay)
{
    struct err err = {0};
    PGresult *partitions = letters_table_partitions(replay->connection, &replay->filter, &err);

    if (!partitions)
        return fail(replay, &err);
    int code = replay_partitions(replay, partitions);
    PQclear(partitions);
    if (code == EXIT_DONE && replay->refused_count > 0)
        code = EXIT_DATA;
    return code;
}

static int say_total(const struct replay *replay, int code)
{
    struct buffer out = {0};

    buffer_printf(&out, "%s%" PRId64 " replayed, %" PRId64 " refused\n",
                  replay->options->dry_run ? "dry run: " : "", replay->rows_count,
                  replay->refused_count);
    int written = output_write(&out);
    buffer_finish(&out);
    return written == EXIT_DONE ? code : written;
}

int command_dead_letters_replay(const struct config *config,
                                const struct dead_letters_options *options)
{
    struct replay replay = {
        .config = config,
        .options = options,
        .filter = {.sink = options->sink ? options->sink : config->name,
                   .topic = options->topic,
                   .sqlstate = options->sqlstate,
                   .partition = options->partition},
        .settings = {.sink = config->name, .instance = config->instance_id, .to_topic = true},
        .left = options->limit,
    };
    struct err err = {0};

    replay.connection = session_connect(config, config->connect_timeout_ms, &err);
    if (!replay.connection) {
        log_error("PostgreSQL can't be used", LOG_STR("class", err_class_name(err.class)),
                  LOG_ERR(&err));
        return boot_exit_code(&err);
    }
    replay.batch = batch_create(&replay.store);
    int code = say_total(&replay, replay_all(&replay));
    batch_destroy(replay.batch);
    arena_store_finish(&replay.store);
    route_destroy(replay.route);
    PQfinish(replay.connection);
    return code;
}
