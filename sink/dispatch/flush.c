/*
 * The protocol of a flush, in two round trips:
 *
 *   sink                                                          PostgreSQL
 *   ---- SELECT pgsluice.advance(...); ----------------------------->
 *        SELECT pgsluice.expect_table(...); COPY t FROM STDIN;
 *        [COPY t (fewer columns) ...;] [COPY pgsluice.dead_letters ...; SELECT;]
 *   <--- advanced: the rows of pgsluice.offsets are locked --------
 *   <--- the table is as it was, and is locked against changes ----
 *   <--- ready for the first COPY's data --------------------------
 *   ---- rows, 64 KiB at a time, end of data -------------------->
 *        (again for each further COPY)
 *   <--- COPY n, after the last one: committed --------------------
 *
 * One simple Query is one implicit transaction: an error anywhere leaves nothing behind and the
 * session idle. advance comes first, so a fenced flush fails before it has sent a row.
 *
 * parts are the COPY statements, pieces the bytes that each of them is sent: one batch's segment,
 * or one batch's dead letters.
 */
#include "dispatch/flush.h"

#include "base/clock.h"
#include "base/memory.h"
#include "dispatch/part.h"
#include "dispatch/route.h"
#include "ops/log.h"
#include "pg/copy_context.h"
#include "pg/dead_letters.h"
#include "pg/offsets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct flush_part {
    bool dead_letters;
    bool binary;
    uint64_t absent_mask;
    size_t first_piece;
    size_t pieces_count;
    size_t rows_count;
};

struct flush_piece {
    struct batch *batch;
    struct slice data;
    size_t first_row; /* of the batch's rows */
    size_t rows_count;
};

/* Signature, no flags, no extension (PostgreSQL's documentation, "COPY", "Binary Format"). */
static const char binary_header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
enum { BINARY_HEADER_BYTES = 19 };
static const char binary_trailer[] = "\377\377";

/*
 * Behind dead letters that come with rows. The end of the last statement is only told when all is
 * committed: with this, that of the letters is told before, so what is refused then is a row.
 */
static const char last_statement[] = "SELECT;";

struct flush *flush_create(const struct flush_settings *settings)
{
    struct flush *flush = memory_new(sizeof(*flush));

    flush->settings = settings;
    return flush;
}

void flush_destroy(struct flush *flush)
{
    if (!flush)
        return;
    buffer_finish(&flush->sql);
    free(flush->batches);
    free(flush->parts);
    free(flush->pieces);
    free(flush);
}

void flush_reset(struct flush *flush)
{
    buffer_reset(&flush->sql);
    flush->batches_count = 0;
    flush->bytes = 0;
    flush->parts_count = 0;
    flush->pieces_count = 0;
    flush->sending = 0;
    flush->piece = 0;
    flush->piece_at = 0;
    flush->header_sent = false;
    flush->asked = 0;
    flush->answered = 0;
    flush->copied = 0;
}

void flush_add(struct flush *flush, struct batch *batch)
{
    if (flush->batches_count == flush->batches_cap)
        flush->batches =
            memory_double(flush->batches, &flush->batches_cap, sizeof(*flush->batches));
    flush->batches[flush->batches_count++] = batch;
    flush->bytes += part_bytes(batch);
}

/* Parts and pieces. */

static struct flush_part *add_part(struct flush *flush)
{
    if (flush->parts_count == flush->parts_cap)
        flush->parts = memory_double(flush->parts, &flush->parts_cap, sizeof(*flush->parts));
    assert(flush->parts);
    struct flush_part *part = &flush->parts[flush->parts_count++];
    *part = (struct flush_part){.first_piece = flush->pieces_count};
    return part;
}

static void add_piece(struct flush *flush, struct flush_part *part, const struct flush_piece *piece)
{
    if (flush->pieces_count == flush->pieces_cap)
        flush->pieces = memory_double(flush->pieces, &flush->pieces_cap, sizeof(*flush->pieces));
    flush->pieces[flush->pieces_count++] = *piece;
    part->pieces_count++;
    part->rows_count += piece->rows_count;
}

static struct flush_part *last_part(const struct flush *flush)
{
    return flush->parts_count > 0 ? &flush->parts[flush->parts_count - 1] : NULL;
}

/* The part that rows with this mask go on in: the last one, or a new one. */
static struct flush_part *rows_part(struct flush *flush, const struct mapping *mapping,
                                    uint64_t mask)
{
    struct flush_part *last = last_part(flush);

    if (last && last->absent_mask == mask)
        return last;
    struct flush_part *part = add_part(flush);
    part->binary = mapping->format == TYPE_FORMAT_BINARY;
    part->absent_mask = mask;
    mapping_copy_sql(mapping, mask, &flush->sql);
    return part;
}

static void add_rows(struct flush *flush, struct batch *batch)
{
    size_t row = 0;

    for (size_t i = 0; i < batch->part.segments_count; i++) {
        const struct batch_segment *segment = &batch->segments[i];
        struct flush_piece piece = {
            .batch = batch,
            .data = {batch->rows.data + segment->begin, segment->end - segment->begin},
            .first_row = row,
            .rows_count = segment->rows_count,
        };
        add_piece(flush, rows_part(flush, batch->mapping, segment->absent_mask), &piece);
        row += segment->rows_count;
    }
}

/* Letters that lie one behind the other are one piece; that of a refused row lies behind all. */
static void add_letters(struct flush *flush, struct flush_part *part, struct batch *batch)
{
    uint32_t at = 0;

    while (at < batch->part.dead_count) {
        uint32_t first = at;
        size_t begin = batch->dead[at].begin;
        size_t end = begin;
        while (at < batch->part.dead_count && batch->dead[at].begin == end)
            end = batch->dead[at++].end;
        add_piece(flush, part,
                  &(struct flush_piece){.batch = batch,
                                        .data = {batch->dead_letters.data + begin, end - begin},
                                        .rows_count = at - first});
    }
}

static void add_dead_letters(struct flush *flush)
{
    struct flush_part *part = NULL;

    for (size_t i = 0; i < flush->batches_count; i++) {
        struct batch *batch = flush->batches[i];
        if (batch->part.dead_count == 0 || batch->dead_letters.len == 0)
            continue;
        if (!part) {
            part = add_part(flush);
            part->dead_letters = true;
            buffer_append_text(&flush->sql, dead_letters_copy_sql);
        }
        add_letters(flush, part, batch);
    }
    if (part && flush->parts_count > 1)
        buffer_append_text(&flush->sql, last_statement);
}

/* One move for each queue: from its position to the end of its last batch here. */
static void add_advance(struct flush *flush)
{
    struct offsets_move *moves = memory_new_array(flush->batches_count, sizeof(*moves));
    const struct queue *last = NULL;
    size_t count = 0;

    for (size_t i = 0; i < flush->batches_count; i++) {
        const struct batch *batch = flush->batches[i];
        if (batch->queue != last)
            moves[count++] = (struct offsets_move){.topic = batch->topic,
                                                   .partition = batch->partition,
                                                   .range = batch->queue->range,
                                                   .epoch = batch->queue->epoch,
                                                   .from = batch->queue->position};
        moves[count - 1].to = batch->to;
        moves[count - 1].leader_epoch = batch->leader_epoch;
        part_count(batch, &moves[count - 1].written);
        last = batch->queue;
    }
    offsets_advance_sql(&flush->sql, flush->settings->ledger, flush->settings->name, moves, count);
    flush->asked++;
    free(moves);
}

/* COPY carries no types: in another table than the one they were made for, bytes mean something
 * else. */
static void add_expectation(struct flush *flush)
{
    const struct mapping *mapping = flush->batches[0]->mapping;

    if (mapping->table_version[0]) {
        table_expect_sql(&flush->sql, &mapping->table, mapping->table_version);
        flush->asked++;
    }
}

/* COPY data, piece by piece. */

static struct flush *flush_of(struct conn_job *job)
{
    return (struct flush *)((char *)job - offsetof(struct flush, job));
}

static bool end_part(struct flush *flush, const struct flush_part *part, struct slice *data)
{
    if (part->binary && flush->header_sent) {
        flush->header_sent = false;
        *data = (struct slice){binary_trailer, 2};
        return true;
    }
    flush->sending++;
    flush->piece = 0;
    flush->piece_at = 0;
    return false;
}

static bool on_copy(struct conn_job *job, struct slice *data)
{
    struct flush *flush = flush_of(job);
    const struct flush_part *part = &flush->parts[flush->sending];

    if (part->binary && !flush->header_sent && flush->piece == 0) {
        flush->header_sent = true;
        *data = (struct slice){binary_header, BINARY_HEADER_BYTES};
        return true;
    }
    if (flush->piece == part->pieces_count)
        return end_part(flush, part, data);
    struct slice whole = flush->pieces[part->first_piece + flush->piece].data;
    size_t left = whole.len - flush->piece_at;
    *data = (struct slice){whole.data + flush->piece_at,
                           left < CONN_COPY_PIECE_BYTES ? left : CONN_COPY_PIECE_BYTES};
    flush->piece_at += data->len;
    if (flush->piece_at == whole.len) {
        flush->piece++;
        flush->piece_at = 0;
    }
    return true;
}

/* A BEFORE trigger may keep rows out: the table's owner wants that, but should know. */
static void on_result(struct conn_job *job, const PGresult *result)
{
    struct flush *flush = flush_of(job);

    flush->answered += PQresultStatus(result) == PGRES_TUPLES_OK;
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        return; /* advance, the table's version, or the last statement */
    const struct flush_part *part = &flush->parts[flush->copied++];
    flush->copied_us = clock_now_us();
    size_t copied = strtoull(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10);
    if (copied != part->rows_count)
        log_warn("rows kept out by the table",
                 LOG_STR("table", flush->batches[0]->mapping->table.quoted),
                 LOG_INT("sent", (int64_t)part->rows_count), LOG_INT("copied", (int64_t)copied));
}

static void on_done(struct conn_job *job, const struct conn_error *error)
{
    struct flush *flush = flush_of(job);

    flush->settings->on_done(flush, error, flush->settings->opaque);
}

void flush_start(struct flush *flush, struct conn *conn)
{
    flush->started_us = clock_now_us();
    flush->copied_us = flush->started_us;
    flush->started_ms = flush->started_us / 1000;
    if (flush->settings->exactly_once)
        add_advance(flush);
    add_expectation(flush);
    for (size_t i = 0; i < flush->batches_count; i++) {
        struct queue *queue = flush->batches[i]->queue;
        batch_set_state(flush->batches[i], BATCH_FLUSHING);
        queue->flush = flush;
        queue->tried = queue->route->changes;
        add_rows(flush, flush->batches[i]);
    }
    add_dead_letters(flush);
    flush->job = (struct conn_job){.on_result = on_result, .on_copy = on_copy, .on_done = on_done};
    conn_run(conn, buffer_text(&flush->sql), &flush->job);
}

/* Blame. */

/* Behind the number: ", column amount: ..." or, in binary, ", column amount". */
static const struct mapping_column *column_in(const struct mapping *mapping, const char *behind)
{
    const char *space = strncmp(behind, ", ", 2) == 0 ? strchr(behind + 2, ' ') : NULL;

    for (size_t i = 0; space && i < mapping->columns_count; i++) {
        const char *name = mapping->columns[i].column->name;
        size_t len = strlen(name);
        if (strncmp(space + 1, name, len) == 0 && strchr(": ,\n", space[1 + len]))
            return &mapping->columns[i];
    }
    return NULL;
}

/* Of the COPY under way; false: CONTEXT does not say. */
static bool find_row(const struct flush *flush, const struct conn_error *error,
                     struct flush_blame *blame)
{
    const struct flush_part *part = &flush->parts[flush->copied];
    const struct mapping *mapping = flush->batches[0]->mapping;
    struct copy_context context = copy_context_read(error->context, mapping->table.name);
    size_t line = context.line;
    if (line == 0 || line > part->rows_count)
        return false;
    const struct flush_piece *piece = &flush->pieces[part->first_piece];
    for (; line > piece->rows_count; piece++)
        line -= piece->rows_count;
    *blame = (struct flush_blame){.kind = FLUSH_BLAMES_ROW,
                                  .batch = piece->batch,
                                  .row = piece->first_row + line - 1,
                                  .column = column_in(mapping, context.behind)};
    return true;
}

/* Rows come first: at the end, when nothing is under way, it is their deferred constraints. */
static bool blames_rows(const struct flush *flush)
{
    bool has_rows = flush->parts_count > 0 && !flush->parts[0].dead_letters;

    return has_rows && flush->answered >= flush->asked &&
           (flush->copied == flush->parts_count || !flush->parts[flush->copied].dead_letters);
}

struct flush_blame flush_blame(const struct flush *flush, const struct conn_error *error)
{
    struct flush_blame blame = {.kind = FLUSH_BLAMES_NO_ROW};

    if (!blames_rows(flush))
        return blame;
    if (flush->copied == flush->parts_count || !find_row(flush, error, &blame))
        blame.kind = FLUSH_BLAMES_SOME_ROW;
    return blame;
}
