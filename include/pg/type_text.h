/* The COPY text encoders. Use type_encoder() of pg/type.h. Thread: any, pure. */
#ifndef PG_TYPE_TEXT_H
#define PG_TYPE_TEXT_H

#include "pg/type.h"

type_encode_cb type_text_encoder(enum type_codec codec);

#endif
