/* Bytes of an arena stay apart, come back with a reset, and every byte is counted. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct arena_store store;
static struct arena arena;

static int begin(void **state)
{
    (void)state;
    store = (struct arena_store){0};
    arena_init(&arena, &store);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_reset(&arena);
    arena_store_finish(&store);
    return store.free_bytes == 0 && store.used_bytes == 0 ? 0 : -1;
}

static void an_arena_holds_nothing_before_its_first_byte(void **state)
{
    (void)state;
    assert_int_equal(arena.bytes, 0);
    assert_int_equal(store.used_bytes, 0);
    arena_alloc(&arena, 1);
    assert_int_equal(arena.bytes, ARENA_CHUNK_BYTES);
    assert_int_equal(store.used_bytes, ARENA_CHUNK_BYTES);
}

static void pieces_do_not_overlap(void **state)
{
    enum { PIECES = 3000 };
    static unsigned char *pieces[PIECES];

    (void)state;
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = arena_alloc(&arena, (size_t)i % 100 + 1);
        memset(pieces[i], i % 251, (size_t)i % 100 + 1);
    }
    for (int i = 0; i < PIECES; i++)
        for (int at = 0; at < i % 100 + 1; at++)
            assert_int_equal(pieces[i][at], i % 251);
}

static void a_chunk_is_used_to_its_last_byte(void **state)
{
    (void)state;
    for (int i = 0; i < ARENA_CHUNK_BYTES; i++)
        *(char *)arena_alloc(&arena, 1) = 'x';
    assert_int_equal(arena.bytes, ARENA_CHUNK_BYTES);
    arena_alloc(&arena, 1);
    assert_int_equal(arena.bytes, 2 * ARENA_CHUNK_BYTES);
}

static void reset_keeps_chunks_for_the_next_arena(void **state)
{
    struct arena other;

    (void)state;
    void *first = arena_alloc(&arena, 100);
    arena_reset(&arena);
    assert_int_equal(arena.bytes, 0);
    assert_int_equal(store.used_bytes, 0);
    assert_int_equal(store.free_bytes, ARENA_CHUNK_BYTES);
    arena_init(&other, &store);
    assert_ptr_equal(arena_alloc(&other, 100), first);
    assert_int_equal(store.free_bytes, 0);
    assert_int_equal(store.used_bytes, ARENA_CHUNK_BYTES);
    arena_reset(&other);
}

static void what_fits_no_chunk_gets_its_own_and_is_not_kept(void **state)
{
    enum { LARGE = 10 * ARENA_CHUNK_BYTES };

    (void)state;
    memset(arena_alloc(&arena, LARGE), 'x', LARGE);
    assert_int_equal(arena.bytes, LARGE);
    assert_int_equal(store.used_bytes, LARGE);
    arena_alloc(&arena, 1);
    assert_int_equal(store.used_bytes, LARGE + ARENA_CHUNK_BYTES);
    arena_reset(&arena);
    assert_int_equal(store.free_bytes, ARENA_CHUNK_BYTES);
}

static void a_kept_chunk_is_not_given_for_what_does_not_fit(void **state)
{
    (void)state;
    arena_alloc(&arena, 1);
    arena_reset(&arena);
    memset(arena_alloc(&arena, ARENA_CHUNK_BYTES + 1), 'x', ARENA_CHUNK_BYTES + 1);
    assert_int_equal(store.used_bytes, ARENA_CHUNK_BYTES + 1);
    assert_int_equal(store.free_bytes, ARENA_CHUNK_BYTES);
}

static void trim_frees_down_to_the_limit(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++)
        arena_alloc(&arena, ARENA_CHUNK_BYTES);
    arena_reset(&arena);
    arena_store_trim(&store, 100 * ARENA_CHUNK_BYTES);
    assert_int_equal(store.free_bytes, 10 * ARENA_CHUNK_BYTES);
    arena_store_trim(&store, 4 * ARENA_CHUNK_BYTES - 1);
    assert_int_equal(store.free_bytes, 3 * ARENA_CHUNK_BYTES);
    arena_store_trim(&store, 0);
    assert_int_equal(store.free_bytes, 0);
}

static void arenas_of_a_store_are_counted_together(void **state)
{
    struct arena other;

    (void)state;
    arena_init(&other, &store);
    arena_alloc(&arena, 1);
    arena_alloc(&other, 3 * ARENA_CHUNK_BYTES);
    assert_int_equal(store.used_bytes, 4 * ARENA_CHUNK_BYTES);
    arena_reset(&other);
    assert_int_equal(store.used_bytes, ARENA_CHUNK_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_arena_holds_nothing_before_its_first_byte, begin, end),
        cmocka_unit_test_setup_teardown(pieces_do_not_overlap, begin, end),
        cmocka_unit_test_setup_teardown(a_chunk_is_used_to_its_last_byte, begin, end),
        cmocka_unit_test_setup_teardown(reset_keeps_chunks_for_the_next_arena, begin, end),
        cmocka_unit_test_setup_teardown(what_fits_no_chunk_gets_its_own_and_is_not_kept, begin,
                                        end),
        cmocka_unit_test_setup_teardown(a_kept_chunk_is_not_given_for_what_does_not_fit, begin,
                                        end),
        cmocka_unit_test_setup_teardown(trim_frees_down_to_the_limit, begin, end),
        cmocka_unit_test_setup_teardown(arenas_of_a_store_are_counted_together, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
