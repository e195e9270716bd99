#include "../test.h"
#include "data_util.h"

static const char *collected(const char *name, const char *content) {
    static char out[400];
    labels l;
    rows *r = read_text(name, content, NULL);
    arena *a = arena_new("test");
    CHECK_OK(labels_collect(&l, a, r, rows_column(r, STR("label")), err));
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < l.n; i++)
        at += (size_t)snprintf(out + at, sizeof out - at, "%s%s", i ? " " : "", l.name[i].p);
    arena_free(a);
    rows_free(r);
    return out;
}

TEST(labels_sort_as_text_numbers_too) {
    CHECK_STR(collected("a.csv", "text,label\na,yes\nb,No\nc,maybe\nd,yes\ne,\xc3\xa9t\xc3\xa9\n"),
              "No maybe yes \xc3\xa9t\xc3\xa9");
    CHECK_STR(collected("a.csv", "text,label\na,10\nb,9\nc,-1\nd,0\n"), "-1 0 10 9");
    CHECK_STR(collected("a.csv", "text,label\na,10\nb,9\nc,x\n"), "10 9 x");
    CHECK_STR(collected("a.jsonl", "{\"label\":10}\n{\"label\":9}\n{\"label\":null}\n"), "10 9");
    CHECK_STR(collected("a.jsonl", "{\"label\":\"10\"}\n{\"label\":\"9\"}\n"), "10 9");
    CHECK_STR(collected("a.jsonl", "{\"label\":true}\n{\"label\":false}\n"), "False True");
    CHECK_STR(collected("a.csv", "text,label\na,\n"), "");
}

TEST(labels_file_is_one_name_a_line) {
    labels l;
    hone_err why;
    arena *a = arena_new("test");
    CHECK_OK(labels_read(&l, a, make_text("labels.txt", "b\r\na c\nlast"), err));
    CHECK_INT(l.n, 3);
    CHECK_INT(labels_find(&l, STR("a c")), 1);
    CHECK_INT(labels_find(&l, STR("last")), 2);
    CHECK_INT(labels_find(&l, STR("a")), -1);
    CHECK_INT(labels_read(&l, a, make_text("labels.txt", "b\n\na\n"), &why), HONE_EDATA);
    CHECK_STR(without_folder(why.text), "labels.txt: line 2: empty; expected the name of a label");
    CHECK_INT(labels_read(&l, a, make_text("labels.txt", "b\na\nb\n"), &why), HONE_EDATA);
    CHECK_STR(without_folder(why.text), "labels.txt: line 3: label \"b\" given twice, first in line 1");
    CHECK_INT(labels_read(&l, a, make_text("labels.txt", ""), &why), HONE_EDATA);
    arena_free(a);
}
