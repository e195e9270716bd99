/* json_scan.h - inside json: the strict check of a text, and where its values stand. */
#ifndef BASE_JSON_SCAN_H
#define BASE_JSON_SCAN_H
#include "base/str.h"
#include "base/vec.h"

#define JSON_MAX_DEPTH 64
#define JSON_MAX_NUMBER 63 /* characters of a number: cJSON 1.7.15 reads no more */

typedef VEC(size_t) json_offsets;

/* Check n bytes. *at becomes the offset of each value and each key in the order in which they stand (a key
 * before its value). Messages as json.h says; duplicate keys are found later, when keys are decoded. */
hone_status json_scan(json_offsets *at, const char *name, const char *p, size_t n, hone_status kind,
                      hone_err *err);
#endif
