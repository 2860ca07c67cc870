/* Where a row of COPY data ends. */
#include "pg/copy_row.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_text_row_is_a_line(void **state)
{
    (void)state;
    struct slice data = slice_of("1\ta\\nb\n\n2\t\\N\n");
    assert_int_equal(copy_row_bytes(TYPE_FORMAT_TEXT, data, 0), 0);
    assert_int_equal(copy_row_bytes(TYPE_FORMAT_TEXT, data, 1), 7);
    assert_int_equal(copy_row_bytes(TYPE_FORMAT_TEXT, data, 2), 8);
    assert_int_equal(copy_row_bytes(TYPE_FORMAT_TEXT, data, 3), 13);
}

/* Fields of 3 bytes with a newline in them, NULL, and none; a row without fields; 300 NULLs. */
static void a_binary_row_is_its_fields(void **state)
{
    static const char rows[] = "\0\3\0\0\0\3a\nb\377\377\377\377\0\0\0\0"
                               "\0\0";
    char data[sizeof(rows) - 1 + 2 + 300 * 4];

    (void)state;
    memset(data, 0xff, sizeof(data));
    memcpy(data, rows, sizeof(rows) - 1);
    memcpy(data + sizeof(rows) - 1, "\1\54", 2);
    struct slice all = {data, sizeof(data)};
    assert_int_equal(copy_row_bytes(TYPE_FORMAT_BINARY, all, 1), 17);
    assert_int_equal(copy_row_bytes(TYPE_FORMAT_BINARY, all, 2), 19);
    assert_int_equal(copy_row_bytes(TYPE_FORMAT_BINARY, all, 3), sizeof(data));
}

static void a_long_field_is_one_field(void **state)
{
    static char data[2 + 4 + 70000];

    (void)state;
    memcpy(data, "\0\1\0\1\21\160", 6);
    assert_int_equal(copy_row_bytes(TYPE_FORMAT_BINARY, (struct slice){data, sizeof(data)}, 1),
                     sizeof(data));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_text_row_is_a_line),
        cmocka_unit_test(a_binary_row_is_its_fields),
        cmocka_unit_test(a_long_field_is_one_field),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
