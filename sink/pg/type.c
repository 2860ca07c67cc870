/*
 * Which codec a type has, and which encoder a codec has.
 *
 * The OIDs are those of src/include/catalog/pg_type.dat; they never change. The encoders themselves
 * live one format to a file: type_text.c and type_binary.c, on what they share in type_form.c.
 */
#include "pg/type.h"

#include "pg/type_binary.h"
#include "pg/type_text.h"

static const struct {
    uint32_t type_oid;
    enum type_codec codec;
} TYPES[] = {
    {16, TYPE_BOOL},        {17, TYPE_BYTEA},         {20, TYPE_INT8},      {21, TYPE_INT2},
    {23, TYPE_INT4},        {25, TYPE_TEXT},          {114, TYPE_JSON},     {700, TYPE_FLOAT4},
    {701, TYPE_FLOAT8},     {1042, TYPE_BPCHAR},      {1043, TYPE_VARCHAR}, {1082, TYPE_DATE},
    {1114, TYPE_TIMESTAMP}, {1184, TYPE_TIMESTAMPTZ}, {1700, TYPE_NUMERIC}, {2950, TYPE_UUID},
    {3802, TYPE_JSONB},
};

enum type_codec type_codec_of(uint32_t type_oid)
{
    for (size_t i = 0; i < COUNT_OF(TYPES); i++)
        if (TYPES[i].type_oid == type_oid)
            return TYPES[i].codec;
    return TYPE_OTHER;
}

type_encode_cb type_encoder(enum type_codec codec, enum type_format format)
{
    return format == TYPE_FORMAT_TEXT ? type_text_encoder(codec) : type_binary_encoder(codec);
}
