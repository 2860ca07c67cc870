/* The portable variant of the 16-byte step, whichever of them this machine's decoder uses. */
#include "decode/json_block_swar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

enum { BLOCK = 16, BYTES = 256 };

static bool is_plain(int byte)
{
    return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
}

static void finds_every_byte_at_every_place(void **state)
{
    (void)state;
    for (int byte = 0; byte < BYTES; byte++) {
        for (unsigned place = 0; place < BLOCK; place++) {
            char block[BLOCK];
            memset(block, 'a', sizeof(block));
            block[place] = (char)byte;
            assert_int_equal(json_block_plain(block), is_plain(byte) ? BLOCK : place);
        }
    }
}

/* A mark makes the bytes above it look odd: neighbours must not. */
static void finds_the_first_of_two(void **state)
{
    (void)state;
    for (int first = 0; first < BYTES; first++) {
        for (int second = 0; second < BYTES; second++) {
            char block[BLOCK];
            memset(block, ' ', sizeof(block));
            block[6] = (char)first;
            block[7] = (char)second;
            unsigned plain = !is_plain(first) ? 6 : !is_plain(second) ? 7 : BLOCK;
            assert_int_equal(json_block_plain(block), plain);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_every_byte_at_every_place),
        cmocka_unit_test(finds_the_first_of_two),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
