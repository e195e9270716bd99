/* bytelevel.h - GPT-2's way of writing bytes as characters: those that can be seen stay, the others are U+0100 and on. */
#ifndef TEXT_BYTELEVEL_H
#define TEXT_BYTELEVEL_H
#include "base/str.h"

uint32_t byte_character(uint8_t byte);
int byte_of_character(uint32_t code); /* -1: no byte is written so */
/* Text with each byte written as its character. */
void bytes_write(text *out, const char *p, size_t n);
#endif
