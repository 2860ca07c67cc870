/*
 * Numbers as people read them: 4,213,000, 1.21 M, 31.0 MB, 1 h 4 min, 2026-11-20 05:00:00.
 *
 * Each appends to the buffer. Bytes are thousands (MB, not MiB); times are UTC. Thread: any, pure.
 */
#ifndef OPS_PROGRESS_TEXT_H
#define OPS_PROGRESS_TEXT_H

#include "base/buffer.h"

/* 4,213,000 */
void progress_text_count(struct buffer *out, int64_t count);

/* 999, 12.3 k, 1.21 M */
void progress_text_short(struct buffer *out, int64_t count);

/* 999 B, 31.0 MB */
void progress_text_bytes(struct buffer *out, int64_t bytes);

/* 240 ms, 4.2 s, 38 s, 1 min 38 s, 3 h 5 min, 2 d 4 h */
void progress_text_duration(struct buffer *out, int64_t ms);

/* Like a duration, as exactly as a guess deserves: 5 s, 40 s, 1 min 40 s, 17 min, 3 h 10 min. */
void progress_text_estimate(struct buffer *out, int64_t ms);

/* 42.1 %, from thousandths. */
void progress_text_percent(struct buffer *out, int permille);

/* 2026-11-20 05:00:00; "-" before 1970 and from the year 10000 on. */
void progress_text_time(struct buffer *out, int64_t unix_ms);

#endif
