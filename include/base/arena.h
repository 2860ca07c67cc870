/*
 * Memory that lives and dies with its batch: allocation moves a pointer, one reset frees all.
 *
 * Arenas take their chunks from a store that keeps returned ones for the next batch, so a sink that
 * runs allocates nothing. The store counts every byte: that is what SINK_MEMORY_LIMIT is held
 * against. Thread: loop (a worker only reads what is in an arena).
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/compiler.h"

#include <stddef.h>

/* Small, so that a thousand partitions with one record each stay small. */
enum { ARENA_CHUNK_BYTES = 16 * 1024 };

struct arena_chunk;

struct arena_store {
    struct arena_chunk *free; /* of ARENA_CHUNK_BYTES each */
    size_t free_bytes;
    size_t used_bytes; /* in arenas */
};

struct arena {
    struct arena_store *store; /* borrowed */
    struct arena_chunk *chunks;
    char *at;
    char *end;
    size_t bytes; /* of all its chunks */
};

/* Frees the kept chunks; all arenas are reset before. */
void arena_store_finish(struct arena_store *store);

/* Frees kept chunks until at most `bytes` of them are left. */
void arena_store_trim(struct arena_store *store, size_t bytes);

void arena_init(struct arena *arena, struct arena_store *store);

/* Gives every chunk back. */
void arena_reset(struct arena *arena);

/* Slow path of arena_alloc. */
void *arena_grow(struct arena *arena, size_t bytes);

/* Not aligned: for bytes, not for structs. */
static inline void *arena_alloc(struct arena *arena, size_t bytes)
{
    if (UNLIKELY((size_t)(arena->end - arena->at) < bytes))
        return arena_grow(arena, bytes);
    void *memory = arena->at;
    arena->at += bytes;
    return memory;
}

#endif
