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
#include "command/boot.h"
#include "command/output.h"
#include "command/replay.h"
#include "pg/session.h"
#include "pg/sqlstate.h"

#include <inttypes.h>
#include <stdlib.h>

enum { TAKE_LETTERS = 500 };

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
    replay_read_letters(letters, answer);
    return replay_sort_out(replay, letters, err) &&
           replay_copy(replay, letters->rows, letters->rows_count, err) &&
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
    replay_finish_letters(&letters);
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
        place->id = replay_number_at(behind, count, 0);
        place->offset = replay_number_at(behind, count, 1);
        bytes += replay_number_at(behind, count, 2);
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
            snprintf(version, size, "%s", PQgetvalue(result, 0, 0));
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
    memcpy(replay->route->mapping->table_version, version, sizeof(version));
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
        replay->filter.partition = replay_number_at(partitions, i, 1);
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

int command_dead_letters_replay(const struct config *config, const void *dead_letters_options)
{
    const struct dead_letters_options *options = dead_letters_options;
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
