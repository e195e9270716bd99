#include "folder.h"

static int is_good(const char *s) {
    int line;
    const char *what;
    return card_check(s, strlen(s), &line, &what);
}
#define CHECK_BAD(s, at, why)                                                                                \
    do {                                                                                                     \
        int line;                                                                                            \
        const char *what;                                                                                    \
        CHECK(!card_check(s, strlen(s), &line, &what));                                                      \
        CHECK_INT(line, at);                                                                                 \
        CHECK_STR(what, why);                                                                                \
    } while (0)

TEST(card_front_matter_is_judged_as_yaml) {
    CHECK(is_good("---\n---\n"));
    CHECK(is_good("---\na: b\nc:\n- d\n- \"e: f\"\n# note\nm:\n- n: 1\n  o:\n    p: \"\\u0001\"\n  q:\n  - "
                  "r: []\n---\nbody: : :\n"));
    CHECK_BAD("a: b\n", 1, "expected --- as the first line");
    CHECK_BAD("", 1, "expected --- as the first line");
    CHECK_BAD("---\na: b\n", 3, "the front matter does not end with ---");
    CHECK_BAD("---\na: b: c\n---\n", 2, "\": \" or \" #\" in a text without quotes");
    CHECK_BAD("---\na: \"b\n---\n", 2, "a string that does not end");
    CHECK_BAD("---\na: \"b\" c\n---\n", 2, "text after a closed string");
    CHECK_BAD("---\na: \"\\q\"\n---\n", 2, "an escape that YAML does not know");
    CHECK_BAD("---\na:\tb\n---\n", 2, "a tab");
    CHECK_BAD("---\na: b\n  c: d\n---\n", 3, "indented, but nothing was opened");
    CHECK_BAD("---\na: @b\n---\n", 2, "a plain text may not begin so");
    CHECK_BAD("---\njust words\n---\n", 2, "expected \"key: value\" or \"- item\"");
    CHECK_BAD("---\na: \xff\n---\n", 1, "not UTF-8");
}

TEST(card_texts_from_data_stay_texts) {
    text t = {0};
    const char *bad = "a\"\\b\n---\n<script>[x](http://y) | `z` @u # 1. *b*\x01\xff\xe2\x80\xae";
    card_yaml(&t, bad, strlen(bad));
    CHECK_STR(
        t.p,
        "\"a\\\"\\\\b\\u000a---\\u000a<script>[x](http://y) | `z` @u # 1. *b*\\u0001\xef\xbf\xbd\\u202e\"");
    text_clear(&t);
    card_markdown(&t, bad, strlen(bad));
    CHECK_STR(t.p, "a\"\\\\b \\-\\-\\- &lt;script&gt;\\[x\\]\\(http&#58;//y\\) \\| \\`z\\` &#64;u \\# 1\\. "
                   "\\*b\\*\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    text_clear(&t);
    char many[5000];
    memset(many, 'x', sizeof many);
    card_markdown(&t, many, sizeof many);
    CHECK_INT(t.n, 203);
    text_clear(&t);
    card_yaml(&t, many, sizeof many);
    CHECK_INT(t.n, 205);
    text_free(&t);
}

TEST(card_of_everything_and_of_nothing_is_yaml_above_and_says_what_is_known) {
    static const str label[] = {STR("no"), STR("a|b")};
    static const card_metric metric[] = {{"accuracy", 0.5}, {"no", 1}};
    static const card_row row[] = {{"seed", "42"}};
    static const card_data data[] = {{"train", "/home/u/train.csv", 10}};
    text t = {0};
    card_print(&(card){0}, &t);
    CHECK(is_good(t.p));
    CHECK(strstr(t.p, "pipeline_tag: text-classification\n") && strstr(t.p, "  results: []\n"));
    text_clear(&t);
    card_print(&(card){.title = "x: y",
                       .base_model = "owner/name",
                       .language = "no",
                       .license = "mit",
                       .model_type = "bert",
                       .data = data,
                       .n_data = 1,
                       .label = label,
                       .n_labels = 2,
                       .setting = row,
                       .n_settings = 1,
                       .metric = metric,
                       .n_metrics = 2,
                       .fact = row,
                       .n_facts = 1,
                       .example = "say \"hi\""},
               &t);
    CHECK(is_good(t.p));
    CHECK(strstr(t.p, "\nlanguage: \"no\"\n") && strstr(t.p, "\nbase_model: \"owner/name\"\n"));
    CHECK(strstr(t.p, "\n- name: \"x: y\"\n  results:\n  - task:\n      type: text-classification\n"));
    CHECK(strstr(t.p, "    - type: \"accuracy\"\n      value: 0.5\n    - type: \"no\"\n      value: 1.0\n"));
    CHECK(strstr(t.p, "\n| train | train\\.csv | 10 |\n") && !strstr(t.p, "/home"));
    CHECK(strstr(t.p, "print(classify(\"say \\\"hi\\\"\"))") && strstr(t.p, "2: no, a\\|b\n"));
    text_clear(&t);
    card_print(&(card){.base_model = "/somewhere/minilm"}, &t);
    CHECK(is_good(t.p) && !strstr(t.p, "base_model") && strstr(t.p, "Fine-tuned from minilm.\n"));
    text_free(&t);
}
