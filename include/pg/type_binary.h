/* The COPY binary encoders. Use type_encoder() of pg/type.h. Thread: any, pure. */
#ifndef PG_TYPE_BINARY_H
#define PG_TYPE_BINARY_H

#include "pg/type.h"

/* NULL for TYPE_OTHER. */
type_encode_cb type_binary_encoder(enum type_codec codec);

#endif
