/* err.h - inside the host: escaping foreign text for messages, and promises between our own functions. */
#ifndef BASE_ERR_H
#define BASE_ERR_H
#include "hone/status.h"

/* Write text (n bytes, any) into out for a message: control bytes and invalid UTF-8 as \xNN, cut with "..." so that
 * at most out_bytes - 1 bytes (out_bytes >= 8) are written. Returns out. */
char *text_escape(char *out, size_t out_bytes, const char *text, size_t n);

/* A promise between our own functions, on in every build: prints file, line and condition, and aborts. Never for input. */
void promise_broken(const char *file, int line, const char *condition) __attribute__((noreturn));
#define HONE_ASSERT(x) ((x) ? (void)0 : promise_broken(__FILE__, __LINE__, #x))

/* Nearest word to `word` among n (edit distance, at most a third of its length), or NULL: for "did you mean". */
const char *nearest_word(const char *word, const char *const *words, int n);
#endif
