/*
 * How the records of a plan become rows, as a text that is kept with it: settings, tables, columns.
 * Rows would be other rows where the text is another one. Thread: main.
 */
#ifndef BACKFILL_DESCRIPTION_H
#define BACKFILL_DESCRIPTION_H

#include "config.h"
#include "pg/backfill_table.h"

/* Of the topics of its ranges. free() ends it; NULL: err, as when a table can not be used. */
char *description_make(const struct backfill *backfill, const struct config *config,
                       PGconn *connection, struct err *err);

/* Whether the tables have all columns that they had, as they were, and perhaps more. Pure. */
bool description_gained(const char *before, const char *now);

#endif
