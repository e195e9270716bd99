/* guess.h - the tasks that guess words: fill-mask, pretrain, text-generation. */
#ifndef TRAIN_GUESS_H
#define TRAIN_GUESS_H
#include "train/session.h"

/* s->head, s->masks and s->pairs as the job's task asks for them; other tasks: nothing. HONE_EUSAGE: family, tokenizer or
 * max_seq_length are not made for it. */
hone_status guess_open(session *s, hone_err *err);
/* Are texts encoded without special tokens, which come later, around what is made of the texts? */
int guess_is_bare(const session *s);
#endif
