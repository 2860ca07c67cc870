/*
 * Parts of an encoded batch, for when PostgreSQL refuses a row of it.
 *
 * A batch goes as a whole, until a row of it is refused: then it is cut behind the rows that are
 * known to be good, or in the middle to find out; the refused row is taken out, without encoding
 * the others anew. What is committed goes from the front. Thread: loop, or the worker that has the
 * batch.
 */
#ifndef DISPATCH_PART_H
#define DISPATCH_PART_H

#include "dispatch/batch.h"
#include "pg/offsets.h"

#define PART_WHOLE UINT32_MAX

/* The next flush takes this many records, or as many as there are. Sets batch->to. */
void part_cut(struct batch *batch, uint32_t records_count);

/* Whether it is all that is left of the batch. */
bool part_is_last(const struct batch *batch);

uint32_t part_records_count(const struct batch *batch);
size_t part_rows_count(const struct batch *batch);

/* Of COPY data. */
size_t part_bytes(const struct batch *batch);

/* Adds its records to what is written; zeroed at first, in the order of offsets. */
void part_count(const struct batch *batch, struct offsets_written *written);

/* The record of row number `row`, from 0. */
uint32_t part_record_of_row(const struct batch *batch, size_t row);

/* The row of this record goes no more: it is to be a dead letter. part_cut has to follow. */
void part_remove_row(struct batch *batch, uint32_t index);

/* Nothing from this record on goes any more. part_cut has to follow. */
void part_remove_from(struct batch *batch, uint32_t index);

/* It is committed, and not the last one: what is left is the whole now. */
void part_drop(struct batch *batch);

#endif
