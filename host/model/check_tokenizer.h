/* check_tokenizer.h - inside check: do tokenizer files and config.json agree? */
#ifndef MODEL_CHECK_TOKENIZER_H
#define MODEL_CHECK_TOKENIZER_H
#include "model/config.h"

/* *highest: the largest id that the tokenizer can give. A failure says what does not agree. */
hone_status check_tokenizer(const char *folder, const model_config *c, int *highest, hone_err *err);
#endif
