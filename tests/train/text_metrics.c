/* text_metrics.c - answers beside each other as SQuAD's scripts see them (scripts/golden/answers.py). */
#include "golden.h"
#include "train/text_metrics.h"

TEST(answers_are_compared_as_squads_scripts_do) {
    arena *a = arena_new("test");
    int n = 0;
    for (const json *row = member(golden_open(a, "answers.json"), "pairs")->child; row;
         row = row->next, n++) {
        const json *x = row->child, *y = x->next, *want = y->next, *exact = want->next, *f1 = exact->next,
                   *f2 = f1->next;
        text words = {0};
        answer_normalize(x->string, &words);
        if (strcmp(words.p, want->string.p))
            test_fail(__FILE__, __LINE__, "\"%s\" is \"%s\", expected \"%s\"", x->string.p, words.p,
                      want->string.p);
        text_free(&words);
        CHECK_INT(answer_exact(x->string, y->string), exact->integer);
        CHECK_NEAR(answer_f1(x->string, y->string, 0), f1->number, 1e-12);
        CHECK_NEAR(answer_f1(x->string, y->string, 1), f2->number, 1e-12);
    }
    CHECK(n >= 25);
    arena_free(a);
}
