/*
 * The numbers of the dead letters, in order: the window that ends with one of them holds more than
 * `limit` exactly when the one `limit` places before it is less than a window away.
 */
#include "dispatch/breaker.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

void breaker_finish(struct breaker *breaker)
{
    free(breaker->dead);
    *breaker = (struct breaker){0};
}

/* How many are below the number. */
static size_t below(const struct breaker *breaker, uint64_t number)
{
    size_t low = 0;
    size_t high = breaker->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (breaker->dead[middle] < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* [from, to) makes way for as many as are asked for. */
static void make_room(struct breaker *breaker, size_t from, size_t to, size_t wanted)
{
    size_t behind = breaker->count - to;

    if (from + wanted + behind > breaker->cap) {
        breaker->cap = (from + wanted + behind) * 2;
        breaker->dead = memory_resize(breaker->dead, breaker->cap * sizeof(*breaker->dead));
    }
    if (behind > 0)
        memmove(&breaker->dead[from + wanted], &breaker->dead[to], behind * sizeof(*breaker->dead));
    breaker->count = from + wanted + behind;
}

static bool is_open(const struct breaker *breaker, const struct breaker_settings *settings)
{
    for (size_t last = settings->limit; last < breaker->count; last++)
        if (breaker->dead[last] - breaker->dead[last - settings->limit] < settings->window)
            return true;
    return false;
}

bool breaker_note(struct breaker *breaker, const struct breaker_settings *settings,
                  const struct breaker_batch *batch)
{
    if (settings->window == 0 || (breaker->count == 0 && batch->dead_count == 0))
        return true;
    size_t from = below(breaker, batch->first);
    size_t to = below(breaker, batch->first + batch->count);

    make_room(breaker, from, to, batch->dead_count);
    for (size_t i = 0; i < batch->dead_count; i++)
        breaker->dead[from + i] = batch->first + batch->dead[i];
    return !is_open(breaker, settings);
}

void breaker_forget(struct breaker *breaker, uint64_t from)
{
    breaker->count = below(breaker, from);
}

void breaker_pass(struct breaker *breaker, const struct breaker_settings *settings, uint64_t next)
{
    uint64_t oldest = next > settings->window ? next - settings->window : 0;

    if (breaker->count > 0)
        make_room(breaker, 0, below(breaker, oldest), 0);
}
