/* json_print.h - JSON for people and for transformers: two blanks a level, floats that read as floats. */
#ifndef MODEL_JSON_PRINT_H
#define MODEL_JSON_PRINT_H
#include "base/json.h"

/* The shortest digits that read back as x, always with a point or an exponent: 0.0, 0.1, 1e-12. */
void json_print_real(text *out, double x);
/* The value as it would stand at this depth (its first line is not indented). floats: integers are printed as
 * floats. */
void json_print(text *out, const json *value, int depth, int floats);
void json_indent(text *out, int depth); /* a newline and the blanks of a level */
#endif
