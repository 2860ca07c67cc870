/* Trimming walks the free lists of all heaps: milliseconds, so it has to be worth it. */
#include "command/heap.h"

#include "ops/log.h"

#include <malloc.h>

enum { TICK_MS = 200, BESIDES_BYTES = 32 << 20, WORTH_BYTES = 16 << 20 };

static int64_t resident_bytes(void)
{
    size_t bytes = 0;

    return uv_resident_set_memory(&bytes) == 0 ? (int64_t)bytes : 0;
}

static void on_tick(uv_timer_t *timer)
{
    struct heap *heap = timer->data;
    int64_t before = resident_bytes();

    if (before < heap->bound_bytes || before < heap->rest_bytes + WORTH_BYTES)
        return;
    malloc_trim(0);
    heap->rest_bytes = resident_bytes();
    log_debug("heap trimmed", LOG_INT("resident_bytes", heap->rest_bytes),
              LOG_INT("before_bytes", before));
}

void heap_open(struct heap *heap, uv_loop_t *loop, const struct config *config)
{
    *heap = (struct heap){.bound_bytes = config->memory_limit_bytes + BESIDES_BYTES};
    uv_timer_init(loop, &heap->timer);
    heap->timer.data = heap;
    uv_timer_start(&heap->timer, on_tick, TICK_MS, TICK_MS);
}

void heap_close(struct heap *heap)
{
    uv_close((uv_handle_t *)&heap->timer, NULL);
}
