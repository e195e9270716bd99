/* safetensors_header.h - inside safetensors: its JSON header. */
#ifndef MODEL_SAFETENSORS_HEADER_H
#define MODEL_SAFETENSORS_HEADER_H
#include "model/safetensors.h"

/* Read the header p[0 .. n-1] into s->tensor, s->metadata and s->names: grammar, types, names given twice.
 * Spans are as written there, compared with nothing yet. Bytes in messages count from the start of the file.
 */
hone_status header_read(safetensors *s, const char *p, size_t n, hone_err *err);
#endif
