/*
 * Dead letters on their way back: read as records, encoded as rows, and told why not.
 */
#include "command/replay.h"

#include "base/memory.h"

#include <stdlib.h>

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

int64_t replay_number_at(const PGresult *answer, int row, int column)
{
    return strtoll(PQgetvalue(answer, row, column), NULL, 10);
}

void replay_read_letters(struct letters *letters, PGresult *answer)
{
    letters->answer = answer;
    letters->count = (size_t)PQntuples(answer);
    letters->list = memory_new_array(letters->count + 1, sizeof(*letters->list));
    letters->rows = memory_new_array(letters->count + 1, sizeof(struct letter *));
    for (int i = 0; i < PQntuples(answer); i++)
        letters->list[i] = (struct letter){
            .id = PQgetvalue(answer, i, TAKEN_ID),
            .record = {.offset = replay_number_at(answer, i, TAKEN_OFFSET),
                       .timestamp_ms = PQgetisnull(answer, i, TAKEN_TIME_MS)
                                           ? -1
                                           : replay_number_at(answer, i, TAKEN_TIME_MS),
                       .key = take_bytes(answer, i, TAKEN_KEY),
                       .value = take_bytes(answer, i, TAKEN_VALUE),
                       .headers = take_text(answer, i, TAKEN_HEADERS)},
        };
}

void replay_finish_letters(struct letters *letters)
{
    for (size_t i = 0; i < letters->count; i++) {
        PQfreemem((void *)(uintptr_t)letters->list[i].record.key.data);
        PQfreemem((void *)(uintptr_t)letters->list[i].record.value.data);
    }
    free(letters->list);
    free(letters->rows);
    PQclear(letters->answer);
}

void replay_encode(struct replay *replay, struct letter *const *letters, size_t count)
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

bool replay_sort_out(struct replay *replay, struct letters *letters, struct err *err)
{
    struct reason reason;
    uint32_t next = 0;

    if (letters->count == 0)
        return true; /* another replay was faster */
    for (size_t i = 0; i < letters->count; i++)
        letters->rows[i] = &letters->list[i];
    replay_encode(replay, letters->rows, letters->count);
    if (replay->batch->stopped) {
        *err = replay->batch->stop;
        return false;
    }
    while (reasons_next(&replay->batch->reasons, &next, &reason)) {
        struct letter *letter = &letters->list[reason.index];
        letter->refused = true;
        err_set(&letter->reason, ERR_DATA, "%s", reason.text);
        snprintf(letter->reason.sqlstate, sizeof(letter->reason.sqlstate), "%s", reason.sqlstate);
        snprintf(letter->reason.column, sizeof(letter->reason.column), "%s", reason.column);
    }
    for (size_t i = 0; i < letters->count; i++)
        if (!letters->list[i].refused)
            letters->rows[letters->rows_count++] = &letters->list[i];
    return true;
}
