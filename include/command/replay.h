/*
 * What is inside of `pgsluice dead-letters replay`: the letters of one transaction, and the way
 * from them to rows. command/dead_letters_replay.c takes them and commits. Thread: main.
 */
#ifndef COMMAND_REPLAY_H
#define COMMAND_REPLAY_H

#include "command/dead_letters.h"
#include "dispatch/encode.h"
#include "dispatch/route.h"
#include "pg/letters_table.h"

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

int64_t replay_number_at(const PGresult *answer, int row, int column);

/* Takes `answer`, which letters_table_take gave. */
void replay_read_letters(struct letters *letters, PGresult *answer);
void replay_finish_letters(struct letters *letters);

/* Those that are no rows say why; `rows` are the others. False: the mapping wants to stop. */
bool replay_sort_out(struct replay *replay, struct letters *letters, struct err *err);

/* The replay's batch becomes these letters, encoded. */
void replay_encode(struct replay *replay, struct letter *const *letters, size_t count);

/* Writes them as rows; those that PostgreSQL refuses say why. False: it is not about a row. */
bool replay_copy(struct replay *replay, struct letter *const *letters, size_t count,
                 struct err *err);

#endif
