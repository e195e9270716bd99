/* tokenizer_files.h - the tokenizer of a model folder, as files: carried over byte for byte, or made from a
 * vocabulary. */
#ifndef MODEL_TOKENIZER_FILES_H
#define MODEL_TOKENIZER_FILES_H
#include "model/config.h"

/* The names of tokenizer files, NULL at the end. */
extern const char *const tokenizer_file_names[];

/* Write the tokenizer of folder `from` into folder `to`. Files that are there are copied byte for byte. What
 * is missing is made: tokenizer.json from vocab.txt as transformers makes it (with tokenizer_config.json's
 * do_lower_case, strip_accents, tokenize_chinese_chars and special tokens), tokenizer_config.json and
 * special_tokens_map.json; of tokenizers other than BERT's only a tokenizer_config.json with length and class.
 * HONE_EUSAGE    there is neither tokenizer.json nor vocab.txt nor merges.txt; vocab.txt has an
 * empty line, a token twice, or lacks a special token; tokenizer_config.json is no object HONE_EDAMAGED  a
 * link leads out of the folder */
hone_status tokenizer_files_write(const model_config *c, const char *from, const char *to, hone_err *err);
#endif
