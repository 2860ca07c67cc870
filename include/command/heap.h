/*
 * Keeps the process near SINK_MEMORY_LIMIT. What is freed stays with the allocator (main.c), in
 * pieces that do not always fit what comes next: a heap grows beyond what was ever in use at a
 * time. Once it is that far beyond, the pieces are given back to the kernel. Thread: loop.
 */
#ifndef COMMAND_HEAP_H
#define COMMAND_HEAP_H

#include "config.h"

#include <uv.h>

struct heap {
    uv_timer_t timer;
    int64_t bound_bytes; /* resident bytes from which on it is trimmed */
    int64_t rest_bytes; /* what was left after the last time: in use, so there is nothing to gain */
};

void heap_open(struct heap *heap, uv_loop_t *loop, const struct config *config);
void heap_close(struct heap *heap);

#endif
